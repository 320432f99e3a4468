"""What a candidate is judged on: validation images, as the literature has them, and flags kept from training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.degradations import BicubicDownscale
from deconvdemo.degradations.holes import random_masks
from deconvdemo.evaluation.comparison import CLEAN
from deconvdemo.evaluation.photo_protocols import variant_cases
from deconvdemo.evaluation.protocols import SIGMAS, Case, as_images, eight_bits
from deconvdemo.feedback.events.records import HOLES, SELF, Pair
from deconvdemo.image.metrics import task_psnr
from deconvdemo.image.photo import to_depth


def validation_cases(checkpoint: Checkpoint, folder: Path) -> Iterator[Case]:
    """The literature's, and for denoising the images as they are: who brings a good photo must not see it change."""
    header = checkpoint.header
    yield from variant_cases(header.variant, header.task, folder, SIGMAS, (header.scale,))
    if header.task == "denoise":
        for case in variant_cases("", header.task, folder, (0.0,), (1,)):
            clean = "sigma" in case.controls  # else a pair of real photos, which has noise
            if clean:
                yield replace(case, setting=CLEAN, observed=to_depth(case.observed, np.uint8), controls={})


def flag_case(pair: Pair, checkpoint: Checkpoint, number: int) -> Case | None:
    """A held-back flag as a case; None for one that has nothing to be judged by."""
    task, scale = checkpoint.header.task, checkpoint.header.scale
    observed, mask = pair.observed, pair.mask
    controls: dict[str, Any] = {}
    target = pair.target
    if target is None:
        return None
    if pair.kind == SELF:
        images, shrink = as_images(target), BicubicDownscale(scale)
        target, observed = (eight_bits(made) for made in (shrink.crop(images), shrink(images)))
    if task == "upscale":
        controls = {"scale": scale}
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
            return {"PSNR in holes": task_psnr(task, restored, target, holes=counts)}

        return Case(pair.flag_id, "", observed, controls, inside, mask)

    def score(restored: np.ndarray) -> dict[str, float]:
        return {"PSNR": task_psnr(task, restored, target, scale)}

    if task == "denoise" and pair.sigma is not None:
        controls = {"sigma": pair.sigma}
    return Case(pair.flag_id, "", observed, controls, score)
