"""DeconvSR: a light residual trunk at low resolution and one learned deconvolution at the end.

FSRCNN's line (Dong et al. 2016): all features are computed on the small image, and a transposed convolution paints the
large one. The trunk's blocks follow RLFN (Kong et al. 2022). The network learns what bicubic upscaling misses.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.bicubic import resize
from deconvdemo.networks.layers import deconvolution


class LocalBlock(nn.Module):
    """Three 3×3 convolutions with a shortcut, then a 1×1 fusion (RLFN's block without its pooled attention)."""

    def __init__(self, channels: int):
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.fusion = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for convolution in self.convolutions:
            features = functional.leaky_relu(convolution(features), 0.05)
        return self.fusion(features + x)


class DeconvSR(nn.Module):
    """(N, 3, H, W) → (N, 3, scale·H, scale·W), any H and W; scale 2, 3 or 4.

    `channels` wide, `blocks` deep; the deconvolution's kernel is 3·scale, so each output pixel mixes 3×3 features.
    """

    stride = 1  # tiles may start anywhere on the small image
    side_channels = 0
    image_channels = 3
    outer_layers = ("head", "upsample")  # those that meet the image

    def __init__(self, scale: int = 2, channels: int = 48, blocks: int = 5):
        super().__init__()
        self.scale, self.channels, self.blocks = scale, channels, blocks
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.trunk = nn.Sequential(*(LocalBlock(channels) for _ in range(blocks)))
        self.join = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsample = deconvolution(channels, 3, kernel=3 * scale, stride=scale)

    @property
    def radius(self) -> int:
        """How far, in pixels of the small image, an output pixel can see (bicubic's two pixels are fewer)."""
        return 1 + 3 * self.blocks + 1 + 1

    def forward(self, images: Tensor) -> Tensor:
        # centred on grey: convolutions pad with zeros, and mid-grey is a gentler border than black
        features = self.head(images - 0.5)
        features = self.join(self.trunk(features)) + features
        correction = self.upsample(features).to(torch.float32)
        return resize(images.to(torch.float32), self.scale) + correction
