"""How a clean image x becomes an observed one: y = A(x) + n, each degradation a small frozen dataclass.

Images are (N, C, H, W) float tensors of RGB or grey in [0, 1]. Randomness comes from the generator that is passed, so
that a seed names the degraded image exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deconvdemo.bicubic import resize
from deconvdemo.metrics import GREY_LEVELS


@dataclass(frozen=True)
class GaussianNoise:
    """White noise of standard deviation `sigma`, in 8-bit grey levels (25 is the literature's middle case)."""

    sigma: float | Tensor  # a number, or (N, 1, 1, 1) for one of each image

    def __call__(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """(N, C, H, W) in [0, 1] → the same shape, deliberately not clipped."""
        noise = torch.randn(clean.shape, generator=rng, device=clean.device, dtype=clean.dtype)
        return clean + noise * (self.sigma / GREY_LEVELS)


@dataclass(frozen=True)
class BicubicDownscale:
    """MATLAB-like antialiased bicubic by the whole number `scale`; sides that do not divide are cropped."""

    scale: int

    def crop(self, clean: Tensor) -> Tensor:
        """The part of `clean` whose sides divide by `scale`: what a restored image is compared with."""
        height, width = clean.shape[-2] // self.scale, clean.shape[-1] // self.scale
        return clean[..., : height * self.scale, : width * self.scale]

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, C, H, W) in [0, 1] → (N, C, H // scale, W // scale), deliberately not clipped."""
        return resize(self.crop(clean), 1 / self.scale)


@dataclass(frozen=True)
class Holes:
    """Pixels lost where `mask` is 1, set to 0: inpainting's degradation."""

    mask: Tensor  # (N or 1, 1, H, W), 1 = hole, 0 = known

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, C, H, W) → the same shape with 0 in the holes."""
        return clean * (1 - self.mask)


def quantised(images: Tensor) -> Tensor:
    """Clipped to [0, 1] and rounded to 8 bits, still as floats: what a PNG of the image would hold."""
    return (images.clamp(0, 1) * GREY_LEVELS).round() / GREY_LEVELS
