"""A photo is not periodic: extended beyond its borders it is, and no edge rings from there.

The line of Reeves ("Fast image restoration without boundary artifacts", IEEE TIP 2005) and Liu & Jia ("Reducing
boundary artifacts in image deconvolution", ICIP 2008): the photo goes on beyond its borders, ever softer, until it
meets the opposite ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deconvdemo.deconvolution.operators import mirrored

LEAST = 8  # pixels


def extended(photo: Tensor, kernel: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, H + h, W + w), which repeats without a seam: what is added is below and to the right."""
    for axis, taps in ((-2, kernel.shape[0]), (-1, kernel.shape[1])):
        photo = _closed(photo, axis, max(LEAST, 2 * taps))
    return photo


def cropped(image: Tensor, like: Tensor) -> Tensor:
    """The part that is the photo."""
    return image[..., : like.shape[-2], : like.shape[-1]]


def _closed(photo: Tensor, axis: int, added: int) -> Tensor:
    """From the last row or column, mirrored, to the first one, mirrored, by a smooth change from one to the other."""
    length = photo.shape[axis]
    steps = torch.arange(added, device=photo.device)
    after, before = (mirrored(steps + length, length), mirrored(steps - added, length))
    share = (1 - torch.cos(torch.pi * (steps + 1) / (added + 1))) / 2
    share = share.to(photo.dtype).view([-1 if one == axis else 1 for one in range(-photo.ndim, 0)])
    between = photo.index_select(axis, after) * (1 - share) + photo.index_select(axis, before) * share
    return torch.cat([photo, between], axis)
