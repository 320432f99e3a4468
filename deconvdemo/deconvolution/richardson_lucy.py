"""Richardson–Lucy: the iteration that raises the likelihood of counted photons, and never leaves what is positive."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.deconvolution.operators import transfer_function
from deconvdemo.errors import ControlError

SMALLEST = 1e-6  # of white: nothing is divided by less


def richardson_lucy(
    observed: Tensor, kernel: Tensor, iterations: int = 30, step: Callable[[int], None] | None = None
) -> Tensor:
    """x ← x · Aᵀ(y / A x) / Aᵀ 1 (Richardson 1972, Lucy 1974), from a blurred start, in float64.

    (N, C, H, W) in [0, 1] → the same shape, 0 or more. The photo may be any scene that the lens saw beyond its borders,
    too: A is "valid", its domain larger than the photo by the kernel, so that no border rings (Bertero & Boccacci, "A
    simple method for the reduction of boundary effects in the Richardson-Lucy approach", A&A 2005).
    Noise grows with the iterations: they are the regularisation. `step` is called with the number after each.
    """
    if iterations < 1:
        raise ControlError(f"iterations is {iterations}, but it must be 1 or more")
    rows, columns = (taps - 1 for taps in kernel.shape)
    observed = observed.double().clamp_min(0)
    height, width = observed.shape[-2:]
    size = (height + rows, width + columns)
    transfer = transfer_function(kernel, size).to(observed.device)
    # a point of the scene is in the photo where the kernel's middle puts it
    top, left = rows - kernel.shape[0] // 2, columns - kernel.shape[1] // 2

    def blurred(scene: Tensor) -> Tensor:  # circular: what wraps around lies outside of the photo
        everywhere = torch.fft.irfft2(torch.fft.rfft2(scene) * transfer, s=size)
        return everywhere[..., top : top + height, left : left + width]

    def adjoint(photo: Tensor) -> Tensor:
        spread = functional.pad(photo, (left, columns - left, top, rows - top))
        return torch.fft.irfft2(torch.fft.rfft2(spread) * transfer.conj(), s=size)

    seen = adjoint(torch.ones_like(observed))
    trusted = seen > 0.01  # elsewhere hardly anything of a pixel came into the photo
    scene = torch.ones_like(seen) * observed.mean(dim=(-2, -1), keepdim=True).clamp_min(SMALLEST)
    for number in range(1, iterations + 1):
        ratio = observed / blurred(scene).clamp_min(SMALLEST)
        scene = scene * torch.where(trusted, adjoint(ratio).clamp_min(0) / seen.clamp_min(0.01), 1.0)
        if step:
            step(number)
    return scene[..., top : top + height, left : left + width]
