"""Two measures that follow the eye more closely than PSNR does, by published formulas, without weights to download.

Both are of luma, 0–255. GMSD compares edges: 0 for equal images, more is worse. MS-SSIM is SSIM at five sizes: 1 for
equal images.
"""

from __future__ import annotations

import numpy as np

from deconvdemo.image.metrics import SSIM_WINDOW, similarities
from deconvdemo.image.pixels import as_unit
from deconvdemo.units import GREY_LEVELS, LUMA

GMSD, MS_SSIM = "GMSD", "MS-SSIM"
_STABLE = 170.0  # GMSD's constant, for grey levels
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # MS-SSIM's weights, the finest first
MS_SSIM_SIDE = (SSIM_WINDOW - 1) * 2 ** (len(SCALES) - 1) + 1  # pixels: smaller images have no fifth size


def gmsd(restored: np.ndarray, clean: np.ndarray) -> float:
    """Gradient magnitude similarity deviation (Xue, Zhang, Mou & Bovik 2014) of (H, W, 3) images of one dtype."""
    one, other = (_gradient(_halved(_luma(image))) for image in (restored, clean))
    similar = (2 * one * other + _STABLE) / (one**2 + other**2 + _STABLE)
    return float(similar.std(ddof=1))


def ms_ssim(restored: np.ndarray, clean: np.ndarray) -> float:
    """Multi-scale SSIM (Wang, Simoncelli & Bovik 2003). Raises ValueError for sides under MS_SSIM_SIDE."""
    if min(clean.shape[:2]) < MS_SSIM_SIDE:
        raise ValueError(f"MS-SSIM needs sides of at least {MS_SSIM_SIDE} pixels, not {clean.shape[:2]}")
    one, other = _luma(restored)[..., None], _luma(clean)[..., None]
    product = 1.0
    for number, weight in enumerate(SCALES, 1):
        luminance, structure = similarities(one, other)
        similar = luminance * structure if number == len(SCALES) else structure
        product *= max(float(similar.mean()), 0.0) ** weight
        one, other = _paired(one), _paired(other)
    return product


def perceptual(restored: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Both, by name; MS-SSIM where the image is large enough."""
    also = {MS_SSIM: ms_ssim(restored, clean)} if min(clean.shape[:2]) >= MS_SSIM_SIDE else {}
    return {**also, GMSD: gmsd(restored, clean)}


def _luma(image: np.ndarray) -> np.ndarray:
    return as_unit(image) @ np.array(LUMA) * GREY_LEVELS


def _paired(image: np.ndarray) -> np.ndarray:
    """Means of 2×2 pixels; an odd row or column at the end is left out."""
    height, width = (length // 2 * 2 for length in image.shape[:2])
    even = image[:height, :width]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def _halved(image: np.ndarray) -> np.ndarray:
    """As the authors' code has it: means of 2×2 pixels, black beyond the border, of every second place."""
    grown = np.pad(image, ((0, 1), (0, 1)))
    return ((grown[:-1, :-1] + grown[1:, :-1] + grown[:-1, 1:] + grown[1:, 1:]) / 4)[::2, ::2]


def _gradient(image: np.ndarray) -> np.ndarray:
    """Magnitude by Prewitt's kernels; black beyond the border."""
    grown = np.pad(image, 1)
    across = sum(grown[row : row + len(image), 2:] - grown[row : row + len(image), :-2] for row in range(3)) / 3
    width = image.shape[1]
    down = sum(grown[2:, column : column + width] - grown[:-2, column : column + width] for column in range(3)) / 3
    return np.hypot(across, down)
