"""What training minimises: the mean distance of the restored from the target, where the sample's weight says."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.training.samples.sample import Sample

FEW = 50.0  # pixels: a patch with fewer marked is judged more mildly by Dice's coefficient
DICE = 0.3  # times Dice's part of the loss
ROUNDING = 1e-3  # a quarter of a grey level: within it Charbonnier's distance is round


def _l1(restored: Tensor, target: Tensor) -> Tensor:
    return functional.l1_loss(restored, target, reduction="none")


def _mse(restored: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(restored, target, reduction="none")


def _charbonnier(restored: Tensor, target: Tensor) -> Tensor:
    """L1 that is smooth around 0 (Charbonnier et al. 1994)."""
    return torch.sqrt((restored - target) ** 2 + ROUNDING**2)


def _bce_dice(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy, and of each patch 1 − Dice's coefficient (Milletari et al. 2016), for masks.

    Marks cover little of a photo: cross-entropy alone would be content to find none of the thin ones.
    """
    found = logits.sigmoid()
    both, either = (found * mask).sum((1, 2, 3), keepdim=True), (found + mask).sum((1, 2, 3), keepdim=True)
    dice = (2 * both + FEW) / (either + FEW)
    return functional.binary_cross_entropy_with_logits(logits, mask, reduction="none") + DICE * (1 - dice)


LOSSES = {"l1": _l1, "charbonnier": _charbonnier, "mse": _mse, "bce-dice": _bce_dice}


def loss_and_weight(restored: Tensor, sample: Sample, kind: str) -> tuple[Tensor, Tensor]:
    """Two scalars: the sum of weighted distances, and that of the weights. Their ratio is the loss.

    Apart, so that shares of a batch add up to the batch: holes are larger in one share than in another.
    """
    distance = LOSSES[kind](restored.float(), sample.target)
    if sample.weight is None:
        return distance.sum(), distance.new_full((), distance.numel())
    weight = sample.weight.expand_as(distance)
    return (distance * weight).sum(), weight.sum()
