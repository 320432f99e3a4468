"""The layers the networks share, and the reason for each of their numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def deconvolution(channels_in: int, channels_out: int, kernel: int, stride: int, bias: bool = False):
    """A learned upsampling by `stride`: `ConvTranspose2d`, starting without a checkerboard.

    The kernel must be a multiple of the stride, else outputs overlap unevenly and draw a checkerboard (Odena et al.
    2016). It starts with one value for all positions that an input pixel paints, so that a flat field comes out
    flat before training, too (Aitken et al. 2017 start sub-pixel convolutions so).
    """
    if kernel % stride or (kernel - stride) % 2:
        raise ValueError(f"kernel {kernel} is not a multiple of stride {stride} that centres: a checkerboard")
    kind = SubPixelDeconvolution if kernel // stride == 3 else nn.ConvTranspose2d
    layer = kind(channels_in, channels_out, kernel, stride, (kernel - stride) // 2, bias=bias)
    taps = kernel // stride
    with torch.no_grad():
        coarse = torch.empty(channels_in, channels_out, taps, taps)
        nn.init.normal_(coarse, std=(channels_in * taps * taps) ** -0.5)
        layer.weight.copy_(coarse.repeat_interleave(stride, 2).repeat_interleave(stride, 3))
    return layer


class SubPixelDeconvolution(nn.ConvTranspose2d):
    """A transposed convolution of kernel 3·stride that rounds alike on images of most sizes.

    Computed as the 3×3 convolution and sub-pixel shuffle that it equals (Shi et al. 2016): in fp32 on two threads,
    oneDNN's transposed one sums in another order for some sizes.
    """

    def forward(self, x: Tensor, output_size=None) -> Tensor:
        stride = self.stride[0]
        cells = self.weight.unflatten(3, (3, stride)).unflatten(2, (3, stride)).flip(2, 4)
        weight = cells.permute(1, 3, 5, 0, 2, 4).reshape(-1, self.in_channels, 3, 3)
        bias = None if self.bias is None else self.bias.repeat_interleave(stride * stride)
        return functional.pixel_shuffle(functional.conv2d(x, weight, bias, padding=1), stride)


class Halving(nn.Conv2d):
    """A 2×2 convolution of stride 2 that rounds alike on images of most sizes, as tiles and the whole photo should.

    Computed as a 1×1 convolution of the 2×2 cells: in bf16, oneDNN's strided one sums in another order for some sizes.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 2, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # channels lie innermost in memory: two pixels of a row, with all their channels, are copied at a time
        count, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(count, height // 2, 2, width // 2, 2, channels)
        cells = rows.permute(0, 1, 3, 2, 4, 5).reshape(count, height // 2, width // 2, 4 * channels).permute(0, 3, 1, 2)
        return functional.conv2d(cells, self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, -1, 1, 1))


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3×3, without biases (Lim et al. 2017's block, bias-free as in DRUNet)."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        # the block begins as the identity: a deep stack trains from the first step (Zhang et al. 2019, "Fixup"), and a
        # trained network that gets more blocks starts where it was
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        # in place: on a CPU, fresh memory costs as much as a convolution of 32 channels
        return self.second(functional.relu(self.first(x), inplace=True)).add_(x)


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Repeats the last row and column until both sides divide by `multiple` (reflection fails on tiny images)."""
    height, width = images.shape[-2:]
    down, right = -height % multiple, -width % multiple
    if not (down or right):
        return images
    return functional.pad(images, (0, right, 0, down), mode="replicate")
