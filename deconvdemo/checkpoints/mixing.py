"""Weights between two checkpoints: what was trained on for something new, and what it started from.

A network that was fine-tuned and its parent lie in one valley of the loss: a mean of their weights often has what the
one learned without what it forgot (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.checkpoints.header import Header
from deconvdemo.errors import CheckpointError, ControlError


def mixed(tuned: Checkpoint, parent: Checkpoint, share: float) -> tuple[Header, dict[str, Tensor]]:
    """`share`, in [0, 1], of `tuned` and the rest of `parent`, with a header that says so and has no figures yet.

    Where `tuned` sees more channels than `parent`, the parent's weights for them are zero, as fine-tuning begins.
    ControlError for a share outside of [0, 1], CheckpointError for networks that are not of one form.
    """
    if not 0 <= share <= 1:
        raise ControlError(f"--share is {share:g}, but it must be from 0 to 1: how much of the first file is taken")
    if parent.name != tuned.name or parent.header.network != tuned.header.network:
        raise CheckpointError(f"{parent.source} is {parent.name} and {tuned.source} {tuned.name}: like weights mix")
    tensors = {}
    for name, tensor in tuned.tensors.items():
        other = widened(parent.tensors.get(name), tensor)
        if other is None:
            raise CheckpointError(f"{parent.source} has no {name} like that of {tuned.source}: not of one form")
        tensors[name] = (share * tensor.float() + (1 - share) * other.float()).to(tensor.dtype)
    recipe = {**tuned.header.recipe, "mixed": f"{share:g} with {1 - share:g} of {parent.name} {parent.sha256[:12]}"}
    return replace(tuned.header, recipe=recipe, measured={}), tensors


def widened(given: Tensor | None, like: Tensor) -> Tensor | None:
    """`given` with zeros for the channels that only `like` sees, where they have no effect; None if it does not fit."""
    if given is None or given.shape == like.shape:
        return given
    same = given.dim() == like.dim() == 4 and given.shape[0] == like.shape[0] and given.shape[2:] == like.shape[2:]
    if not same or given.shape[1] > like.shape[1]:
        return None
    wide = torch.zeros_like(like)
    wide[:, : given.shape[1]] = given
    return wide
