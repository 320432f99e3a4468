"""Networks that restore nothing themselves, but find something for a task: their weights are listed like the tasks'."""

from __future__ import annotations

from dataclasses import dataclass

from deconvdemo.tasks.control import Number

JUDGE = "judge"
GENERATE = "generate"


@dataclass(frozen=True)
class Helper:
    """One of them. Its `name` is that of its weights, and what their headers say in place of a task."""

    name: str
    gives: int | None = 1  # channels of what its network gives: logits; None: a picture
    sets: tuple[str, ...] = ()  # folders of clean photographs that it is measured on


@dataclass(frozen=True)
class Finder(Helper):
    """Finds a mask for a task, in the photo alone."""

    helps: str = ""  # the task
    verb: str = ""  # on the button
    promise: str = ""
    endpoint: str = ""  # over HTTP
    sensitivity: Number = Number("sensitivity", "Sensitivity", "", 0.5)


SCRATCHES = Finder(
    "scratches",
    helps="inpaint",
    verb="Find scratches",
    promise="Finds scratches, creases, dust and stains of an old photo: a mask to look at, change and fill in.",
    endpoint="find_scratches",
    sensitivity=Number(
        "sensitivity",
        "Sensitivity",
        "How readily something counts as damage: higher finds fainter marks, and more of what is none.",
        default=0.5,
        step=0.05,
    ),
    sets=("cbsd68",),
)
FINDERS: dict[str, Finder] = {one.name: one for one in (SCRATCHES,)}


def finder_for(task: str) -> Finder | None:
    """What finds this task's mask, if anything does."""
    return next((one for one in FINDERS.values() if one.helps == task), None)


# the judge says what harms a photo: AUTO asks it; the decoder is shown no photo, and draws pictures of noise
HELPERS: dict[str, Helper] = {**FINDERS, JUDGE: Helper(JUDGE, gives=5), GENERATE: Helper(GENERATE, gives=None)}
