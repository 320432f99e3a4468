"""Blur kernels: of a Gaussian, of a lens out of focus, of a camera that moved; odd sides, sums of 1, float64.

>>> kernel_named("motion:15,30").shape
torch.Size([9, 15])
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from deconvdemo.deconvolution import FORMS, LARGEST
from deconvdemo.errors import ControlError
from deconvdemo.units import LUMA

WIDEST = 101  # of those that words name
BELOW = 0.01  # of the peak: what resampling or an estimate may leave below 0
EMPTY = 1e-4  # of the peak: rows and columns at the rim that are darker hold nothing
WIDEST_SIGMA = 14.0  # pixels, of a Gaussian
GAUSSIAN_REACH = 3.5  # standard deviations: beyond lies 0.05 % of the weight
SAMPLES = 5  # a pixel's side: a disc's edge covers a part of a pixel


def gaussian(sigma: float) -> Tensor:
    """A Gaussian of standard deviation `sigma` in pixels, above 0 and at most 14."""
    sigma = _within("gaussian's sigma", sigma, WIDEST_SIGMA)
    radius = max(1, math.ceil(GAUSSIAN_REACH * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    # integrals over pixels, not samples in their middle: right for slight blurs, too
    edges = torch.special.ndtr((offsets[:, None] + torch.tensor([-0.5, 0.5])) / sigma)
    taps = edges[:, 1] - edges[:, 0]
    return normalised(taps[:, None] * taps[None, :])


def defocus(radius: float) -> Tensor:
    """A disc of `radius` in pixels, above 0 and at most 50: a point seen through a lens out of focus."""
    radius = _within("defocus's radius", radius, WIDEST // 2)
    reach = math.ceil(radius)
    fine = _fine_grid(reach)
    inside = (fine[:, None] ** 2 + fine[None, :] ** 2 <= radius**2 + 1e-9).to(torch.float64)
    return normalised(_pixels(inside))


def motion(length: float, angle: float) -> Tensor:
    """A line of `length` pixels, above 0 and at most 100, at `angle` in degrees, counter-clockwise from the right."""
    length, turn = _within("motion's length", length, WIDEST - 1.0), math.radians(float(angle))
    along = torch.arange(-(length - 1) / 2, (length - 1) / 2 + 1e-9, 1 / 32, dtype=torch.float64)
    if length <= 1:
        along = torch.zeros(1, dtype=torch.float64)
    across, down = along * math.cos(turn), -along * math.sin(turn)
    columns, rows = (math.ceil(float(one.abs().max()) - 1e-9) for one in (across, down))
    kernel = torch.zeros(2 * rows + 3, 2 * columns + 3, dtype=torch.float64)
    top, left = (torch.floor(one).long() for one in (down, across))
    for step_down in (0, 1):
        for step_right in (0, 1):  # each point is shared by the four pixels around it
            share = (1 - (down - top - step_down).abs()) * (1 - (across - left - step_right).abs())
            kernel.index_put_((top + step_down + rows + 1, left + step_right + columns + 1), share, accumulate=True)
    kernel[kernel < 1e-9 * kernel.max()] = 0  # what rounding put beside a level or an upright line
    return normalised(_trimmed(kernel))


def kernel_named(text: str) -> Tensor:
    """The kernel of "gaussian:2", "defocus:4" or "motion:15,30". ControlError for other words."""
    kind, _, numbers = text.strip().partition(":")
    makers: dict[str, tuple[Callable[..., Tensor], int]] = {
        "gaussian": (gaussian, 1),
        "defocus": (defocus, 1),
        "motion": (motion, 2),
    }
    try:
        values = [float(number) for number in numbers.split(",")]
        maker, count = makers[kind.strip().lower()]
    except (KeyError, ValueError):
        raise ControlError(f"kernel is {text[:60]!r}, but it must be {FORMS}, or a file") from None
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ControlError(f"kernel is {text[:60]!r}, but {kind} takes {count} number{'s' * (count > 1)}: {FORMS}")
    return maker(*values)


def from_array(array: np.ndarray, centred: bool = False) -> Tensor:
    """The kernel in an array of any numbers: (H, W), or a picture's (H, W, 1) or (H, W, 3), of which the luma counts.

    → (H, W) float64 with a sum of 1, odd sides, and at most LARGEST pixels a side once its empty margins are cut off.
    The array's [H // 2, W // 2] is the kernel's middle, and stays it: as much is cut off on either side. `centred` puts
    the middle at the weights' centre instead, so that nothing in a photo moves: right for what was drawn by hand.
    What is below 0 by no more than BELOW of the peak becomes 0. ControlError for what cannot be a blur.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,)):
        raise ControlError(
            f"an array of {array.dtype} and shape {array.shape} is no kernel: "
            "give numbers of shape (H, W), or a picture's of shape (H, W, 1) or (H, W, 3)"
        )
    weights = array.astype(np.float64)
    if weights.ndim == 3:
        weights = weights[..., 0] if weights.shape[2] == 1 else weights @ np.array(LUMA)
    peak = weights.max(initial=0.0)
    if np.isfinite(weights).all() and peak > 0:
        weights = weights / peak  # so that no sum is beyond what a number holds
        if weights.min() >= -BELOW:
            weights = weights.clip(min=0)
        weights = _cut(_cut(weights, 0, centred), 1, centred)
    return normalised(torch.from_numpy(weights))


def normalised(kernel: Tensor) -> Tensor:
    """(H, W) of any range → float64 with a sum of 1 and odd sides. ControlError for what cannot be a blur."""
    if kernel.ndim != 2 or not kernel.numel():
        raise ControlError(f"a kernel is a grey picture or an array (H, W), not of shape {tuple(kernel.shape)}")
    if max(kernel.shape) > LARGEST:
        raise ControlError(
            f"the kernel is {kernel.shape[1]}×{kernel.shape[0]} pixels, but at most {LARGEST} a side are taken: crop it"
        )
    kernel = kernel.to(torch.float64)
    if not torch.isfinite(kernel).all() or (kernel < 0).any():
        raise ControlError("the kernel has values below 0 or that are no numbers: a blur's weights are 0 or more")
    total = kernel.sum()
    if total <= 0:
        raise ControlError("the kernel is black: a blur's weights are bright where a point is spread to")
    even = [1 - side % 2 for side in kernel.shape]
    return torch.nn.functional.pad(kernel / total, (0, even[1], 0, even[0]))


def _within(what: str, value: float, largest: float) -> float:
    if not 0 < value <= largest:
        raise ControlError(f"{what} is {value:g}, but it must be above 0 and at most {largest:g} pixels")
    return float(value)


def _fine_grid(reach: int) -> Tensor:
    count = (2 * reach + 1) * SAMPLES
    return (torch.arange(count, dtype=torch.float64) + 0.5) / SAMPLES - reach - 0.5


def _pixels(fine: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(fine[None, None], SAMPLES)[0, 0]


def _trimmed(kernel: Tensor) -> Tensor:
    """Without empty rows and columns, as many on either side."""
    for side in (0, 1):
        while kernel.shape[side] > 2 and not (kernel.select(side, 0).any() or kernel.select(side, -1).any()):
            kernel = kernel.narrow(side, 1, kernel.shape[side] - 2)
    return kernel


def _cut(weights: np.ndarray, axis: int, centred: bool) -> np.ndarray:
    """Its rows (axis 0) or columns from the first to the last that hold anything, as many on either side of the middle.

    Of weights whose peak is 1.
    """
    middle = weights.shape[axis] // 2
    if centred:
        profile = np.abs(weights).sum(axis=1 - axis)
        middle = round(float(profile @ np.arange(len(profile)) / profile.sum()))
    held = np.flatnonzero(np.abs(weights).max(axis=1 - axis) > EMPTY)
    reach = max(middle - held[0], held[-1] - middle)
    around = [(reach, reach) if one == axis else (0, 0) for one in (0, 1)]
    return np.pad(weights, around).take(np.arange(middle, middle + 2 * reach + 1), axis)
