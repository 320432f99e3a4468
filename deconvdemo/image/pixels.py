"""Pixels from one form into another: depths of integers and floats, arrays and torch's tensors.

Pixels are (H, W, C) of a Photo's dtypes: uint8, uint16 (full range), or float32 in [0, 1]. Images are (N, C, H, W)
float32 tensors in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

PEAK = {"uint8": 255.0, "uint16": 65535.0}  # floats: 1


def to_depth(samples: np.ndarray, dtype: type | np.dtype) -> np.ndarray:
    """The same picture as uint8 (0…255), uint16 (0…65535) or float32 ([0, 1]); from float it is clipped."""
    dtype = np.dtype(dtype)
    if samples.dtype == dtype:
        return samples
    if dtype == np.float32:
        return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
    if samples.dtype.kind == "f":
        top = np.iinfo(dtype).max
        return np.rint(np.clip(samples, 0, 1) * np.float32(top)).astype(dtype)
    if dtype == np.uint16:
        return samples.astype(np.uint16) * np.uint16(257)
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def as_unit(image: np.ndarray) -> np.ndarray:
    """float64 in [0, 1] from uint8, uint16 (full range) or float."""
    return image.astype(np.float64) / PEAK.get(image.dtype.name, 1.0)


def eight_bit_rgb(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8, of grey, too."""
    return np.broadcast_to(to_depth(pixels, np.uint8), (*pixels.shape[:2], 3)).copy()


def as_images(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, C) of any depth → (1, C, H, W)."""
    import torch

    unit = torch.from_numpy(pixels.astype(np.float32)) / PEAK.get(pixels.dtype.name, 1.0)
    return unit.permute(2, 0, 1)[None]


def as_pixels(images: torch.Tensor, dtype: type | np.dtype = np.float32) -> np.ndarray:
    """(1, C, H, W) → (H, W, C); integers are rounded and clipped, floats are left as they are."""
    array = np.ascontiguousarray(images[0].permute(1, 2, 0).numpy())
    return to_depth(array, dtype)


def eight_bits(images: torch.Tensor) -> np.ndarray:
    """(1, C, H, W) → (H, W, C) uint8: what a PNG of the image would hold."""
    return as_pixels(images, np.uint8)
