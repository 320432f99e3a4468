"""PSNR and SSIM of large pictures in little memory: strip by strip, with the same result as of the whole."""

from __future__ import annotations

import math

import numpy as np

from deconvdemo.image.metrics import SSIM_WINDOW, psnr, ssim
from deconvdemo.units import GREY_LEVELS

STRIP = 1_000_000  # pixels: in float64, with all that SSIM needs beside them, some 250 MB


def measured(restored: np.ndarray, clean: np.ndarray, strip: int = STRIP) -> dict[str, float]:
    """`psnr` in dB and, where the picture is large enough, `ssim`; without those that are not finite."""
    height, width = clean.shape[:2]
    rows = max(SSIM_WINDOW, strip // width)
    error = similar = positions = 0.0
    for top in range(0, height, rows):
        end = min(top + rows, height)
        error += GREY_LEVELS**2 / 10 ** (psnr(restored[top:end], clean[top:end]) / 10) * (end - top)
        below = min(end + SSIM_WINDOW - 1, height)  # windows that begin in this strip
        windows = below - top - SSIM_WINDOW + 1
        if windows > 0 and width >= SSIM_WINDOW:
            similar += ssim(restored[top:below], clean[top:below]) * windows
            positions += windows
    found = {"psnr": round(10 * math.log10(GREY_LEVELS**2 * height / error), 2)} if error else {}
    return found | ({"ssim": round(similar / positions, 4)} if positions else {})
