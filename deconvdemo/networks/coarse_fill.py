"""A first guess for lost pixels: what inpainting's network starts from, in place of black.

Normalised convolution (Knutsson & Westin, CVPR 1993): a blur of the known pixels over the same blur of where pixels are
known, so that lost ones count for nothing. From wide blurs to narrow ones, each finer guess replaces the coarser as far
as it has known pixels to go by. Only a fixed distance is looked at, so that tiles can be computed alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.networks.layers import pad_to_multiple

CELL = 4  # wide blurs are computed on cells of 4×4 pixels: tiles start at their multiples
WIDE, NARROW = (8, 4, 2), (4, 2, 1)  # radii of the boxes, in cells and in pixels
TRUST = 0.05  # share of known pixels at which a finer guess counts as much as the coarser one
REACH = CELL * (2 * WIDE[0] + 2)  # pixels: two passes of the widest box, and a cell for interpolation at each end


def coarse_fill(observed: Tensor, holes: Tensor) -> Tensor:
    """(N, C, H, W) with a smooth guess where `holes` (N, 1, H, W) is 1, and `observed` untouched elsewhere.

    What `observed` holds in the holes has no influence. Farther than REACH from every known pixel the guess is 0.
    """
    height, width = observed.shape[-2:]
    known = pad_to_multiple(1 - holes, CELL)
    seen = pad_to_multiple(observed * (1 - holes), CELL) * known
    guess = _refined(None, functional.avg_pool2d(seen, CELL), functional.avg_pool2d(known, CELL), WIDE)
    guess = functional.interpolate(guess, scale_factor=CELL, mode="bilinear")
    guess = _refined(guess, seen, known, NARROW)[..., :height, :width]
    return torch.where(holes > 0, guess, observed)


def _refined(guess: Tensor | None, seen: Tensor, known: Tensor, radii: tuple[int, ...]) -> Tensor:
    for radius in radii:
        share = _blurred(known, radius)
        mean = _blurred(seen, radius) / share.clamp(min=1e-6)
        trust = (share > 1e-6) * (share / (share + TRUST))
        guess = mean * (share > 1e-6) if guess is None else guess + (mean - guess) * trust
    assert guess is not None
    return guess


def _blurred(images: Tensor, radius: int) -> Tensor:
    """Two passes of a box of 2·radius + 1, with zeros around the image."""
    for axis in (3, 2, 3, 2):
        images = _box(images, radius, axis)
    return images


def _box(images: Tensor, radius: int, axis: int) -> Tensor:
    # by adding up shifted slices: twice as quick as torch's average pooling, and as indifferent to the image's size
    length, around = images.shape[axis], (radius, radius)
    padded = functional.pad(images, around if axis == 3 else (0, 0, *around))
    total = padded.narrow(axis, 0, length).clone()
    for shift in range(1, 2 * radius + 1):
        total.add_(padded.narrow(axis, shift, length))
    return total.div_(2 * radius + 1)
