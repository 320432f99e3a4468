"""Small crops of photographs made smaller, for a network that draws pictures: each shows a good part of its photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL.Image import Resampling

from deconvdemo.errors import DatasetError, PhotoError, TrainingError
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import to_pillow
from deconvdemo.training.data.corpus import source

SIDE = 64
SHORTER = 72, 160  # pixels of the photo's shorter side, made smaller, that a crop is cut from
EACH = 8  # crops of a photo
HELD_OUT = 16  # every so manieth photo is for measuring alone


def small_crops(
    places: Sequence[str | Path], say: Callable[[str], None], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(N, 64, 64, 3) uint8 to train on, and of other photos to measure on. Raises TrainingError for too few."""
    from tqdm import tqdm

    rng = np.random.default_rng(seed)
    kept: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    files = [one for place in places for one in source(place).images()]
    for number, (name, file) in enumerate(tqdm(files, desc="cutting", unit="image", mininterval=5)):
        try:
            if isinstance(file, DatasetError):
                raise file
            image = to_pillow(read_photo(file)).convert("RGB")
        except (PhotoError, DatasetError) as error:
            say(f"skipped {name}: {error}")
            continue
        for _ in range(EACH):
            factor = int(rng.integers(*SHORTER)) / min(image.size)
            size = [max(SIDE, round(length * factor)) for length in image.size]
            smaller = np.asarray(image.resize((size[0], size[1]), Resampling.BICUBIC, reducing_gap=3))
            top, left = (int(rng.integers(length - SIDE + 1)) for length in smaller.shape[:2])
            kept[number % HELD_OUT == 0].append(smaller[top : top + SIDE, left : left + SIDE])
    if not all(kept):
        raise TrainingError(f"{len(files)} images are too few to train a decoder: give at least {2 * HELD_OUT}")
    return np.stack(kept[0]), np.stack(kept[1])
