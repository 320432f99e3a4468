"""What is linear in the clean image, A in y = A(x) + n: blur, shrinking, holes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.bicubic import resize


@dataclass(frozen=True)
class GaussianBlur:
    """Convolution with a Gaussian of standard deviation `sigma`, in pixels; borders are reflected.

    The kernel is the discrete Gaussian, whose transfer function is exp(−sigma² (1 − cos ω)) (Lindeberg, "Scale-space
    for discrete signals", IEEE PAMI 1990): its variance is sigma² for slight blurs, too, which a sampled one's is not.
    """

    sigma: float | Tensor  # a number, or (N, 1, 1, 1) for one of each image

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, C, H, W) → the same shape and range."""
        count, channels, height, width = clean.shape
        sigma = torch.as_tensor(self.sigma, dtype=clean.dtype, device=clean.device).reshape(-1).expand(count)
        reach = math.ceil(3 * float(sigma.max())) + 1
        rows, columns = min(reach, height - 1), min(reach, width - 1)  # reflection cannot reach farther than the image
        images = functional.pad(clean.reshape(1, -1, height, width), (columns, columns, rows, rows), mode="reflect")
        for radius, shape in ((rows, (-1, 1, 2 * rows + 1, 1)), (columns, (-1, 1, 1, 2 * columns + 1))):
            taps = discrete_gaussian(sigma, radius).repeat_interleave(channels, 0)
            images = functional.conv2d(images, taps.view(shape), groups=len(taps))
        return images.view(clean.shape)


def discrete_gaussian(sigma: Tensor, radius: int) -> Tensor:
    """(N,) standard deviations in pixels → (N, 2·radius + 1) taps that sum to 1."""
    samples = 4 * radius + 16  # of the transfer function: enough that the kernel's tails do not wrap around
    omega = 2 * torch.pi / samples * torch.arange(samples // 2 + 1, device=sigma.device, dtype=sigma.dtype)
    transfer = torch.exp(-(sigma[:, None] ** 2) * (1 - omega.cos()))
    half = torch.fft.irfft(transfer, n=samples)[:, : radius + 1]
    taps = torch.cat([half[:, 1:].flip(1), half], dim=1)
    return taps / taps.sum(dim=1, keepdim=True)


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
