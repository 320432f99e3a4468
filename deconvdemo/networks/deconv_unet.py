"""DeconvUNet: strided convolutions down, transposed convolutions up, residual blocks between.

The line of FFDNet (Zhang et al. 2018: a noise level as an input channel) and DRUNet (Zhang et al. 2021: a U-Net of
residual blocks without biases, so that scaling the input and sigma scales the output and one network serves every
sigma). Nothing is normalised or pooled over space, so a tile with enough surroundings is the whole's.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from deconvdemo.networks.arguments import Argument, Whole, Wholes
from deconvdemo.networks.layers import Halving, ResidualBlock, deconvolution, pad_to_multiple


class DeconvUNet(nn.Module):
    """(N, image + side channels, H, W) → (N, image channels, H, W), any H and W.

    `side_channels` ride along with the image: sigma as a constant map for denoising, the mask for inpainting.
    `widths` are the channels of each level, `blocks` the residual blocks of each level, on the way down and again on
    the way up (one number: of all levels).
    """

    ARGUMENTS: ClassVar[dict[str, Argument]] = {
        "image_channels": Whole(1, 4),
        "side_channels": Whole(0, 4),
        "widths": Wholes(1, 1024, most=7),
        "blocks": Wholes(0, 32, most=7, or_one=True),
    }
    scale = 1
    outer_layers = ("head", "tail")  # those that meet the image

    def __init__(self, image_channels: int = 3, side_channels: int = 1, widths=(32, 64, 128, 256), blocks=2):
        super().__init__()
        self.image_channels, self.side_channels = image_channels, side_channels
        self.widths = tuple(widths)
        self.blocks = (blocks,) * len(self.widths) if isinstance(blocks, int) else tuple(blocks)
        steps = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        levels = list(zip(self.widths, self.blocks, strict=True))

        def level(width: int, blocks: int) -> nn.Sequential:
            return nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))

        self.head = nn.Conv2d(image_channels + side_channels, self.widths[0], 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(level(*each) for each in levels[:-1])
        self.down = nn.ModuleList(Halving(a, b) for a, b in steps)
        self.body = level(*levels[-1])
        self.up = nn.ModuleList(deconvolution(b, a, kernel=2, stride=2) for a, b in reversed(steps))
        self.decoder = nn.ModuleList(level(*each) for each in reversed(levels[:-1]))
        self.tail = nn.Conv2d(self.widths[0], image_channels, 3, padding=1, bias=False)
        with torch.no_grad():  # as in ResidualBlock: start near "no correction"
            self.tail.weight.mul_(0.1)

    @property
    def stride(self) -> int:
        """Tiles must start at multiples of this many pixels to meet the same sampling grid as the whole image."""
        return 2 ** (len(self.widths) - 1)

    @property
    def radius(self) -> int:
        """How far, in pixels, an output pixel can see: tiles must overlap by at least this much."""
        # two 3×3 convolutions a block, each reaching one pixel of its level
        once = [2 * blocks * 2**level for level, blocks in enumerate(self.blocks)]
        # all levels but the lowest are passed twice; head and tail reach one pixel each; a 2×2 cell on any level shares
        # up to stride - 1 pixels
        return 2 + 2 * sum(once[:-1]) + once[-1] + self.stride - 1

    def forward(self, inputs: Tensor) -> Tensor:
        height, width = inputs.shape[-2:]
        inputs = pad_to_multiple(inputs, self.stride)
        # the correction is added in the input's own precision: bf16 holds a small correction well, a bright pixel badly
        correction = self.tail(self.trunk(self.head(inputs))).to(torch.float32)
        restored = inputs[:, : self.image_channels].to(torch.float32) + correction
        return restored[..., :height, :width]

    def trunk(self, features: Tensor) -> Tensor:
        """(N, widths[0], H, W) → the same shape, down all levels and up again."""
        skips = []
        for level, down in zip(self.encoder, self.down, strict=True):
            features = level(features)
            skips.append(features)
            features = down(features)
        features = self.body(features)
        for up, level in zip(self.up, self.decoder, strict=True):
            features = level(up(features) + skips.pop())
        return features
