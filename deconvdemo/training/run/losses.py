"""What training minimises: the mean distance of the restored from the target, where the sample's weight says."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.training.samples.sample import Sample

ROUNDING = 1e-3  # a quarter of a grey level: within it Charbonnier's distance is round


def _l1(restored: Tensor, target: Tensor) -> Tensor:
    return functional.l1_loss(restored, target, reduction="none")


def _mse(restored: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(restored, target, reduction="none")


def _charbonnier(restored: Tensor, target: Tensor) -> Tensor:
    """L1 that is smooth around 0 (Charbonnier et al. 1994)."""
    return torch.sqrt((restored - target) ** 2 + ROUNDING**2)


LOSSES = {"l1": _l1, "charbonnier": _charbonnier, "mse": _mse}


def loss_and_weight(restored: Tensor, sample: Sample, kind: str) -> tuple[Tensor, Tensor]:
    """Two scalars: the sum of weighted distances, and that of the weights. Their ratio is the loss.

    Apart, so that shares of a batch add up to the batch: holes are larger in one share than in another.
    """
    distance = LOSSES[kind](restored.float(), sample.target)
    if sample.weight is None:
        return distance.sum(), distance.new_full((), distance.numel())
    weight = sample.weight.expand_as(distance)
    return (distance * weight).sum(), weight.sum()
