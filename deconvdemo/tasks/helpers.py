"""Networks that restore nothing themselves, but find something for a task: their weights are listed like the tasks'."""

from __future__ import annotations

from dataclasses import dataclass

from deconvdemo.tasks.control import Number


@dataclass(frozen=True)
class Helper:
    """One of them. Its `name` is that of its weights, and what their headers say in place of a task."""

    name: str
    helps: str  # the task
    verb: str  # on the button
    promise: str
    endpoint: str  # over HTTP
    sensitivity: Number
    gives: int = 1  # channels of what its network gives: logits
    sets: tuple[str, ...] = ()  # folders of clean photographs that it is measured on


SCRATCHES = Helper(
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
HELPERS: dict[str, Helper] = {one.name: one for one in (SCRATCHES,)}
