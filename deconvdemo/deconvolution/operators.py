"""Convolution as a linear operator A, and its adjoint Aᵀ, which networks call a transposed convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Boundary = Literal["circular", "reflect", "valid"]


@dataclass(frozen=True)
class Convolution:
    """(A x)[n] = Σₘ k[m] x[s·n − m]: a convolution with `kernel`, of which every `stride`-th value is kept.

    `kernel` is (H, W); its middle is [H // 2, W // 2]. Beyond an image's borders it goes on at the opposite one
    ("circular"), is mirrored ("reflect"), or nothing is known: "valid" gives only what the kernel saw whole, as a
    camera does, so that the result is smaller by the kernel's sides less 1.
    """

    kernel: Tensor
    boundary: Boundary = "circular"
    stride: int = 1

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, ⌈h / stride⌉, ⌈w / stride⌉), where (h, w) is (H, W), or smaller if valid."""
        rows, columns = self._sources(images.shape[-2:], images.device)
        padded = images.index_select(-2, rows).index_select(-1, columns)
        return functional.conv2d(padded, self._taps(images), stride=self.stride, groups=images.shape[1])

    def adjoint(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Aᵀ: what A gives of (N, C, *size) images → (N, C, *size), with ⟨A x, y⟩ = ⟨x, Aᵀ y⟩.

        A transposed convolution, and what is beyond the borders added to where it came from. It is not A's inverse.
        """
        rows, columns = self._sources(size, images.device)
        spread = functional.conv_transpose2d(images, self._taps(images), stride=self.stride, groups=images.shape[1])
        missing = (len(rows) - spread.shape[-2], len(columns) - spread.shape[-1])  # what no kept value saw
        spread = functional.pad(spread, (0, missing[1], 0, missing[0]))
        gathered = spread.new_zeros(*spread.shape[:-2], size[0], spread.shape[-1]).index_add(-2, rows, spread)
        return gathered.new_zeros(*gathered.shape[:-1], size[1]).index_add(-1, columns, gathered)

    def transfer(self, size: tuple[int, int]) -> Tensor:
        """(h, w // 2 + 1) complex: by what each frequency of a circular image of this size is multiplied."""
        return transfer_function(self.kernel, size)

    def _taps(self, images: Tensor) -> Tensor:
        flipped = self.kernel.to(images).flip(0, 1)  # torch's "convolution" is a correlation
        return flipped.expand(images.shape[1], 1, *flipped.shape)

    def _sources(self, size: tuple[int, int] | torch.Size, device: torch.device) -> tuple[Tensor, Tensor]:
        """For each row and column of the image with its surroundings: which of the image's own it is."""
        if self.boundary == "valid":
            return torch.arange(size[0], device=device), torch.arange(size[1], device=device)
        found = []
        for length, taps in zip(size, self.kernel.shape, strict=True):
            # the flipped kernel's middle is as far from its end as the kernel's is from its beginning
            places = torch.arange(-((taps - 1) // 2), length + taps // 2, device=device)
            found.append(mirrored(places, length) if self.boundary == "reflect" else places.remainder(length))
        return found[0], found[1]


def mirrored(places: Tensor, length: int) -> Tensor:
    """Which of `length` rows or columns stands at each of these places, which may lie beyond the first and the last."""
    if length == 1:
        return torch.zeros_like(places)
    places = places.remainder(2 * length - 2)
    return torch.where(places < length, places, 2 * length - 2 - places)


def transfer_function(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W) kernel → (h, w // 2 + 1) complex128: the Fourier transform of the kernel with its middle at [0, 0].

    A kernel that is larger than the image wraps around it, as a circular convolution does.
    """
    kernel = kernel.to(torch.float64)
    wrapped = kernel.new_zeros(size)
    rows, columns = (
        (torch.arange(taps, device=kernel.device) - taps // 2).remainder(length)
        for taps, length in zip(kernel.shape, size, strict=True)
    )
    wrapped.index_put_((rows[:, None], columns[None, :]), kernel, accumulate=True)
    return torch.fft.rfft2(wrapped)
