"""Decoder: Gaussian noise → a picture, by transposed convolutions alone.

The line of Radford et al. 2016 ("DCGAN"): each deconvolution doubles the grid. Each level also adds to the picture
itself, which is carried up beside the features (Karras et al. 2020's skip generator), so that it can be looked at as it
grows. There is no dense layer: noise on a larger grid gives a larger picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.networks.arguments import Argument, Whole, Wholes
from deconvdemo.networks.layers import deconvolution

SLOPE = 0.2  # of the leaky rectifiers, as in the article and in DCGAN
GRID = 4  # cells a side of the noise that a picture of the trained size grows from


class EvenDeconvolution(nn.Module):
    """Kernel 4, stride 2, and a flat field comes out flat whatever was learned.

    A kernel that the stride divides paints each pixel equally often, but not with equal weights: training may still
    draw a checkerboard. Here the weights of the four places within a cell sum to the same: what they differ is taken
    away.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.layer = deconvolution(channels_in, channels_out, kernel=4, stride=2, bias=True)

    def even_weight(self) -> Tensor:
        """(in, out, 4, 4)"""
        places = self.layer.weight.unflatten(3, (2, 2)).unflatten(2, (2, 2))  # (in, out, tap, place, tap, place)
        means = places.mean((2, 4), keepdim=True)
        return (places - means + means.mean((3, 5), keepdim=True)).flatten(4, 5).flatten(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        # the border is repeated: zeros around would be seen in every picture
        padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        return functional.conv_transpose2d(padded, self.even_weight(), self.layer.bias, stride=2, padding=3)


class Decoder(nn.Module):
    """(N, `latent`, H, W) of Gaussian noise → (N, 3, 2ⁿH, 2ⁿW) in [0, 1]; `widths`: channels of the n + 1 levels."""

    ARGUMENTS: ClassVar[dict[str, Argument]] = {"latent": Whole(1, 256), "widths": Wholes(1, 512, most=7)}
    scale = 1  # it is shown no picture that it would enlarge
    stride = 1
    image_channels, side_channels = 3, 0  # of what it gives

    def __init__(self, latent: int = 16, widths: Sequence[int] = (128, 96, 64, 32, 16)):
        super().__init__()
        self.latent, self.widths = latent, tuple(widths)
        self.head = _convolution(latent, widths[0])
        pairs = list(zip(self.widths, self.widths[1:], strict=False))
        self.up = nn.ModuleList(EvenDeconvolution(one, other) for one, other in pairs)
        self.mix = nn.ModuleList(_convolution(width, width) for width in self.widths[1:-1])
        self.pictures = nn.ModuleList(_convolution(width, 3) for width in widths)
        with torch.no_grad():  # each level starts as a little more than what came from below
            for weight in (one for name, one in self.pictures.named_parameters() if name.endswith("weight")):
                weight.mul_(0.3)

    @property
    def radius(self) -> int:
        """Cells of the noise that a pixel sees to each side, at most."""
        return 1 + 3 * len(self.widths)

    def noise(self, count: int, generator: torch.Generator, grid: int = GRID) -> Tensor:
        return torch.randn(count, self.latent, grid, grid, generator=generator)

    def forward(self, noise: Tensor) -> Tensor:
        return self.levels(noise)[-1]

    def levels(self, noise: Tensor) -> list[Tensor]:
        """The picture as it grows: of each level, in [0, 1]."""
        features = functional.leaky_relu(self.head(noise), SLOPE)
        picture = self.pictures[0](features)
        found = [picture]
        for up, mix, own in zip(self.up, [*self.mix, None], self.pictures[1:], strict=True):
            features = functional.leaky_relu(_normalised(up(features)), SLOPE)
            if mix is not None:  # the largest grid costs as much as all others: there, the deconvolution is enough
                features = functional.leaky_relu(mix(features), SLOPE)
            larger = functional.interpolate(picture, scale_factor=2.0, mode="bilinear", align_corners=False)
            picture = larger + own(features)
            found.append(picture)
        return [torch.sigmoid(one) for one in found]


def _convolution(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode="replicate")


def _normalised(features: Tensor) -> Tensor:
    """Each place's features at a length of its own (Karras et al. 2018): BatchNorm would see the batch's neighbours."""
    return features * torch.rsqrt(features.square().mean(1, keepdim=True) + 1e-8)
