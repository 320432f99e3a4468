"""Noise that is added, n in y = A(x) + n: white, of a sensor, and as resizing leaves it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.units import GREY_LEVELS


@dataclass(frozen=True)
class GaussianNoise:
    """White noise of standard deviation `sigma`, in 8-bit grey levels (25 is the literature's middle case)."""

    sigma: float | Tensor  # a number, or (N, 1, 1, 1) for one of each image

    def __call__(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """(N, C, H, W) in [0, 1] → the same shape, deliberately not clipped."""
        return clean + _white(clean, rng) * (self.sigma / GREY_LEVELS)


@dataclass(frozen=True)
class PoissonGaussianNoise:
    """A sensor's noise: variance = shot · x + read², where x is the light in [0, 1], 1 saturating the sensor.

    Photons arrive as a Poisson process, so the variance of their count grows with the light; reading them out adds a
    constant. As in Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting", IEEE TIP 2008, the Poisson
    part is approximated by a Gaussian of its variance.
    """

    shot: float | Tensor  # 1 / (photons that saturate a pixel): 1e-4 for a phone in sunlight, 1e-2 at night
    read: float | Tensor  # standard deviation in the dark, in the units of x

    def __call__(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """(N, C, H, W) linear light in [0, 1] → the same shape, deliberately not clipped."""
        variance = self.shot * clean.clamp(min=0) + self.read**2
        return clean + _white(clean, rng) * variance.sqrt()


@dataclass(frozen=True)
class ResizedNoise:
    """White noise as it is after the photo was resized bicubically by `scale`: blotchy when enlarged (above 1).

    `sigma`, in 8-bit grey levels, is that of the noise before; shrinking (below 1) averages most of it away.
    """

    sigma: float | Tensor  # a number, or (N, 1, 1, 1) for one of each image
    scale: float  # one for the batch

    def __call__(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """(N, C, H, W) in [0, 1] → the same shape, deliberately not clipped."""
        height, width = clean.shape[-2:]
        sides = [math.ceil(side / self.scale) for side in (height, width)]
        resized = [max(1, round(side * self.scale)) for side in sides]
        noise = _white(clean.new_empty(*clean.shape[:2], *sides), rng)
        noise = functional.interpolate(noise, resized, mode="bicubic", antialias=True)
        return clean + noise[..., :height, :width] * (self.sigma / GREY_LEVELS)


def _white(like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=rng, device=like.device, dtype=like.dtype)
