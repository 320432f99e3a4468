"""What is linear in the clean image, A in y = A(x) + n: blur, shrinking, holes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.bicubic import resize

SMALL = 128  # pixels a side: up to here, on a CPU, multiplying by matrices takes no longer than convolutions


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
        if isinstance(self.sigma, Tensor) and (clean.device.type != "cpu" or max(height, width) <= SMALL):
            down, across = (mirrored_gaussian(sigma, side)[:, None] for side in (height, width))
            return down @ clean @ across.mT
        reach = math.ceil(3 * float(sigma.max())) + 1
        rows, columns = min(reach, height - 1), min(reach, width - 1)  # reflection cannot reach farther than the image
        images = functional.pad(clean.reshape(1, -1, height, width), (columns, columns, rows, rows), mode="reflect")
        for radius, shape in ((rows, (-1, 1, 2 * rows + 1, 1)), (columns, (-1, 1, 1, 2 * columns + 1))):
            taps = discrete_gaussian(sigma, radius).repeat_interleave(channels, 0)
            images = functional.conv2d(images, taps.view(shape), groups=len(taps))
        return images.view(clean.shape)


def mirrored_gaussian(sigma: Tensor, length: int) -> Tensor:
    """(N,) standard deviations in pixels → (N, length, length): the blur of a row or a column with mirrored borders.

    Cosines are what such a blur only scales, each by the kernel's transfer function. All of the kernel is there,
    however wide, so that nothing has to be known of the sigmas beforehand: asking a GPU for them would wait for it.
    """
    if length == 1:
        return torch.ones(len(sigma), 1, 1, dtype=sigma.dtype, device=sigma.device)
    omega, analysis, synthesis = _cosines(length, sigma.device, sigma.dtype)
    transfer = torch.exp(-(sigma[:, None] ** 2) * (1 - omega.cos()))
    scaled = synthesis * transfer[:, None, :]
    return (scaled.view(-1, length) @ analysis).view(-1, length, length)


@cache
def _cosines(length: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Frequencies, and the matrices from pixels to cosines of them and back (a DCT-I, computed in double precision)."""
    omega = torch.pi / (length - 1) * torch.arange(length, dtype=torch.float64)
    synthesis = torch.cos(omega[:, None] * torch.arange(length))
    analysis = torch.linalg.inv(synthesis)
    omega, analysis, synthesis = (one.to(device, dtype) for one in (omega, analysis, synthesis))
    return omega, analysis, synthesis


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
