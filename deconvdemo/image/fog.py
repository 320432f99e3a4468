"""Whether a filling has the texture of what is around it: gradients of luma, whose loss is what is seen as fog."""

from __future__ import annotations

import numpy as np

from deconvdemo.image.pixels import as_unit
from deconvdemo.units import GREY_LEVELS, LUMA


def gradient_energy(pixels: np.ndarray, where: np.ndarray) -> float:
    """Mean squared difference of neighbours, down plus across, in squared 8-bit grey levels of luma.

    Of (H, W, C) `pixels` of any of Photo's dtypes, where pairs of neighbours lie both in (H, W) bool `where`; 0 where
    there are none.
    """
    grey = as_unit(pixels) @ np.array(LUMA) if pixels.shape[2] == 3 else as_unit(pixels).mean(axis=2)
    total = 0.0
    for axis in (0, 1):
        pairs = np.logical_and(
            *(np.roll(where, shift, axis).take(range(where.shape[axis] - 1), axis) for shift in (0, -1))
        )
        differences = np.diff(grey * GREY_LEVELS, axis=axis)[pairs]
        total += float(np.mean(differences**2)) if differences.size else 0.0
    return total


def gradient_ratio(pixels: np.ndarray, inside: np.ndarray, around: np.ndarray) -> float:
    """`gradient_energy` inside over that around: 1 is as much texture, near 0 is fog, far above 1 is rubble.

    1 where nothing around has any.
    """
    expected = gradient_energy(pixels, around)
    return gradient_energy(pixels, inside) / expected if expected else 1.0
