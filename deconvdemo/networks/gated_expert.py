"""A network that stays as it is, an expert for what it does badly, and a gate that says where the expert counts.

A mixture of two experts (Jacobs et al. 1991) of which one learns no more: what people flagged makes the next weights,
and wherever the gate is closed the result is the old one. The gate closes and opens fully, so a photo
that is all of one kind costs one network and the gate, not two.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.networks.arguments import Argument, Inner, NetworkKind
from deconvdemo.networks.deconv_sr import DeconvSR
from deconvdemo.networks.deconv_unet import DeconvUNet
from deconvdemo.networks.layers import Halving, pad_to_multiple

SHUT = -0.5  # a logit up to which the gate is shut; from its negative on it is open

KINDS: dict[str, type[DeconvUNet] | type[DeconvSR]] = {"DeconvUNet": DeconvUNet, "DeconvSR": DeconvSR}


class Gate(nn.Module):
    """(N, image + side channels, H, W), sides divisible by `cell` → (N, 1, H / cell, W / cell) logits.

    Above 0 is where the expert counts. What tells noise, JPEG and a clean photo apart is how neighbours differ: with
    that shown, it learns in a few hundred steps what it does not from the pixels alone.
    """

    cell = 8
    # two 3×3 convolutions on cells of 4 pixels, three on cells of 8, the slope between cells, and a cell's own pixels
    radius = 2 * 4 + 3 * 8 + 8 + 7

    def __init__(self, image_channels: int, side_channels: int, width: int = 32):
        super().__init__()
        self.cells = nn.PixelUnshuffle(4)
        self.differences = Differences(image_channels)
        self.layers = nn.Sequential(
            nn.Conv2d(16 * (image_channels + side_channels) + self.differences.channels, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            Halving(width, width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 3, padding=1),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        cells = self.cells(inputs)
        return self.layers(torch.cat([cells, self.differences(cells)], dim=1)).to(torch.float32)


class Differences(nn.Module):
    """(N, 16·C, h, w) cells of 4×4 pixels → how much neighbours differ in each, of order 1: (N, 28·C, h, w).

    Of each channel the 12 differences across, the 12 down, and the roots of the 4 crossed second differences, by which
    noise is measured (Immerkær 1996).
    """

    weight: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.channels = 28 * channels
        pixels = np.eye(16).reshape(16, 4, 4)
        across, down = 5 * np.diff(pixels, axis=2), 5 * np.diff(pixels, axis=1)
        crossed = 20 / 6 * np.diff(np.diff(pixels, 2, axis=1), 2, axis=2)
        kinds = [np.kron(np.eye(channels), kind.reshape(16, -1).T) for kind in (across, down, crossed)]
        weight = torch.from_numpy(np.concatenate(kinds)).float()[..., None, None]
        self.register_buffer("weight", weight, persistent=False)
        self.linear = 24 * channels

    def forward(self, cells: Tensor) -> Tensor:
        # two pixels of almost the same value have no difference in bf16
        with torch.autocast(cells.device.type, enabled=False):
            found = functional.conv2d(cells[:, : self.weight.shape[1]].to(self.weight.dtype), self.weight).abs_()
        found[:, self.linear :].sqrt_()
        return found


class GatedExpert(nn.Module):
    """(N, image + side channels, H, W) → what the base network gives, or the expert, or between.

    `network` is the kind of both, "DeconvUNet" or "DeconvSR"; `base` and `expert` are their arguments. The base is not
    trained any more, and the gate by itself, before the expert.
    """

    ARGUMENTS: ClassVar[dict[str, Argument]] = {
        "network": NetworkKind(KINDS),
        "base": Inner("network", KINDS),
        "expert": Inner("network", KINDS),
    }

    def __init__(self, network: str, base: dict, expert: dict):
        super().__init__()
        self.base, self.expert = (KINDS[network](**numbers) for numbers in (base, expert))
        told = [(one.scale, one.image_channels, one.side_channels) for one in (self.base, self.expert)]
        if told[0] != told[1]:
            raise ValueError(
                f"its base has scale, image and side channels {told[0]}, and its expert {told[1]}: they are to be alike"
            )
        self.base.requires_grad_(False)
        self.scale = self.base.scale
        self.image_channels, self.side_channels = self.base.image_channels, self.base.side_channels
        self.gate = Gate(self.image_channels, self.side_channels)
        self.gate.requires_grad_(False)
        self.outer_layers = tuple(f"expert.{layer}" for layer in self.expert.outer_layers)

    @property
    def stride(self) -> int:
        return math.lcm(self.base.stride, self.expert.stride, self.gate.cell)

    @property
    def radius(self) -> int:
        return max(self.base.radius, self.expert.radius, self.gate.radius)

    def forward(self, inputs: Tensor) -> Tensor:
        inputs = inputs[:, : self.image_channels + self.side_channels]
        opening = self.opening(inputs)
        if not torch.is_grad_enabled():  # training never looks at a number: a GPU would wait for it
            lowest, highest = opening.aminmax()
            if highest == 0 or lowest == 1:
                return (self.base if highest == 0 else self.expert)(inputs)
        with torch.no_grad():
            kept = self.base(inputs)
        # where the opening is 0 or 1, lerp gives the one or the other exactly
        return torch.lerp(kept, self.expert(inputs), opening)

    def opening(self, inputs: Tensor) -> Tensor:
        """(N, 1, scale·H, scale·W) in [0, 1], how far the expert counts: shut up to a logit of -0.5, open from 0.5."""
        height, width = inputs.shape[-2:]
        logits = self.gate(pad_to_multiple(inputs, self.gate.cell))
        # steps of eighths are exact, and at scale 3 its pixels repeat: here tiles and the whole round alike
        smooth = functional.interpolate(logits, scale_factor=float(self.gate.cell), mode="bilinear")
        smooth = smooth[..., :height, :width].repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
        return (smooth - SHUT).clamp(0, 1)
