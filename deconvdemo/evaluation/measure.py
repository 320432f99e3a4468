"""Measuring one network as `evaluate` does, with a file or without: what its header says is what `evaluate` prints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from torch import nn

from deconvdemo.checkpoints.checkpoint import Checkpoint, Header, as_stored
from deconvdemo.engine.device import Compute, choose
from deconvdemo.engine.restorer import Restorer
from deconvdemo.evaluation import scratches
from deconvdemo.evaluation.evaluate import Score, evaluate, network_method
from deconvdemo.evaluation.protocols import Case, Values, each_case
from deconvdemo.tasks.helpers import FINDERS


def measured(network: nn.Module, header: Header, images: Path, compute_on: Compute) -> dict[str, float]:
    """ "FOLDER SETTING MEASURE" → mean over `images`, such as "set5 ×2 PSNR", of a network that trains.

    It is rounded as its file will be, and runs in the precision that serves on this device, whichever trains it.
    """
    checkpoint = Checkpoint(header, as_stored(network.state_dict()), sha256="", source="training")
    scores = network_scores(checkpoint, images, choose(compute_on.device))
    return figures((images.name, score.setting, score.measured) for score in scores)


def network_scores(
    checkpoint: Checkpoint, images: Path, compute_on: Compute, values: Values | None = None
) -> list[Score]:
    """What `checkpoint` reaches on a folder of images, by the protocol of its task and variant."""
    header = checkpoint.header
    if header.task in FINDERS:
        return scratches.evaluate(Restorer.of(checkpoint, compute_on).find_scratches, images)
    found = each_case(header.task, images, {**(values or {}), "scale": (header.scale,)}, header.variant)
    return evaluate(header.name, restoring(checkpoint, compute_on), found)


def restoring(checkpoint: Checkpoint, compute_on: Compute, tile: str | int = "auto") -> Callable[[Case], np.ndarray]:
    """What a Restorer makes of a case with `checkpoint`, as `evaluate` takes it."""
    return network_method(checkpoint.header.task, Restorer.of(checkpoint, compute_on, tile))


def figures(rows: Iterable[tuple[str, str, Mapping[str, float]]]) -> dict[str, float]:
    """(set, setting, measured) as a header keeps them: without infinite PSNR (of a perfect result), unknown to JSON."""
    return {
        f"{images} {setting} {what}": value
        for images, setting, measured in rows
        for what, value in measured.items()
        if math.isfinite(value)
    }
