"""Noise and JPEG traces are removed from a small photo before it is enlarged.

The networks that enlarge photos clean, too, but less than the one that denoises them: it is told how much there is, and
a network that is shown its result enlarges less of what is no detail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from torch import nn

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.engine.restoration import Progress
from deconvdemo.engine.tile_by_tile import tile_by_tile
from deconvdemo.engine.work import Work
from deconvdemo.image.photo import Photo
from deconvdemo.tasks import PHOTO, TASKS, Task
from deconvdemo.tasks.denoise import LEAST_TOLD, MAX_SIGMA, told_of
from deconvdemo.tasks.harm import Harm

DENOISE = TASKS["denoise"]
TOLD = 1.35  # of the level that is judged, more than for denoising alone: half of much is better than all of less
CLEANER = DENOISE.weights({"variant": PHOTO})


def possible(task: Task, controls: dict[str, Any], names: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """`controls` without a clean-up that there are no weights for among `names`, and what is to be said of that."""
    if not task.cleaning(controls) or CLEANER in names:
        return controls, []
    return {**controls, "cleanup": 0.0}, [f"nothing was cleaned up first: there are no weights {CLEANER}"]


def cleaner(work: Work, checkpoint: Checkpoint, network: nn.Module, harm: Harm | None) -> Work:
    """What cleans the photo of `work`, as much as its controls say; None: nobody knows what harms it.

    What nobody sees is filled from its visible surroundings already.
    """
    # a photo that looks clean is cleaned of a little, where somebody asks for that
    level = None if harm is None else round(min(max(told_of(harm, TOLD), LEAST_TOLD), MAX_SIGMA), 1)
    controls = DENOISE.checked(
        {"sigma": level, "strength": work.task.cleaning(work.controls), "variant": PHOTO, "wrap": work.wraps}
    )
    return Work(DENOISE, controls, Photo(work.colours), None, None, None, network, checkpoint, work.compute_on)


def cleaned_first(work: Work) -> Iterator[Progress]:
    """Shows the network of `work` the cleaned photo. What it is at strength 0 stays made of the photo itself."""
    if work.cleaner is None:
        return
    # tiles of the usual size, whatever was asked for: one level more or less here is several in what is made of it
    yield from tile_by_tile(work.cleaner, "auto")
    work.shown = work.cleaner.result
    for note in work.cleaner.notes:
        work.note(note)
