"""Training patches for finding damage: photographs as old scans are, with marks on them, and what only looks so."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from deconvdemo.degradations import Damage, FadedPrint, GaussianBlur, GaussianNoise, ResizedNoise, quantised
from deconvdemo.degradations.holes import writing
from deconvdemo.training.samples.sample import Sample
from deconvdemo.training.samples.wild import _degrade, _jpeg, _logarithmic, _resized_there, _some, _uniform

UNHARMED = 0.25  # share of patches without a mark: most of a photo has none


def scratched(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Old and new photographs with marks on them; the target is where, and what nobody sees does not count."""
    count, (height, width) = len(clean), clean.shape[-2:]
    photo = _with_content(clean, rng)
    _degrade(photo, _some(rng, count, 0.3), partial(_soft, rng), generator)
    _degrade(photo, _some(rng, count, 0.65), partial(_faded, rng), generator)
    _degrade(photo, _some(rng, count, 0.4), partial(_grain, rng), generator)
    damage = Damage.drawn(rng, count, height, width, UNHARMED).to(clean.device)
    observed = damage(photo)
    mask = damage.mask(photo, observed)
    _degrade(observed, _some(rng, count, 0.4), partial(_scanned, rng), generator)
    _degrade(observed, _some(rng, count, 0.2), partial(_resized_there, rng), generator)
    _degrade(observed, _some(rng, count, 0.6), partial(_jpeg, rng, 50), generator)
    return Sample(quantised(observed), mask, 1 - damage.footprint * (1 - mask))


def _soft(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    return GaussianBlur(_uniform(rng, 0.4, 2.0, len(images), images))(images)


def _faded(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    count = len(images)
    saturation = _uniform(rng, 0.0, 0.8, count, images) * (_uniform(rng, 0, 1, count, images) < 0.35)
    warm = _uniform(rng, -0.05, 0.35, count, images) * (_uniform(rng, 0, 1, count, images) < 0.7)
    tone = torch.cat([1 + 0.6 * warm, 1 + 0.05 * warm, 1 - 0.65 * warm], dim=1)
    black, white = _uniform(rng, 0.0, 0.25, count, images), _uniform(rng, 0.75, 1.0, count, images)
    return FadedPrint(saturation, tone, black, white)(images)


def _grain(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    """A film's or a paper's, of one size in all of these patches."""
    sigma = _logarithmic(rng, 2, 18, len(images), images)
    grey = ResizedNoise(sigma, float(rng.uniform(1.0, 2.2)))(torch.zeros_like(images[:, :1]), generator)
    return (images + grey).clamp(0, 1)


def _scanned(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    """A scanner's softness and noise."""
    count = len(images)
    soft = GaussianBlur(_uniform(rng, 0.2, 1.0, count, images))(images)
    return GaussianNoise(_logarithmic(rng, 0.5, 8, count, images))(soft, generator).clamp(0, 1)


# ---- what is in photographs and is no damage ------------------------------------------------------------------


def _with_content(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """A copy; a quarter of the patches have writing, wires, bars or a paper's border in it, in the photo's colours."""
    photo = clean.clone()
    height, width = clean.shape[-2:]
    kinds = (_writing, _wires, _bars, _border)
    for number in np.flatnonzero(_some(rng, len(clean), 0.28)):
        cover = torch.from_numpy(kinds[rng.integers(len(kinds))](rng, height, width)).to(clean)
        colour = clean[number, :, rng.integers(height), rng.integers(width)].view(3, 1, 1)
        if rng.uniform() < 0.4:  # as often black or white as not
            colour = torch.full_like(colour, float(rng.choice((rng.uniform(0, 0.1), rng.uniform(0.85, 1)))))
        photo[number] = torch.lerp(photo[number], colour.expand_as(photo[number]), cover)
    return photo


def _writing(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    letters = writing(rng, max(height, width))[:height, :width].astype(np.float32)
    return cv2.GaussianBlur(letters, (0, 0), rng.uniform(0.4, 0.8))


def _wires(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Even lines that hang or are taut, several side by side, from one end of the picture to another."""
    cover = np.zeros((height, width), np.uint8)
    along, thickness = np.linspace(-0.1, 1.1, 40), int(rng.integers(1, 4))
    level, slope, slack = rng.uniform(0, 1), rng.normal(0, 0.4), rng.uniform(0, 0.3) * (rng.uniform() < 0.6)
    for number in range(rng.integers(2, 6)):
        across = level + number * rng.uniform(0.03, 0.12) + slope * along - slack * (0.25 - (along - 0.5) ** 2)
        points = np.stack([along * width, across * height], axis=1)
        if rng.uniform() < 0.02:
            points = points[:, ::-1]
        cv2.polylines(cover, [(points * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 4)
    cover = cover if rng.uniform() < 0.7 else np.rot90(cover, 2)
    return cv2.GaussianBlur(cover.astype(np.float32) / 255, (0, 0), rng.uniform(0.4, 0.9))


def _bars(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A window's frame or a fence: straight bars at even distances, one way or both, slightly turned."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    turn, pitch, thick = rng.normal(0, 0.08), rng.uniform(14, 90), rng.uniform(1.5, 7)
    offsets = rng.uniform(0, pitch, 2)
    down = np.abs((rows * np.cos(turn) + columns * np.sin(turn) + offsets[0]) % pitch - pitch / 2)
    right = np.abs((columns * np.cos(turn) - rows * np.sin(turn) + offsets[1]) % pitch - pitch / 2)
    away = (down, right, np.minimum(down, right))[rng.integers(3)]
    return np.clip(thick / 2 + 0.5 - away, 0, 1).astype(np.float32)


def _border(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The blank border of a print, on some of its sides, with straight or round corners."""
    cover = np.ones((height, width), np.float32)
    sides = rng.integers(3, 22, 4) * (rng.uniform(size=4) < 0.6)
    top, left, bottom, right = (int(side) for side in sides)
    cover[top : height - bottom, left : width - right] = 0
    return cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.5, 2.0))
