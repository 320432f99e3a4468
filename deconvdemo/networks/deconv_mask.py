"""DeconvMask: where a photo is damaged. A convolutional encoder at half resolution, transposed convolutions back.

DeconvUNet's trunk (Ronneberger et al. 2015's form) with another beginning and end: cells of 2×2 pixels go in, since a
mask needs no single pixels and a quarter of the work is done; what comes out is one logit for each pixel.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.networks.arguments import Argument, Wholes
from deconvdemo.networks.deconv_unet import DeconvUNet
from deconvdemo.networks.layers import Halving, deconvolution, pad_to_multiple

CELL = 2  # pixels, of a side
RARE = -3.0  # the logit that it starts with everywhere: most of a photo is whole


class DeconvMask(DeconvUNet):
    """(N, 3, H, W) → (N, 1, H, W) float32, any H and W: logits, above 0 where damage is likelier than not.

    `widths` and `blocks` as in DeconvUNet; the first level has half the photo's resolution.
    """

    ARGUMENTS: ClassVar[dict[str, Argument]] = {
        "widths": Wholes(1, 1024, most=6),
        "blocks": Wholes(0, 32, most=6, or_one=True),
    }
    result_channels = 1

    def __init__(self, widths=(16, 32, 64, 128), blocks=(1, 2, 2, 2)):
        super().__init__(image_channels=3, side_channels=0, widths=widths, blocks=blocks)
        # the blocks have no biases: a channel of ones beside the image gives each layer a level to compare with
        self.head = Halving(self.image_channels + 1, self.widths[0])
        self.tail = deconvolution(self.widths[0], self.result_channels, kernel=3 * CELL, stride=CELL, bias=True)
        self.tail.bias = nn.Parameter(torch.full((self.result_channels,), RARE))

    @property
    def stride(self) -> int:
        return CELL * DeconvUNet.stride.fget(self)  # type: ignore[attr-defined]

    @property
    def radius(self) -> int:
        # DeconvUNet's, of which head and tail reach one cell each; here the head reaches none beyond its own
        return CELL * DeconvUNet.radius.fget(self) - 1  # type: ignore[attr-defined]

    def forward(self, inputs: Tensor) -> Tensor:
        height, width = inputs.shape[-2:]
        inputs = functional.pad(pad_to_multiple(inputs, self.stride) - 0.5, (0, 0, 0, 0, 0, 1), value=1.0)
        return self.tail(self.trunk(self.head(inputs))).to(torch.float32)[..., :height, :width]
