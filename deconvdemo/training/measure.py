"""Measuring a network while it trains, by the protocol that `evaluate` prints."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from deconvdemo.checkpoints import Checkpoint, Header
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.training.evaluate import evaluate, network_method
from deconvdemo.training.protocols import cases
from deconvdemo.training.recipes import Recipe


class OneNetwork:
    """In place of `Weights`: a network that has no file yet."""

    def __init__(self, header: Header, tensors: dict[str, torch.Tensor]):
        # rounded as the file will be, so that what is logged is what will be served
        rounded = {name: tensor.to(torch.bfloat16).cpu() for name, tensor in tensors.items()}
        self.checkpoint = Checkpoint(header, rounded, sha256="", source="training")

    def names(self) -> list[str]:
        return [self.checkpoint.name]

    asked_for = names

    def load(self, name: str) -> Checkpoint:
        return self.checkpoint


def measured(network: nn.Module, recipe: Recipe, images: Path, compute_on: Compute) -> dict[str, float]:
    """ "FOLDER SETTING MEASURE" → mean over `images`, such as "set5 ×2 PSNR"."""
    header = Header(recipe.network, recipe.config, recipe.task, recipe.scale, recipe.variant)
    restorer = Restorer(OneNetwork(header, network.state_dict()), compute_on)  # type: ignore[arg-type]
    found = cases(recipe.task, images, (15.0, 25.0, 50.0), (recipe.scale,))
    scores = evaluate(recipe.name, network_method(recipe.task, restorer), found)
    return {
        f"{images.name} {score.setting} {what}": round(value, 4)
        for score in scores
        for what, value in score.measured.items()
    }
