"""What is inside a denoising network while it works on one small photo: a few channels of every stage."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from deconvdemo.engine.compute import Compute
from deconvdemo.errors import CheckpointError
from deconvdemo.networks.deconv_unet import DeconvUNet

SHOWN = 4  # channels of each stage: those that vary most


@dataclass(frozen=True)
class Stage:
    """`maps` is (shown, height, width) uint8: 128 is zero, and the stage's largest value is 1 or 255."""

    kind: str  # as in networks.reach
    level: int  # 0: the photo's own pixels, 1: half of them a side, …
    channels: int  # that there are
    maps: np.ndarray


def feature_maps(network: nn.Module, compute_on: Compute, inputs: Tensor) -> tuple[list[Stage], Tensor]:
    """The stages of (1, image + side channels, H, W) in their order, and the estimate (1, image channels, H, W).

    CheckpointError for a network that has no such stages.
    """
    network = _unet(network)
    found: dict[str, Tensor] = {}
    names = list(_stages(network))

    def noting(name: str):
        def note(layer: nn.Module, given: object, result: Tensor) -> None:
            found[name] = result.detach()[0].float().cpu()

        return note

    for name, _, _ in names:
        network.get_submodule(name).register_forward_hook(noting(name))
    with torch.inference_mode(), compute_on.autocast():
        estimate = network(compute_on.images(inputs)).float().cpu()
    return [Stage(kind, level, len(found[name]), _drawn(found[name])) for name, kind, level in names], estimate


def _unet(network: nn.Module) -> DeconvUNet:
    """A copy: other photos pass through the network itself between its layers, and are nobody's to see."""
    for module in network.modules():
        if isinstance(module, DeconvUNet):
            return copy.deepcopy(module)
    raise CheckpointError(
        f"{type(network).__name__} serves here, whose inside this page cannot draw: a DeconvUNet's it can"
    )


def _stages(network: DeconvUNet) -> Iterator[tuple[str, str, int]]:
    """Layer, kind, level."""
    lowest = len(network.widths) - 1
    yield from ((f"encoder.{level}", "down", level) for level in range(lowest))
    yield "body", "body", lowest
    for place, level in enumerate(reversed(range(lowest))):
        yield f"up.{place}", "deconvolution", level
        yield f"decoder.{place}", "up", level
    yield "tail", "tail", 0


def _drawn(features: Tensor) -> np.ndarray:
    most = features.std(dim=(1, 2)).argsort(descending=True)[:SHOWN]
    shown = features[most.sort().values].numpy()
    largest = max(float(np.quantile(np.abs(shown), 0.995)), 1e-12)  # one wild value would leave the rest grey
    return (128 + 127 * np.clip(shown / largest, -1, 1)).round().astype(np.uint8)
