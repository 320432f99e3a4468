"""Images as arrays and as tensors: what degradations are given and give, for whoever has a photo's pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from deconvdemo.degradations.jpeg import quantised
from deconvdemo.image.metrics import GREY_LEVELS
from deconvdemo.image.photo import to_depth


def as_images(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 → (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] / GREY_LEVELS


def as_pixels(images: Tensor) -> np.ndarray:
    """(1, 3, H, W) → (H, W, 3), of the same type."""
    return np.ascontiguousarray(images[0].permute(1, 2, 0).numpy())


def eight_bits(images: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [0, 1] → (H, W, 3) uint8, clipped and rounded as a file is."""
    return to_depth(as_pixels(quantised(images)), np.uint8)
