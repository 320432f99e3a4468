"""Estimating the noise of a photo from the photo alone."""

from __future__ import annotations

import numpy as np

from deconvdemo.metrics import GREY_LEVELS, as_unit

PATCH = 8  # pixels a side
MOST_PATCHES = 20_000


def estimate_sigma(pixels: np.ndarray) -> float:
    """Standard deviation of white noise in `pixels`, (H, W, C) of any of Photo's dtypes, in 8-bit grey levels.

    Patches of a clean photo lie near a low-dimensional subspace; noise fills all dimensions alike. So the small
    eigenvalues of the patches' covariance are the noise's variance, once the large ones, the picture's, are set aside:
    that is done when the rest is as often above its mean as below (Chen, Zhu & Heng, ICCV 2015). Photos too small for
    that are judged by their Laplacian (Immerkær 1996); below 3×3 pixels the answer is 0.
    """
    height, width, channels = pixels.shape
    if min(height, width) < 3:
        return 0.0
    dimensions = PATCH * PATCH * channels
    if min(height, width) < PATCH or (height - PATCH) * (width - PATCH) < 4 * dimensions:
        return GREY_LEVELS * _laplacian_sigma(pixels)
    patches = _patches(pixels)
    patches = patches - patches.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(patches.T @ patches / len(patches))
    for count in range(dimensions, 0, -1):
        mean = eigenvalues[:count].mean()
        if np.median(eigenvalues[:count]) >= mean:
            break
    return GREY_LEVELS * float(np.sqrt(max(mean, 0.0)))


def _patches(pixels: np.ndarray) -> np.ndarray:
    """At most MOST_PATCHES patches spread evenly over the photo, flat: (patches, dimensions) float64."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (PATCH, PATCH), axis=(0, 1))
    # an odd step: an even one would always meet the same phase of JPEG's and Bayer's grids
    step = int(np.ceil(np.sqrt(windows.shape[0] * windows.shape[1] / MOST_PATCHES)))
    step += 1 - step % 2
    chosen = windows[::step, ::step]
    return as_unit(chosen.reshape(-1, PATCH * PATCH * pixels.shape[2]))


def _laplacian_sigma(pixels: np.ndarray) -> float:
    p = as_unit(pixels)
    rows = p[:-2] - 2 * p[1:-1] + p[2:]
    response = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.sqrt(np.pi / 2) * np.mean(np.abs(response)) / 6)
