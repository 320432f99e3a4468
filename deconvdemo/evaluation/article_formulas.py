"""What the articles' formulas for the "inverse" of a convolution make of a blurred photo, beside the inverse itself.

On a circular grid a convolution multiplies spectra: F{y} = F{f} · F{x}. Its adjoint multiplies by the conjugate, its
inverse divides; where F{f} is small, dividing raises the noise by as much, so Wiener's filter gives up there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deconvdemo.image.metrics import LARGEST, psnr
from deconvdemo.image.pixels import as_unit
from deconvdemo.units import GREY_LEVELS

BLUR = 1.2  # pixels: the Gaussian's sigma
NOISE = 2.0  # grey levels
CONSTANT = 0.02  # of Wiener's filter, with noise: its power beside a photo's, where a photo is weak

Spectrum = np.ndarray
FORMULAS: dict[str, Callable[[Spectrum, float], Spectrum]] = {  # of F{f} and Wiener's constant
    "the blurred photo": lambda f, constant: np.ones_like(f),
    "F · F{y}: multiplied again (articles 3 and 4)": lambda f, constant: f,
    "correlation, the adjoint (article 2)": lambda f, constant: np.conj(f),
    "F{y} / F, the inverse": lambda f, constant: 1 / f,
    "Wiener's filter": lambda f, constant: np.conj(f) / (np.abs(f) ** 2 + constant),
}


@dataclass(frozen=True)
class FormulaRow:
    formula: str
    psnr: float  # dB, without noise; LARGEST at most
    noisy_psnr: float  # dB, with noise of sigma NOISE


def gaussian_spectrum(shape: tuple[int, int], sigma: float = BLUR) -> Spectrum:
    """Of a Gaussian kernel that sums to 1, its middle at the origin of a circular grid."""
    rows, columns = (np.minimum(np.arange(side), side - np.arange(side)) for side in shape)
    kernel = np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * sigma**2))
    return np.fft.fft2(kernel / kernel.sum())


def filtered(image: np.ndarray, spectrum: Spectrum) -> np.ndarray:
    """(H, W, C) with each channel's spectrum multiplied."""
    return np.fft.ifft2(np.fft.fft2(image, axes=(0, 1)) * spectrum[..., None], axes=(0, 1)).real


def formula_rows(photos: list[np.ndarray]) -> list[FormulaRow]:
    """Means over (H, W, 3) uint8 photos."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in FORMULAS}
    for at, photo in enumerate(photos):
        clean = as_unit(photo)
        f = gaussian_spectrum(photo.shape[:2])
        blurred = filtered(clean, f)
        noise = np.random.default_rng(at).normal(0, NOISE / GREY_LEVELS, clean.shape)
        for name, formula in FORMULAS.items():
            plain = np.clip(filtered(blurred, formula(f, 0)), 0, 1)
            noisy = np.clip(filtered(blurred + noise, formula(f, CONSTANT)), 0, 1)
            found[name].append((min(psnr(plain, clean), LARGEST), psnr(noisy, clean)))
    return [FormulaRow(name, *(round(float(one), 2) for one in np.mean(rows, 0))) for name, rows in found.items()]
