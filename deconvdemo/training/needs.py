"""Which networks are trained first when there is a fast machine for a short time: a table in order of need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from deconvdemo.errors import ControlError
from deconvdemo.training.recipes import RECIPES, Recipe


@dataclass(frozen=True)
class Need:
    """A network and how much of the time is its own; and, for a GPU, patches that keep one busy."""

    name: str
    share: float  # of the time, as parts of the sum of all that are asked for
    batch: int = 64
    patch: int = 96  # of the network's input, in pixels


NEEDS = (
    Need("denoise-photo", 6.0, batch=32, patch=128),
    Need("upscale-x4-photo", 4.0, patch=64),
    Need("upscale-x2-photo", 3.0, patch=96),
    Need("upscale-x2", 3.0, patch=96),
    Need("upscale-x4", 3.0, patch=64),
    Need("denoise", 4.0, batch=32, patch=128),
    Need("inpaint", 3.0, batch=32, patch=128),
    Need("upscale-x3-photo", 1.5, patch=64),
    Need("upscale-x3", 1.5, patch=64),
    Need("scratches", 1.0, batch=32, patch=128),
    Need("upscale-x4-vivid", 2.0, batch=32, patch=64),
)


def needs(names: Sequence[str] | None = None) -> list[Need]:
    """Those of `names`, in their order, or all that there are recipes for. Raises ControlError for an unknown one."""
    known = {need.name: need for need in NEEDS}
    if names is None:
        return [need for need in NEEDS if need.name in RECIPES]
    for name in names:
        if name not in RECIPES:
            raise ControlError(f"there is no recipe for {name}: choose among {', '.join(sorted(RECIPES))}")
    return [known.get(name) or Need(name, 1.0) for name in dict.fromkeys(names)]


def minutes_each(wanted: Sequence[Need], minutes: float) -> dict[str, float]:
    """How long each is trained, of so many minutes."""
    parts = sum(need.share for need in wanted)
    return {need.name: minutes * need.share / parts for need in wanted}


def recipe_of(need: Need, gpu: bool, batch: int | None = None, patch: int | None = None) -> Recipe:
    """The network's own recipe, on a GPU with more and larger patches; `batch` and `patch` are what somebody asks."""
    recipe = RECIPES[need.name]
    if gpu:
        recipe = replace(recipe, batch=need.batch, patch=need.patch)
    return replace(recipe, batch=batch or recipe.batch, patch=patch or recipe.patch)
