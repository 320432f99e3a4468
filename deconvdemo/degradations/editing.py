"""What programs do to a photo after it was taken: sharpening, and resizing by whatever kernel they have.

The line of Zhang et al., "Designing a practical degradation model for deep blind image super-resolution" (BSRGAN), ICCV
2021, and Wang et al., "Real-ESRGAN", ICCVW 2021: blur, resizing, noise and compression, in two rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.degradations.operators import BicubicDownscale, GaussianBlur

KERNELS = ("bicubic", "bilinear", "area", "aliased")  # the first two antialiased, as in Pillow


@dataclass(frozen=True)
class Sharpening:
    """Unsharp masking: y = x + amount · (x − blurred x). Halos, and stronger noise, are what it leaves."""

    amount: float | Tensor  # a number, or (N, 1, 1, 1) for one of each image; 0.5 is usual, 1.5 is harsh
    sigma: float | Tensor = 1.0  # of the blur, in pixels

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, C, H, W) in [0, 1] → the same shape, clipped to [0, 1] as an editor does."""
        return (clean + self.amount * (clean - GaussianBlur(self.sigma)(clean))).clamp(0, 1)


@dataclass(frozen=True)
class ForeignDownscale:
    """Shrunk by the whole number `scale` by another kernel than MATLAB's; sides that do not divide are cropped."""

    scale: int
    kernel: str = "bicubic"  # one of KERNELS

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, C, H, W) in [0, 1] → (N, C, H // scale, W // scale)."""
        cropped = BicubicDownscale(self.scale).crop(clean)
        return resampled(cropped, (cropped.shape[-2] // self.scale, cropped.shape[-1] // self.scale), self.kernel)


@dataclass(frozen=True)
class ResizedThere:
    """Resized by `factor` and back to its size: what a photo has lost that some service kept at another size."""

    factor: float  # one for the batch; 0.7 loses the finest detail, 1.4 softens a little
    there: str = "bicubic"  # one of KERNELS
    back: str = "bicubic"

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, C, H, W) in [0, 1] → the same shape."""
        height, width = clean.shape[-2:]
        size = (max(1, round(height * self.factor)), max(1, round(width * self.factor)))
        return resampled(resampled(clean, size, self.there), (height, width), self.back)


def resampled(images: Tensor, size: tuple[int, int], kernel: str) -> Tensor:
    """(N, C, H, W) → (N, C, *size), pixel centres aligned as all programs do; KeyError for an unknown `kernel`."""
    return functional.interpolate(images, size, **_OPTIONS[kernel])


_OPTIONS: dict[str, dict] = {
    "bicubic": {"mode": "bicubic", "antialias": True},
    "bilinear": {"mode": "bilinear", "antialias": True},
    "area": {"mode": "area"},
    "aliased": {"mode": "bilinear"},  # as programs do that take the shrunk photo from the nearest four pixels
}
