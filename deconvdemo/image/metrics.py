"""How far a restored image is from the clean one: PSNR and SSIM, over RGB or luma, with a border left out.

Images are (H, W, C) arrays, uint8 or uint16 (full range) or float in [0, 1]; both of one shape and dtype.
"""

from __future__ import annotations

import numpy as np

from deconvdemo.image.pixels import PEAK, as_unit
from deconvdemo.units import GREY_LEVELS

LARGEST = 100.0  # dB that a perfect result counts where infinity has no mean
DARKEST, SPAN = 16, 219  # luma of black, and from there to white
SSIM_WINDOW = 11  # pixels a side


def luma(image: np.ndarray) -> np.ndarray:
    """BT.601 luma of an RGB image as MATLAB's `rgb2ycbcr` has it: (H, W, 3) → (H, W, 1) float64 in 16–235.

    Super-resolution is judged on this, unrounded.
    """
    return DARKEST + as_unit(image) @ np.array([[65.481], [128.553], [24.966]])


def psnr(restored: np.ndarray, clean: np.ndarray, border: int = 0, on_luma: bool = False) -> float:
    """Peak signal-to-noise ratio in dB (infinite for equal images): 10 log10(peak² / MSE), peak = 255 grey levels."""
    a, b = _pair(restored, clean, border, on_luma)
    mse = float(np.mean((a - b) ** 2))
    return float("inf") if mse == 0 else 10 * float(np.log10(GREY_LEVELS**2 / mse))


def psnr_inside(restored: np.ndarray, clean: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB over the pixels where `mask` (H, W), bool, is true: how inpainting is judged."""
    if not mask.any():
        raise ValueError("the mask is empty: PSNR inside it is not defined")
    a, b = _pair(restored, clean, 0, False)
    mse = float(np.mean((a[mask] - b[mask]) ** 2))
    return float("inf") if mse == 0 else 10 * float(np.log10(GREY_LEVELS**2 / mse))


def ssim(restored: np.ndarray, clean: np.ndarray, border: int = 0, on_luma: bool = False) -> float:
    """Mean structural similarity (Wang et al. 2004): Gaussian window of 11×11 and sigma 1.5, valid positions only.

    Averaged over channels. Raises ValueError for images under 11×11 pixels.
    """
    a, b = _pair(restored, clean, border, on_luma)
    if min(a.shape[:2]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of at least 11×11 pixels, not {a.shape[0]}×{a.shape[1]}")
    luminance, structure = similarities(a, b)
    return float(np.mean(luminance * structure))


def similarities(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SSIM's two factors at each place, of luminance and of structure, for (H, W, C) float64 on a scale of 0–255."""
    c1, c2 = (0.01 * GREY_LEVELS) ** 2, (0.03 * GREY_LEVELS) ** 2
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (var_a + var_b + c2)


def _pair(restored, clean, border: int, on_luma: bool) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 on a scale of 0–255, checked and cropped."""
    if restored.shape != clean.shape or restored.ndim != 3:
        raise ValueError(f"images must be (H, W, C) of one shape, not {restored.shape} and {clean.shape}")
    if restored.dtype != clean.dtype:
        raise ValueError(f"images must be of one dtype, not {restored.dtype} and {clean.dtype}")
    if restored.dtype.name not in PEAK and restored.dtype.kind != "f":
        raise ValueError(f"images must be uint8, uint16 or float in [0, 1], not {restored.dtype}")
    if restored.dtype.kind == "f" and max(np.max(restored, initial=0), np.max(clean, initial=0)) > 2:
        raise ValueError("float images must be in [0, 1]; these look like 0–255: divide by 255")
    if border and min(restored.shape[:2]) <= 2 * border:
        raise ValueError(f"a border of {border} leaves nothing of an image of {restored.shape[:2]}")
    inner = (slice(border, -border or None),) * 2
    pair = (restored[inner], clean[inner])
    if on_luma and clean.shape[2] == 3:
        a, b = luma(pair[0]), luma(pair[1])
        if not (clean == clean[..., :1]).all():
            return a, b
        # the literature converts colours alone: a grey image, such as Set14's "bridge", keeps its range of 0–255
        return (a - DARKEST) * GREY_LEVELS / SPAN, (b - DARKEST) * GREY_LEVELS / SPAN
    return as_unit(pair[0]) * GREY_LEVELS, as_unit(pair[1]) * GREY_LEVELS


def _blur(image: np.ndarray) -> np.ndarray:
    """Gaussian window of 11 taps and sigma 1.5 over both sides, valid positions only."""
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    for axis in (0, 1):
        image = np.lib.stride_tricks.sliding_window_view(image, SSIM_WINDOW, axis=axis) @ window
    return image
