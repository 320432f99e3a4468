"""Numbers that are drawn on the processor, brought to where the images are without waiting for what goes on there."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def placed(numbers: np.ndarray, like: Tensor) -> Tensor:
    """`numbers` as a tensor of the same kind on `like`'s device.

    From memory that the system may move, a copy to a GPU waits until all that was asked of it before is done.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(numbers))
    if like.device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(like.device, non_blocking=True)


def places(chosen: np.ndarray, like: Tensor) -> Tensor:
    """(N,) bool → the places of what is chosen. A GPU that is given the bools themselves is asked how many they are."""
    return placed(np.flatnonzero(chosen), like)


def turned_places(
    rng: np.random.Generator, corners: np.ndarray, widths: np.ndarray | int, side: int, like: Tensor
) -> Tensor:
    """(N, side, side) places, in a flat list of pixels, of N squares, each turned and mirrored at random.

    `corners` (N,) are the places of the squares' first pixels, `widths` how far the next row is from a row.
    """
    count = len(corners)
    backward, leftward, swapped = rng.integers(2, size=(3, count, 1)).astype(bool)
    steps = np.arange(side)
    down, right = np.where(backward, steps[::-1], steps), np.where(leftward, steps[::-1], steps)
    row = np.broadcast_to(widths, count)[:, None]
    down, right = down * np.where(swapped, 1, row), right * np.where(swapped, row, 1)
    down += corners[:, None]
    return placed(down, like)[:, :, None] + placed(right, like)[:, None, :]
