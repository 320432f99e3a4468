"""The laws that a candidate must keep, whatever it gains.

Finite everywhere, a flat field stays flat, strength 0 changes nothing, a tiled photo equals the whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.engine.rounding import Rounding
from deconvdemo.errors import DeconvdemoError
from deconvdemo.tasks import TASKS, Number


def broken_laws(checkpoint: Checkpoint, compute_on: Compute) -> list[str]:
    """A sentence for each law that the candidate breaks."""
    task, scale = TASKS[checkpoint.header.task], checkpoint.header.scale
    broken = []
    side = 96
    mask = np.zeros((side, side), bool)
    mask[30:60, 30:60] = True
    controls = usual_controls(checkpoint)
    given = mask if task.needs_mask else None
    photo = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    small, large = (Restorer.of(checkpoint, compute_on, tile) for tile in (32, 1024))
    try:
        for level in (0, 64, 128, 255):
            flat = np.full((side, side, 3), level, np.uint8)
            moved = large.restore(task.name, flat, given, **controls).photo.pixels.astype(int) - level
            inner = np.abs(moved[8 * scale : -8 * scale, 8 * scale : -8 * scale]).max()
            if inner > task.flat:
                broken.append(
                    f"a flat field of {level} is moved by {inner} grey levels, {task.flat:g} at most are allowed"
                )
                break
        whole = large.restore(task.name, photo, given, **controls).photo.pixels
        compared = Rounding()
        compared.add(small.restore(task.name, photo, given, **controls).photo.pixels, whole)
        if compared.broken():
            broken.append(f"a photo in tiles is not the whole photo: {compared.broken()}")
        if scale == 1:
            nothing = large.restore(task.name, photo, given, **{**controls, "strength": 0}).photo.pixels
            if not np.array_equal(nothing, photo):
                broken.append("strength 0 changes the photo")
    except DeconvdemoError as error:
        broken.append(f"it cannot restore: {error}")
    network = checkpoint.network()
    most = {one.name: one.maximum for one in task.controls if isinstance(one, Number) and one.automatic}
    for amplitude in (0.0, 1.0):
        inputs = torch.full((1, 3, 64, 64), amplitude)
        holes = torch.zeros(1, 1, 64, 64) if task.needs_mask else None
        with torch.inference_mode():
            out = network(task.inputs(inputs, holes, {**controls, **most}))
        if not torch.isfinite(out).all():
            broken.append("it gives numbers that are not finite")
            break
    return broken


def usual_controls(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a candidate is tried with where its case says nothing."""
    task, header = TASKS[checkpoint.header.task], checkpoint.header
    return {**task.usual, **task.made_for(header.scale, header.variant)}
