"""A photo is not periodic: extended beyond its borders it is, and edges ring less from there.

The line of Reeves ("Fast image restoration without boundary artifacts", IEEE TIP 2005) and Liu & Jia ("Reducing
boundary artifacts in image deconvolution", ICIP 2008): the photo goes on beyond its borders, ever softer, until it
meets the opposite ones. What is made up there is wrong, though: it must become what the restored photo says it was
(`beyond_guessed`; half-quadratic splitting leaves it open), as in Almeida & Figueiredo, "Deconvolving images with
unknown boundaries using the alternating direction method of multipliers", IEEE TIP 2013.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deconvdemo.deconvolution.operators import mirrored, transfer_function

LEAST = 8  # pixels


def extended(photo: Tensor, kernel: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, H + h, W + w), which repeats without a seam: what is added is below and to the right.

    The new sides have no prime factors but 2, 3 and 5: of others a Fourier transform takes several times as long.
    """
    for axis, taps in ((-2, kernel.shape[0]), (-1, kernel.shape[1])):
        length = photo.shape[axis]
        photo = _closed(photo, axis, _smooth(length + max(LEAST, 2 * taps)) - length)
    return photo


def known_of(image: Tensor, photo: Tensor) -> Tensor:
    """(H + h, W + w) bool: where the extended `image` is the photo."""
    known = torch.zeros(image.shape[-2:], dtype=torch.bool, device=image.device)
    known[: photo.shape[-2], : photo.shape[-1]] = True
    return known


def beyond_guessed(
    image: Tensor, kernel: Tensor, known: Tensor, restore: Callable[[Tensor], Tensor], rounds: int
) -> Tensor:
    """What `restore` makes of an extended image, after `rounds` in which what is not `known` became what that says."""
    seen, transfer = image, transfer_function(kernel, (image.shape[-2], image.shape[-1])).to(image.device)
    for _ in range(rounds):
        blurred = torch.fft.irfft2(torch.fft.rfft2(restore(seen).double()) * transfer, s=image.shape[-2:])
        seen = torch.where(known, image, blurred.to(image.dtype))
    return restore(seen)


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


def _smooth(length: int) -> int:
    """The next number from `length` on that is a product of 2, 3 and 5 alone."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
