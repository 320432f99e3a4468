"""Estimating the noise of a photo from the photo alone, where it can be seen."""

from __future__ import annotations

import math

import numpy as np

from deconvdemo.image.noise_patches import PATCH, exposed, quietest, sampled
from deconvdemo.units import GREY_LEVELS

FEWEST = 4  # patches for each of their dimensions, below which their covariance says too little
QUIET = 0.3  # of the estimate: where 3×3 pixels of a patch deviate less, the patch's texture is no noise
OFTEN = 0.35  # share of such patches, from which on the picture is a drawing, or as good as one


def estimate_sigma(pixels: np.ndarray, visible: np.ndarray | None = None) -> float:
    """Standard deviation of white noise in `pixels`, (H, W, C) of any of Photo's dtypes, in 8-bit grey levels.

    `visible`, (H, W) bool, is where the photo can be seen; None: everywhere.

    Patches of a clean photo lie near a low-dimensional subspace; noise fills all dimensions alike. So the small
    eigenvalues of the patches' covariance are the noise's variance, once the large ones, the picture's, are set aside:
    that is done when the rest is as often above its mean as below (Chen, Zhu & Heng, ICCV 2015). Photos too small for
    that are judged by their Laplacian (Immerkær 1996); below 3×3 pixels the answer is 0.

    A scan's white margin, a film's black bars, a burnt-out sky or the ground that a photo was laid on have no vote; a
    drawing, whose lines fill all dimensions, too, is told from noise by the quiet places beside them.
    """
    if min(pixels.shape[:2]) < 3:
        return 0.0
    patches, size = sampled(pixels, visible)
    if not len(patches):
        return 0.0
    patches = exposed(patches, size, _fewest(patches))
    sigma = _sigma(patches, size)
    if sigma == 0:
        return 0.0
    deviation = quietest(patches[::5], size)
    drawn = (deviation < QUIET * sigma).mean() > OFTEN
    return GREY_LEVELS * (float(np.median(deviation)) if drawn else sigma)


def _fewest(patches: np.ndarray) -> int:
    return FEWEST * patches[0].size


def _sigma(patches: np.ndarray, size: tuple[int, int]) -> float:
    if size == (PATCH, PATCH) and len(patches) >= _fewest(patches):
        return _eigenvalue_sigma(patches)
    return _laplacian_sigma(patches.reshape(-1, *size))


def _eigenvalue_sigma(patches: np.ndarray) -> float:
    flat = patches.reshape(len(patches), -1)
    flat = flat - flat.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(flat.T @ flat / len(flat))
    for count in range(len(eigenvalues), 0, -1):
        mean = eigenvalues[:count].mean()
        if np.median(eigenvalues[:count]) >= mean:
            break
    return math.sqrt(max(mean, 0.0))


def _laplacian_sigma(patches: np.ndarray) -> float:
    rows = patches[:, :-2] - 2 * patches[:, 1:-1] + patches[:, 2:]
    response = rows[..., :-2] - 2 * rows[..., 1:-1] + rows[..., 2:]
    return math.sqrt(math.pi / 2) * float(np.mean(np.abs(response))) / 6
