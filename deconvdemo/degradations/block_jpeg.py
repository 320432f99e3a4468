"""JPEG's loss in tensors, for many patches at once on any device: what a file would do, without the file.

ITU-T T.81 as libjpeg does it: BT.601 colours rounded to 8 bits, chroma averaged over the pixels that share one, the
cosine transform of 8×8 blocks rounded to multiples of the quality's tables, and chroma enlarged by the triangle filter
that libjpeg calls fancy. What entropy coding does costs nothing and is left out. libjpeg computes in whole numbers:
most values are equal, some differ by a grey level or two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from deconvdemo.cosines import BLOCK, cosines
from deconvdemo.degradations.jpeg import GRID
from deconvdemo.units import GREY_LEVELS, LUMA

# T.81's example tables (annex K), which libjpeg scales by the quality
LIGHTNESS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
COLOUR = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
TO_YCC = (LUMA, (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))
HALVED = ((), (3,), (3, 2))  # the axes along which a subsampling of 0, 1, 2 halves chroma


@dataclass(frozen=True)
class BlockJpeg:
    """`Jpeg` without a file: the same parameters, each a number or one of each image, on the images' device."""

    quality: float | Tensor
    subsampling: int | Tensor = 2
    down: int | Tensor = 0
    right: int | Tensor = 0

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, 3, H, W) in [0, 1] → the same shape, of multiples of 1/255 in [0, 1]."""
        count, _, height, width = clean.shape
        quality, subsampling, down, right = (
            torch.as_tensor(value, device=clean.device).reshape(-1).expand(count).round()
            for value in (self.quality, self.subsampling, self.down, self.right)
        )
        pixels = (clean.clamp(0, 1) * GREY_LEVELS).round()
        # a grid that begins within the image begins before it, where its edge goes on
        still = isinstance(self.down, int) and isinstance(self.right, int) and self.down == self.right == 0
        above, before = (-down % GRID).long(), (-right % GRID).long()
        rows, columns = ((math.ceil((side + (0 if still else GRID - 1)) / GRID) * GRID) for side in (height, width))
        shown = _moved(pixels, above, before, rows, columns)
        light, colours = _ycc(shown)
        scale = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality).view(-1, 1, 1, 1, 1, 1)
        light = _through(light, _tables(LIGHTNESS, scale))
        read: Tensor | None = None
        for kind, axes in enumerate(HALVED):
            halved = colours
            for axis in axes:
                halved = 0.5 * (halved.unflatten(axis, (-1, 2)).sum(axis + 1))
            halved = _through(halved.round() if axes else halved, _tables(COLOUR, scale))
            for axis in reversed(axes):
                halved = _enlarged(halved, axis)
            halved = halved.round()
            read = halved if read is None else torch.where(subsampling.view(-1, 1, 1, 1) == kind, halved, read)
        assert read is not None
        back = _rgb(light, read)
        return _moved(back, -above, -before, height, width) / GREY_LEVELS


def _moved(images: Tensor, down: Tensor, right: Tensor, height: int, width: int) -> Tensor:
    """(N, C, height, width): each image (N, C, H, W) moved by its own number of pixels, its edges going on around."""
    count, channels, h, w = images.shape
    rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, h - 1)
    columns = (torch.arange(width, device=images.device) - right[:, None]).clamp(0, w - 1)
    places = (rows[:, :, None] * w + columns[:, None, :]).view(count, 1, -1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, places).view(count, channels, height, width)


def _ycc(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Lightness (N, 1, H, W) and colours (N, 2, H, W), whole numbers around 0."""
    red, green, blue = pixels.unbind(1)
    y, cb, cr = ((r * red).add_(green, alpha=g).add_(blue, alpha=b).round_() for r, g, b in TO_YCC)
    return y.sub_(128).unsqueeze(1), torch.stack([cb, cr], 1).clamp_(max=127)


def _rgb(light: Tensor, colours: Tensor) -> Tensor:
    y, cb, cr = light.squeeze(1) + 128, colours[:, 0], colours[:, 1]
    red, green, blue = (y.add(cb, alpha=b).add_(cr, alpha=r) for _, b, r in TO_RGB)
    return torch.stack([red, green, blue], 1).round_().clamp_(0, GREY_LEVELS)


def _tables(table: tuple[tuple[int, ...], ...], scale: Tensor) -> Tensor:
    """(N, 1, 1, 8, 1, 8): the steps of each image's coefficients."""
    base = _constant(table, scale.device).view(1, 1, 1, BLOCK, 1, BLOCK)
    return ((base * scale + 50) / 100).floor().clamp(1, 255)


def _through(planes: Tensor, steps: Tensor) -> Tensor:
    """(N, C, H, W) of sides that divide by 8 → what is left of them when their coefficients are whole `steps`."""
    blocks = planes.unflatten(3, (-1, BLOCK)).unflatten(2, (-1, BLOCK))  # (N, C, h, 8, w, 8)
    basis = _constant(cosines(), planes.device)
    found = torch.matmul(basis, torch.matmul(blocks, basis.T).flatten(4)).view(blocks.shape)
    kept = (found / steps).round_().mul_(steps)
    back = torch.matmul(basis.T, torch.matmul(kept, basis).flatten(4)).view(blocks.shape)
    return back.flatten(4).flatten(2, 3).round_().clamp_(-128, 127)


def _enlarged(planes: Tensor, axis: int) -> Tensor:
    """Twice as long: each new value is three parts of its old one and one part of the nearer neighbour."""
    length = planes.shape[axis]
    before = torch.cat([planes.narrow(axis, 0, 1), planes.narrow(axis, 0, length - 1)], axis)
    after = torch.cat([planes.narrow(axis, 1, length - 1), planes.narrow(axis, length - 1, 1)], axis)
    both = torch.stack([planes.lerp(before, 0.25), planes.lerp(after, 0.25)], axis + 1)
    return both.flatten(axis, axis + 1)


@cache
def _constant(table: tuple[tuple[float, ...], ...], device: torch.device) -> Tensor:
    return torch.tensor(table, dtype=torch.float32, device=device)
