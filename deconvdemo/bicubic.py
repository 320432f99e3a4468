"""Antialiased bicubic resizing as MATLAB's `imresize` defines it, which super-resolution is judged by.

Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 1981, with a = -1/2. When shrinking,
the kernel is stretched by the scale, so that what the smaller grid cannot carry is averaged away, not aliased.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel at distances `x`, in pixels: 1 at 0, 0 at ±1, and 0 from ±2 on."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def linear(x: np.ndarray) -> np.ndarray:
    """The kernel of bilinear interpolation, which is nowhere negative: a mean lies between what it is of."""
    return np.maximum(0.0, 1 - np.abs(x))


Kernel = Callable[[np.ndarray], np.ndarray]


@lru_cache(maxsize=256)
def _taps(length: int, scale: float, kernel: Kernel = cubic) -> tuple[np.ndarray, np.ndarray]:
    """For each of the `round(length * scale)` results: the pixels it reads, also beyond the border, and their weights.

    Both (results, taps).
    """
    stretch = min(scale, 1.0)
    radius = 2 / stretch
    results = max(1, round(length * scale))
    centre = (np.arange(results) + 0.5) / scale - 0.5
    first = np.floor(centre - radius)
    index = first[:, None] + np.arange(int(np.ceil(2 * radius)) + 2)
    weight = stretch * kernel(stretch * (centre[:, None] - index))
    weight /= weight.sum(axis=1, keepdims=True)
    used = np.any(weight != 0, axis=0)
    return index[:, used].astype(np.int64), weight[:, used]


def _mirrored(index: np.ndarray, length: int) -> np.ndarray:
    """Beyond the border the image is mirrored, the edge pixel included, as MATLAB does; also one of a few pixels."""
    there_and_back = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    return there_and_back[np.mod(index, 2 * length)]


def _resize_axis(images: Tensor, scale: float, axis: int, kernel: Kernel) -> Tensor:
    length = images.shape[axis]
    index, weight = _taps(length, scale, kernel)
    before, after = max(0, -int(index.min())), max(0, int(index.max()) - length + 1)
    results = index.shape[0]
    times = max(scale, 1 / scale)
    whole = abs(times - round(times)) < 1e-9 and max(results, length) == round(times) * min(results, length)
    if not whole or max(before, after) > length:
        return _gathered(images, _mirrored(index, length), weight, axis)
    edges = [images.narrow(axis, 0, before).flip(axis), images, images.narrow(axis, length - after, after).flip(axis)]
    padded = torch.cat(edges, axis)
    # by a whole number, the results of each phase read the same taps, a whole number of pixels apart: no gathering
    phases, every = max(1, results // length), max(1, length // results)
    count = results // phases
    shape = (*images.shape[:axis], count, phases, *images.shape[axis + 1 :])
    out = images.new_empty(shape)
    for phase in range(phases):
        # tap by tap: the order of additions is the same for a tile as for the whole image, so both round alike
        total = torch.zeros(())
        for first, share in zip(index[phase] + before, weight[phase], strict=True):
            reads = [slice(None)] * axis + [slice(int(first), int(first) + every * (count - 1) + 1, every)]
            term = padded[tuple(reads)] * float(share)
            total = total.add_(term) if total.dim() else term
        out.select(axis + 1, phase).copy_(total)
    return out.flatten(axis, axis + 1)


def _gathered(images: Tensor, index: np.ndarray, weight: np.ndarray, axis: int) -> Tensor:
    """Any scale and any length."""
    shape = [1] * images.dim()
    shape[axis] = -1
    out: Tensor | None = None
    for tap in range(index.shape[1]):
        where = torch.from_numpy(index[:, tap]).to(images.device)
        share = torch.from_numpy(weight[:, tap]).to(images.device, images.dtype).view(shape)
        term = images.index_select(axis, where) * share
        out = term if out is None else out.add_(term)
    assert out is not None
    return out


def resize(images: Tensor, scale: float, kernel: Kernel = cubic) -> Tensor:
    """(N, C, H, W) → (N, C, round(H·scale), round(W·scale)), at least 1×1, of the same dtype and not clipped.

    `scale` 2 doubles each side, 1/2 halves it (antialiased).
    """
    images = images.contiguous()  # rows of pixels: what is added up lies side by side
    return _resize_axis(_resize_axis(images, scale, 2, kernel), scale, 3, kernel)
