"""The ways back in one step, in the Fourier domain: the inverse filter, Wiener's, Tikhonov's.

All take the photo to be periodic; `borders.extended` makes it so. Images are (N, C, H, W) in [0, 1]; results are of the
same shape, in float64, and may leave [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from deconvdemo.deconvolution.operators import transfer_function
from deconvdemo.errors import ControlError
from deconvdemo.units import GREY_LEVELS

LOST = 1e-10  # of the kernel's sum: a frequency of less is gone, whatever the precision
# the power of photos' gradients: of the differences of pixels, as squares of [0, 1]; what restores photographs best
GRADIENT_POWER = 0.01


def inverse_filter(observed: Tensor, kernel: Tensor) -> Tensor:
    """x̂ = F⁻¹{ F y / F k }: exact without noise, and without bound with it.

    Raises ControlError for a kernel that removes a frequency of this image's size: what is gone has no inverse.
    """
    size = _size(observed)
    transfer = transfer_function(kernel, size)
    least = float(transfer.abs().min())
    if least < LOST:
        raise ControlError("this blur removes some frequencies altogether, which nothing can divide by: use Wiener's")
    return torch.fft.irfft2(torch.fft.rfft2(observed.double()) / transfer.to(observed.device), s=size)


def wiener(observed: Tensor, kernel: Tensor, sigma: float, gradient_power: float = GRADIENT_POWER) -> Tensor:
    """x̂ = F⁻¹{ F k* · F y / (|F k|² + sigma² / S) } (Wiener 1949), with photos' spectrum S = power / |F ∇|².

    `sigma` is in 8-bit grey levels. The spectrum falls with the square of the frequency, as photographs' does (Field,
    "Relations between the statistics of natural images", JOSA A 1987), so that fine detail is trusted less.
    """
    if gradient_power <= 0:
        raise ControlError(f"the gradients' power is {gradient_power:g}, but it must be above 0")
    return tikhonov(observed, kernel, (sigma / GREY_LEVELS) ** 2 / gradient_power, of="gradient")


def tikhonov(observed: Tensor, kernel: Tensor, weight: float, of: str = "identity") -> Tensor:
    """argmin ‖k ∗ x − y‖² + weight · ‖D x‖² (Tikhonov 1963), with D the identity or the gradient.

    In closed form: F k* · F y / (|F k|² + weight · |F D|²). `weight` 0 is the inverse filter.
    """
    if weight < 0:
        raise ControlError(f"weight is {weight:g}, but it must be 0 or more")
    if weight == 0:
        return inverse_filter(observed, kernel)
    size = _size(observed)
    transfer = transfer_function(kernel, size).to(observed.device)
    stiffness = {"identity": lambda: torch.ones_like(transfer.real), "gradient": lambda: gradient_power_of(size)}
    if of not in stiffness:
        raise ControlError(f"of is {of!r}, but it must be identity or gradient")
    divisor = transfer.abs() ** 2 + weight * stiffness[of]().to(observed.device)
    return torch.fft.irfft2(transfer.conj() * torch.fft.rfft2(observed.double()) / divisor, s=size)


def gradient_power_of(size: tuple[int, int]) -> Tensor:
    """(h, w // 2 + 1): |F ∇|² of forward differences down and to the right; 0 for a flat image."""
    rows, columns = (2 - 2 * torch.cos(2 * torch.pi * frequencies) for frequencies in _frequencies(size))
    return rows[:, None] + columns[None, :]


def _frequencies(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """In cycles a pixel: of rows, and of the half of the columns that a real image's transform has."""
    return torch.fft.fftfreq(size[0], dtype=torch.float64), torch.fft.rfftfreq(size[1], dtype=torch.float64)


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]
