"""How far two sets of pictures are apart in what their patches look like: sliced Wasserstein distances, level by level.

Along a direction, the distance of two sets of patches is that of their sorted values, and few directions at a time are
enough to descend (Deshpande et al. 2018; Elnekave & Weiss 2022, for patches). A direction is a convolution's kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SIDES = (8, 16, 32, 64)  # pixels of the pyramid's levels
PATCH = 7  # pixels a side, on every level; the smallest level is looked at as a whole
MIXED = 3  # principal components in a direction: mixtures of many are Gaussian, whatever is mixed
PATCHES = 4096  # compared at a time
WINDOW = 28  # pixels a side
FLOOR = 1e-3  # of the largest spread: what varies less is rounding


def pyramid(pictures: Tensor, sides: Sequence[int] = SIDES) -> dict[int, Tensor]:
    """(N, 3, S, S) → by side, the picture made smaller by means."""
    return {
        side: functional.avg_pool2d(pictures, pictures.shape[-1] // side)
        for side in sides
        if side <= pictures.shape[-1]
    }


@dataclass(frozen=True)
class Directions:
    """Principal components of real patches of one level, each divided by its spread: fine detail counts as coarse."""

    whitened: Tensor  # (components, 3·k·k)
    kernel: int

    @classmethod
    def of(cls, pictures: Tensor) -> Directions:
        kernel = min(PATCH + 1 if pictures.shape[-1] == SIDES[0] else PATCH, pictures.shape[-1])
        patches = functional.unfold(pictures[:512], kernel).transpose(1, 2).flatten(0, 1)
        chosen = torch.randperm(len(patches), generator=torch.Generator().manual_seed(0))[:20_000]
        patches = patches[chosen] - patches[chosen].mean(0)
        spreads, components = torch.linalg.eigh(patches.T @ patches / len(patches))
        spreads = spreads.clamp(min=0).sqrt()
        return cls((components / spreads.clamp(min=FLOOR * float(spreads.max()))).T.flip(0).contiguous(), kernel)

    def drawn(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, 3, k, k) kernels, each a mixture of a few components, the strong ones oftener."""
        odds = torch.arange(1, len(self.whitened) + 1).float().rsqrt()
        chosen = torch.multinomial(odds.expand(count, -1), MIXED, generator=generator)
        shares = torch.randn(count, MIXED, 1, generator=generator)
        mixed = (self.whitened[chosen] * shares / shares.norm(dim=1, keepdim=True)).sum(1)
        return mixed.view(count, 3, self.kernel, self.kernel)


def distance(fake: Tensor, real: Tensor, kernels: Tensor, generator: torch.Generator) -> Tensor:
    """Mean distance of the sorted values along each direction, in standard deviations of real patches."""
    count = min(PATCHES, *(len(one) * (one.shape[-1] - kernels.shape[-1] + 1) ** 2 for one in (fake, real)))
    along = [_values(one, kernels, count, generator) for one in (fake, real)]
    return (along[0] - along[1]).abs().mean()


def window(pictures: Tensor, generator: torch.Generator, side: int = WINDOW) -> Tensor:
    """A part of all pictures, at one random place: enough of the largest level for a step."""
    if pictures.shape[-1] <= side:
        return pictures
    top, left = torch.randint(pictures.shape[-1] - side + 1, (2,), generator=generator).tolist()
    return pictures[..., top : top + side, left : left + side]


def _values(pictures: Tensor, kernels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(directions, count), sorted."""
    values = functional.conv2d(pictures, kernels).transpose(0, 1).flatten(1)
    if values.shape[1] > count:
        values = values[:, torch.randperm(values.shape[1], generator=generator)[:count]]
    return values.sort(1).values
