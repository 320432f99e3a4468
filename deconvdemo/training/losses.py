"""What training minimises: the mean distance of the restored from the target, where the sample's weight says."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.training.samples import Sample

ROUNDING = 1e-3  # a quarter of a grey level: within it Charbonnier's distance is round


def _l1(restored: Tensor, target: Tensor) -> Tensor:
    return functional.l1_loss(restored, target, reduction="none")


def _mse(restored: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(restored, target, reduction="none")


def _charbonnier(restored: Tensor, target: Tensor) -> Tensor:
    """L1 that is smooth around 0 (Charbonnier et al. 1994)."""
    return torch.sqrt((restored - target) ** 2 + ROUNDING**2)


LOSSES = {"l1": _l1, "charbonnier": _charbonnier, "mse": _mse}


GATE = 0.1  # how much the gate's loss counts beside the picture's
DOUBT = 2.0  # times as much counts a gate that opens wrongly: in doubt, what served before goes on serving


def gate_loss(logits: Tensor, flagged: Tensor) -> Tensor:
    """The sum over patches of a gate's cross entropy, (N, 1, h, w) logits against (N,) of 0 and 1."""
    told = flagged.view(-1, 1, 1, 1).expand_as(logits)
    each = functional.binary_cross_entropy_with_logits(
        logits, told, torch.where(told > 0, 1.0, DOUBT), reduction="none"
    )
    return GATE * each.mean(dim=(1, 2, 3)).sum()


def loss_and_weight(restored: Tensor, sample: Sample, kind: str) -> tuple[Tensor, Tensor]:
    """Two scalars: the sum of weighted distances, and that of the weights. Their ratio is the loss.

    Apart, so that shares of a batch add up to the batch: holes are larger in one share than in another.
    """
    distance = LOSSES[kind](restored.float(), sample.target)
    if sample.weight is None:
        return distance.sum(), distance.new_full((), distance.numel())
    weight = sample.weight.expand_as(distance)
    return (distance * weight).sum(), weight.sum()
