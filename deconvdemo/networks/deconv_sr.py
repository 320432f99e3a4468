"""DeconvSR: a plain stack of 3×3 convolutions at low resolution and one learned deconvolution at the end.

FSRCNN's line (Dong et al. 2016): all features are computed on the small image, and a transposed convolution paints the
large one. The stack has no branches (SESR's collapsed form, Bhardwaj et al. 2022): each convolution starts as the
identity plus a little, so that it trains like a residual network and costs what its multiplications cost. The network
learns what bicubic upscaling misses. What else was tried is in docs/networks.md.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from deconvdemo.bicubic import resize
from deconvdemo.networks.arguments import Argument, Whole
from deconvdemo.networks.layers import deconvolution

SLOPE = 0.1  # of the leaky rectifiers


class DeconvSR(nn.Module):
    """(N, 3 + side channels, H, W) → (N, 3, scale·H, scale·W), any H and W; scale 2, 3 or 4.

    `channels` wide, `depth` convolutions deep; the deconvolution's kernel is 3·scale, so each output pixel mixes 3×3
    features. A side channel is the level, in [0, 1], of what is to be cleaned up (below 0: unknown);
    one that the network was not made for is passed over.
    """

    ARGUMENTS: ClassVar[dict[str, Argument]] = {
        "scale": Whole(1, 8),
        "channels": Whole(1, 1024),
        "depth": Whole(0, 128),
        "side_channels": Whole(0, 4),
    }
    stride = 1  # tiles may start anywhere on the small image
    image_channels = 3
    side_channels: int
    outer_layers = ("head", "upsample")  # those that meet the image

    def __init__(self, scale: int = 2, channels: int = 48, depth: int = 15, side_channels: int = 0):
        super().__init__()
        self.scale, self.channels, self.depth, self.side_channels = scale, channels, depth, side_channels
        self.head = nn.Conv2d(self.image_channels + side_channels, channels, 3, padding=1)
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [_near_identity(channels), nn.LeakyReLU(SLOPE)]
        self.trunk = nn.Sequential(*layers)
        self.join = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsample = deconvolution(channels, 3, kernel=3 * scale, stride=scale)
        with torch.no_grad():  # start near "no correction"
            self.upsample.weight.mul_(0.1)

    @property
    def radius(self) -> int:
        """How far, in pixels of the small image, an output pixel can see (bicubic's two pixels are fewer)."""
        return 1 + self.depth + 1 + 1

    def forward(self, inputs: Tensor) -> Tensor:
        correction = self.upsample(self.features(inputs)).to(torch.float32)
        return resize(inputs[:, : self.image_channels].to(torch.float32), self.scale) + correction

    def features(self, inputs: Tensor) -> Tensor:
        """(N, channels, H, W): what the deconvolution paints with."""
        images, side = inputs[:, : self.image_channels], inputs[:, self.image_channels :][:, : self.side_channels]
        # centred on grey: convolutions pad with zeros, and mid-grey is a gentler border than black
        first = self.head(torch.cat([images - 0.5, side], dim=1))
        return self.join(self.trunk(first)) + first


def _near_identity(channels: int) -> nn.Conv2d:
    """A 3×3 convolution that starts as x + a little: residual blocks' advantage without their additions."""
    layer = nn.Conv2d(channels, channels, 3, padding=1)
    with torch.no_grad():
        layer.weight.mul_(0.5)
        layer.weight[range(channels), range(channels), 1, 1] += 1.0
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
