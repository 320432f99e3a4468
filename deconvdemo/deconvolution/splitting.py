"""Half-quadratic splitting: argmin ‖k ∗ x − y‖² / 2 sigma² + a prior, by turns between the blur and the prior.

Each turn solves the blur's part in the Fourier domain, near to what the prior said last, and then lets the prior speak
about noise of a known level: total variation and hyper-Laplacian gradients (Wang et al. 2008, Krishnan & Fergus 2009),
or any denoiser ("plug and play": Venkatakrishnan et al. 2013; Zhang et al., "Plug-and-play image restoration with deep
denoiser prior", IEEE TPAMI 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from deconvdemo.deconvolution.inverse import gradient_power_of
from deconvdemo.deconvolution.operators import transfer_function
from deconvdemo.units import GREY_LEVELS

Denoiser = Callable[[Tensor, float], Tensor]  # images and the noise's sigma in grey levels → images without it
LEAST_SIGMA = 0.5  # grey levels: a photo has been rounded, at least
BEYOND = 4  # times a turn that what lies beyond the borders is guessed anew


@dataclass(frozen=True)
class Schedule:
    """How noisy the prior takes what it is shown to be: from `first` grey levels to the noise's own, each by a factor.

    `balance` is how much the prior counts against the blur: Zhang et al. found 0.23 for networks.
    """

    first: float = 49.0
    turns: int = 8
    balance: float = 0.23

    def sigmas(self, sigma: float) -> list[float]:
        """One a turn, in grey levels, ending at the noise's."""
        last = max(sigma, LEAST_SIGMA)
        share = torch.linspace(0, 1, max(1, self.turns), dtype=torch.float64) if self.turns > 1 else torch.ones(1)
        return [max(self.first, last) ** (1 - float(one)) * last ** float(one) for one in share]


@dataclass(frozen=True)
class Turn:
    """What the prior is asked: what it makes of `image`, taken to have noise of `sigma` grey levels."""

    image: Tensor
    sigma: float
    number: int  # from 1 on
    of: int


Turns = Generator[Turn, Tensor, Tensor]  # is sent what the prior says of each, and returns the last


def turned(image: Tensor, way: int) -> Tensor:
    """One of eight ways to turn and mirror an image.

    What a network does wrongly in one of them it seldom does in all: shown another in each turn it does better (Zhang
    et al. 2022).
    """
    image = torch.rot90(image, way % 4, (-2, -1))
    return image.flip(-1) if way % 8 >= 4 else image


def turned_back(image: Tensor, way: int) -> Tensor:
    """The inverse of `turned`."""
    return torch.rot90(image.flip(-1) if way % 8 >= 4 else image, -(way % 4), (-2, -1))


def splitting_turns(
    observed: Tensor, kernel: Tensor, sigma: float, schedule: Schedule | None = None, known: Tensor | None = None
) -> Turns:
    """Half-quadratic splitting, for whoever asks the prior in a way of their own: tile by tile, or not to the end.

    (N, C, H, W) in [0, 1], periodic, blurred by `kernel`, with noise of `sigma` grey levels.
    x ← argmin ‖M (k ∗ x − y)‖² + a ‖x − z‖², a = balance · (sigma / s)², and z ← denoiser(x, s).
    `known`, (H, W) bool, is M: where `observed` was seen; elsewhere it is but a guess, and becomes what x says.
    """
    schedule, sigmas = schedule or Schedule(), (schedule or Schedule()).sigmas(sigma)
    noise, transfer = max(sigma, LEAST_SIGMA), _transfer(observed, kernel)
    believed = deblurred = observed
    for number, level in enumerate(sigmas, 1):
        nearness = schedule.balance * (noise / level) ** 2
        channels = zip(*(one.double().split(1, dim=1) for one in (observed, believed, deblurred)), strict=True)
        planes = [_nearest(y, z, x, transfer, nearness, known) for y, z, x in channels]  # a third of the memory
        deblurred = torch.cat(planes, 1).to(observed.dtype)
        believed = yield Turn(deblurred, level, number, len(sigmas))
    return believed


def _nearest(
    observed: Tensor, believed: Tensor, start: Tensor, transfer: Tensor, nearness: float, known: Tensor | None
) -> Tensor:
    """argmin ‖M (k ∗ x − y)‖² + nearness · ‖x − z‖²: in closed form, or with a mask M by conjugate gradients.

    What they would be without the mask is their preconditioner.
    """
    size = (observed.shape[-2], observed.shape[-1])

    def filtered(image: Tensor, by: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(image) * by, s=size)

    whole = 1 / (transfer.abs() ** 2 + nearness)
    if known is None:
        return filtered(filtered(observed, transfer.conj()) + nearness * believed, whole)
    x = start
    residual = filtered(known * (observed - filtered(x, transfer)), transfer.conj()) + nearness * (believed - x)
    direction = eased = filtered(residual, whole)
    size_of = (residual * eased).sum()
    for _ in range(BEYOND):
        image = filtered(known * filtered(direction, transfer), transfer.conj()) + nearness * direction
        step = size_of / (direction * image).sum().clamp_min(1e-30)
        x, residual = x + step * direction, residual - step * image
        eased = filtered(residual, whole)
        size_before, size_of = size_of, (residual * eased).sum()
        direction = eased + size_of / size_before.clamp_min(1e-30) * direction
    return x


def half_quadratic_splitting(
    observed: Tensor, kernel: Tensor, sigma: float, denoiser: Denoiser, schedule: Schedule | None = None
) -> Iterator[Tensor]:
    """As `splitting_turns` with a prior that is at hand: (N, C, H, W) → each turn's estimate."""
    turns = splitting_turns(observed, kernel, sigma, schedule)
    turn = next(turns)
    while True:
        believed = denoiser(turn.image, turn.sigma)
        yield believed
        try:
            turn = turns.send(believed)
        except StopIteration:
            return


def sparse_gradients(
    observed: Tensor, kernel: Tensor, sigma: float, exponent: float = 1.0, weight: float | None = None
) -> Tensor:
    """argmin weight/2 · ‖k ∗ x − y‖² + Σ |∇ x|^exponent, in float64: 1 is total variation, each direction by itself.

    1 (Rudin, Osher & Fatemi 1992) is solved as by Wang et al. ("A new alternating minimization algorithm for total
    variation image reconstruction", SIAM J. Imaging Sci. 2008), 2/3 as by Krishnan & Fergus ("Fast image deconvolution
    using hyper-Laplacian priors", NIPS 2009): gradients shrink, the blur is divided, and both must agree ever more.
    `weight` is chosen by the noise, unless it is given.
    """
    size = (observed.shape[-2], observed.shape[-1])
    unit = max(sigma, LEAST_SIGMA) / GREY_LEVELS
    weight = weight if weight is not None else WEIGHT[exponent == 1.0] / unit**2
    back, power = _normal_equations(observed, kernel)
    stiffness = gradient_power_of(size).to(observed.device)
    image, agreement = observed.double(), 1.0
    while agreement < 2.0**9:
        for _ in range(2):
            down, right = (image.roll(-1, axis) - image for axis in (-2, -1))
            down, right = _shrunk(down, agreement, exponent), _shrunk(right, agreement, exponent)
            divergence = down.roll(1, -2) - down + right.roll(1, -1) - right
            spectrum = weight * back + agreement * torch.fft.rfft2(divergence)
            image = torch.fft.irfft2(spectrum / (weight * power + agreement * stiffness), s=size)
        agreement *= 2.0
    return image


WEIGHT = {True: 0.15, False: 0.3}  # of total variation and of the sparser prior, measured on photographs: times sigma⁻²


def _normal_equations(observed: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """F k* · F y and |F k|², of which (|F k|² + …) · F x = F k* · F y + … is made."""
    transfer = _transfer(observed, kernel)
    return transfer.conj() * torch.fft.rfft2(observed.double()), transfer.abs() ** 2


def _transfer(observed: Tensor, kernel: Tensor) -> Tensor:
    return transfer_function(kernel, (observed.shape[-2], observed.shape[-1])).to(observed.device)


def _shrunk(values: Tensor, agreement: float, exponent: float) -> Tensor:
    """argmin over w of |w|^exponent + agreement/2 · (w − v)², for each value v by Newton's steps from v, or 0."""
    size = values.abs()
    if exponent == 1.0:
        return values.sign() * (size - 1 / agreement).clamp_min(0)
    found = size
    for _ in range(4):
        safe = found.clamp_min(1e-8)
        slope = exponent * safe ** (exponent - 1) + agreement * (found - size)
        curve = exponent * (exponent - 1) * safe ** (exponent - 2) + agreement
        found = torch.where(curve > 0, found - slope / curve, torch.zeros_like(found)).clamp_min(0)
    kept = found**exponent + agreement / 2 * (found - size) ** 2 < agreement / 2 * size**2
    return torch.where(kept, values.sign() * found, torch.zeros_like(values))
