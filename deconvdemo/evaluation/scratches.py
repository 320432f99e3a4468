"""How well damage is found: on photographs with drawn marks, and on the same photographs as they are.

F1 with a tolerance, as roads and cracks are judged (Heipke et al. 1997): a marked pixel is right within TOLERANCE
pixels of damage, and damage is found within TOLERANCE pixels of a mark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from deconvdemo.degradations import Damage, FadedPrint, GaussianBlur, GaussianNoise, Jpeg
from deconvdemo.errors import TrainingError
from deconvdemo.evaluation.evaluate import Score
from deconvdemo.evaluation.protocols import image_files, none_in
from deconvdemo.image.pixels import as_images, eight_bit_rgb, eight_bits
from deconvdemo.image.reading import read_photo

TOLERANCE = 2  # pixels
DAMAGED, CLEAN, OLD = "scratched", "clean", "old, unharmed"  # settings
# of each photo, and of the pixels of all; what is marked of photos without damage, and how many of these have any
F1, PRECISION, RECALL, POOLED, ALARMS, ALARMED = "F1", "precision", "recall", "F1 of all", "marked %", "of photos %"
Find = Callable[[np.ndarray], np.ndarray]  # (H, W, 3) uint8 → (H, W) bool


@dataclass(frozen=True)
class MarkedPhoto:
    """A photograph, and where it is damaged: (H, W, 3) uint8 and (H, W) bool.

    `ignored` is where marks are too faint to be seen: to find them is neither right nor wrong.
    """

    setting: str
    observed: np.ndarray
    mask: np.ndarray
    ignored: np.ndarray


def marked_photos(folder: Path) -> Iterator[MarkedPhoto]:
    """Each image of `folder` as it is; as an old photo; and as an old or new one with marks.

    What is drawn depends on an image's place in the folder alone. Raises TrainingError where there are no images.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder: --images takes a folder of clean images")
    files = image_files(folder)
    if not files:
        raise none_in(folder)
    for number, file in enumerate(files):
        pixels = eight_bit_rgb(read_photo(file).pixels)
        clean, unharmed = as_images(pixels), np.zeros(pixels.shape[:2], bool)
        rng, generator = np.random.default_rng([7, number]), torch.Generator().manual_seed(number)
        old = _old(clean, rng, generator)
        printed = old if number % 2 else clean
        damage = Damage.drawn(rng, 1, *pixels.shape[:2])
        seen = damage(printed)
        mask, footprint = (one[0, 0].numpy() > 0 for one in (damage.mask(printed, seen), damage.footprint))
        yield MarkedPhoto(CLEAN, pixels, unharmed, unharmed)
        yield MarkedPhoto(OLD, _scanned(old, rng), unharmed, unharmed)
        yield MarkedPhoto(DAMAGED, _scanned(seen, rng), mask, footprint & ~mask)


def counts(found: np.ndarray, truth: np.ndarray, tolerance: int = TOLERANCE) -> np.ndarray:
    """Pixels of two (H, W) bool masks: marked and right, marked, damaged and found, damaged."""
    right, hit = found & _near(truth, tolerance), truth & _near(found, tolerance)
    return np.array([part.sum() for part in (right, found, hit, truth)])


def f1(counted: np.ndarray) -> tuple[float, float, float]:
    """(F1, precision, recall) of what `counts` gives, or a sum of such; nothing found where nothing is, is 1."""
    right, of_found, hit, of_truth = (int(one) for one in counted)
    precision, recall = right / of_found if of_found else 1.0, hit / of_truth if of_truth else 1.0
    return 2 * precision * recall / max(precision + recall, 1e-9), precision, recall


def evaluate(find: Find, folder: Path) -> list[Score]:
    """Damaged photos: the mean F1 of each. Unharmed ones: the share of pixels, and of photos, that is marked, in %."""
    from tqdm import tqdm

    rows: dict[str, list[dict[str, float]]] = {}
    seconds: dict[str, float] = {}
    pixels: dict[str, int] = {}
    total = np.zeros(4, np.int64)
    for case in tqdm(marked_photos(folder), desc="scratches", unit="image", disable=None, leave=False):
        started = time.perf_counter()
        found = find(case.observed)
        seconds[case.setting] = seconds.get(case.setting, 0.0) + time.perf_counter() - started
        pixels[case.setting] = pixels.get(case.setting, 0) + found.size
        if case.setting == DAMAGED:
            counted = counts(found & ~case.ignored, case.mask)
            total += counted
            row = dict(zip((F1, PRECISION, RECALL), f1(counted), strict=True))
        else:
            row = {ALARMS: 100 * float(found.mean()), ALARMED: 100.0 * bool(found.any())}
        rows.setdefault(case.setting, []).append(row)
    scores = []
    for setting, measured in rows.items():
        means = {name: round(float(np.mean([row[name] for row in measured])), 4) for name in measured[0]}
        pooled = {POOLED: round(f1(total)[0], 4)} if setting == DAMAGED else {}
        cost = round(seconds[setting] / pixels[setting] * 1e6, 4)
        scores.append(Score("network", setting, len(measured), means | pooled, cost))
    return scores


def _near(mask: np.ndarray, tolerance: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * tolerance + 1,) * 2)
    return cv2.dilate(mask.astype(np.uint8), disc).astype(bool)


def _old(clean: torch.Tensor, rng: np.random.Generator, generator: torch.Generator) -> torch.Tensor:
    """A faded print, grey or sepia, with a little grain."""
    warm = rng.uniform(0, 0.3)
    tone = torch.tensor([1 + 0.6 * warm, 1 + 0.05 * warm, 1 - 0.65 * warm], dtype=torch.float32).view(1, 3, 1, 1)
    printed = FadedPrint(rng.uniform(0, 0.5) * (rng.uniform() < 0.3), tone, rng.uniform(0, 0.2), rng.uniform(0.8, 1))(
        clean
    )
    soft = GaussianBlur(rng.uniform(0.3, 1.2))(printed)
    return GaussianNoise(rng.uniform(1, 10))(soft, generator).clamp(0, 1)


def _scanned(seen: torch.Tensor, rng: np.random.Generator) -> np.ndarray:
    """Softened by a scanner and written as a JPEG."""
    soft = GaussianBlur(rng.uniform(0.2, 0.7))(seen)
    return eight_bits(Jpeg(rng.uniform(70, 96))(soft))
