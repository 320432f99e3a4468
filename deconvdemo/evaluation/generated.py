"""How like photographs generated pictures are: their spectrum, and the statistics of their patches.

The spectrum is that of luma by distance from the origin; the patches' are the distributions of the cosine coefficients
of 8×8 blocks, one frequency after another. Neither says that a picture shows anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from deconvdemo.cosines import BLOCK, cosines
from deconvdemo.errors import PhotoError, TrainingError
from deconvdemo.evaluation.protocols import image_files
from deconvdemo.hub.datasets import SUFFIXES
from deconvdemo.image.metrics import luma
from deconvdemo.image.pixels import eight_bit_rgb, eight_bits
from deconvdemo.image.reading import read_photo

SIDE, SHORTER = 64, 112  # pixels of a crop; and of the photo's shorter side, made smaller, that it is cut from
LOWEST = 2  # cycles a picture, from which on spectra are compared: below it is what a picture shows
Crops = np.ndarray  # (N, 64, 64, 3) uint8


@dataclass(frozen=True)
class Likeness:
    pictures: str
    spectrum: float  # dB, root mean square over frequencies, from the photos' mean spectrum
    patches: float  # mean distance of distributions, in the photos' standard deviations
    differ: float  # grey levels, root mean square: how far two pictures are apart


def crops_of(folder: Path, each: int = 4) -> Crops:
    """Of clean photos, made smaller so that a crop shows much of one. Raises TrainingError where there are none."""
    found = []
    for number, file in enumerate(image_files(folder)):
        try:
            image = Image.fromarray(eight_bit_rgb(read_photo(file).pixels))
        except PhotoError:
            continue
        rng, factor = np.random.default_rng(number), SHORTER / min(image.size)
        size = max(SIDE, round(image.width * factor)), max(SIDE, round(image.height * factor))
        smaller = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
        for _ in range(each):
            top, left = (int(rng.integers(length - SIDE + 1)) for length in smaller.shape[:2])
            found.append(smaller[top : top + SIDE, left : left + SIDE])
    if len(found) < 2:
        raise TrainingError(f"no two crops in {folder}: expected {', '.join(sorted(SUFFIXES))} files")
    return np.stack(found)


def drawn_by(network, count: int = 256) -> Crops:
    """Pictures of a decoder in memory."""
    import torch

    rng = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        drawn = [eight_bits(network(network.noise(1, rng))) for _ in range(count)]
    return np.stack(drawn)


def likeness(pictures: str, made: Crops, real: Crops) -> Likeness:
    spectra = [10 * np.log10(spectrum(one)) for one in (made, real)]
    own, others = (_coefficients(one) for one in (made, real))
    shares = np.linspace(0, 1, 101)[1:-1]  # quantiles compare sets of any two sizes
    apart = np.abs(np.quantile(own, shares, axis=0) - np.quantile(others, shares, axis=0)).mean(0)
    return Likeness(
        pictures,
        round(float(np.sqrt(np.mean((spectra[0] - spectra[1]) ** 2))), 2),
        round(float((apart / (others.std(0) + 1e-6))[1:].mean()), 3),  # but for a block's mean
        round(float(np.sqrt(np.mean((made[1:].astype(float) - made[:-1]) ** 2))), 1),
    )


def spectrum(crops: Crops) -> np.ndarray:
    """Mean power of luma by whole cycles a picture, from LOWEST to half a cycle a pixel; windowed."""
    window = np.hanning(SIDE)[:, None] * np.hanning(SIDE)
    grey = np.stack([luma(one)[..., 0] for one in crops])
    power = np.abs(np.fft.fft2((grey - grey.mean((1, 2), keepdims=True)) * window)) ** 2
    frequency = np.fft.fftfreq(SIDE, 1 / SIDE)
    ring = np.rint(np.hypot(frequency[:, None], frequency)).astype(int)
    return np.array([power[:, ring == radius].mean() for radius in range(LOWEST, SIDE // 2 + 1)]) + 1e-9


def _coefficients(crops: Crops) -> np.ndarray:
    """(blocks, 64): cosine transforms of luma's 8×8 blocks."""
    grey = np.stack([luma(one)[..., 0] for one in crops])
    count, cells = len(grey), SIDE // BLOCK
    blocks = grey.reshape(count, cells, BLOCK, cells, BLOCK).swapaxes(2, 3).reshape(-1, BLOCK, BLOCK)
    basis = np.asarray(cosines())
    return (basis @ blocks @ basis.T).reshape(len(blocks), -1)
