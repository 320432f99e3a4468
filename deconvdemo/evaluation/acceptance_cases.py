"""What a candidate is judged on: validation images, as the literature has them, and flags kept from training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.degradations.holes import random_masks
from deconvdemo.evaluation.protocols import IN_HOLES, Case, clean_cases, each_case
from deconvdemo.feedback.events.records import HOLES, SELF, Pair
from deconvdemo.tasks import TASKS


def validation_cases(checkpoint: Checkpoint, folder: Path) -> Iterator[Case]:
    """The literature's, and the images as they are: who brings a good photo must not see it change."""
    header = checkpoint.header
    yield from each_case(header.task, folder, {"scale": (header.scale,)}, header.variant)
    yield from clean_cases(header.task, folder)


def flag_case(pair: Pair, checkpoint: Checkpoint, number: int) -> Case | None:
    """A held-back flag as a case; None for one that has nothing to be judged by."""
    task, scale = TASKS[checkpoint.header.task], checkpoint.header.scale
    observed, mask = pair.observed, pair.mask
    controls = task.made_for(scale, "")
    target = pair.target
    if target is None:
        return None
    if pair.kind == SELF:
        made = task.degraded(target, controls, number)
        target, observed = made.clean, made.observed
    if pair.kind == HOLES:
        assert mask is not None
        side = max(mask.shape)
        cut = random_masks(np.random.default_rng(number), 1, side)[0][: mask.shape[0], : mask.shape[1]] > 0
        counts, mask = cut & ~mask, cut | mask
        if not counts.any():
            return None
    elif mask is not None:
        counts = mask
    if mask is not None:
        observed = np.where(mask[..., None], 0, observed).astype(np.uint8)

        def inside(restored: np.ndarray) -> dict[str, float]:
            return {IN_HOLES: task.psnr(restored, target, holes=counts)}

        return Case(pair.flag_id, "", observed, controls, inside, mask)

    def score(restored: np.ndarray) -> dict[str, float]:
        return {"PSNR": task.psnr(restored, target, scale)}

    if task.has("sigma") and pair.sigma is not None:
        controls |= {"sigma": pair.sigma}
    return Case(pair.flag_id, "", observed, controls, score)
