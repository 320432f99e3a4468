"""Folders of photographs as one memory-mapped file of uint8 pixels: decoded once, cropped without decoding."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deconvdemo.errors import PhotoError, TrainingError
from deconvdemo.photo import Photo

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}


@dataclass(frozen=True)
class Corpus:
    """Photographs ready to be cropped: `pixels` is flat uint8, `shapes` the (H, W) of each, `starts` its offset."""

    pixels: np.ndarray
    shapes: np.ndarray
    starts: np.ndarray
    skipped: tuple[str, ...] = ()

    @classmethod
    def open(cls, folders: Sequence[Path], cache: Path, say: Callable[[str], None] = print) -> Corpus:
        """The images of `folders` (with their sub-folders), decoded into `cache` unless they already are.

        Raises TrainingError for a missing or empty folder. Files that cannot be read are skipped, and said.
        """
        files = _image_files(folders)
        listing = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        key = hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:16]
        pixels_file, index_file = cache / f"{key}.u8", cache / f"{key}.json"
        if not index_file.exists():
            try:
                cache.mkdir(parents=True, exist_ok=True)
                _decode(files, pixels_file, index_file, say)
            except OSError as error:
                raise TrainingError(f"the cache {cache} cannot be written ({error.strerror}): make room") from error
        index = json.loads(index_file.read_text())
        shapes = np.array(index["shapes"], dtype=np.int64).reshape(-1, 2)
        sizes = shapes.prod(axis=1) * 3
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]) if len(sizes) else sizes
        if not len(shapes):
            raise TrainingError(f"none of the {len(files)} images in {_names(folders)} could be read")
        return cls(np.memmap(pixels_file, dtype=np.uint8, mode="r"), shapes, starts, tuple(index["skipped"]))

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def megapixels(self) -> float:
        return float(self.shapes.prod(axis=1).sum() / 1e6)

    def image(self, number: int) -> np.ndarray:
        """(H, W, 3) uint8, a view of the mapped file."""
        height, width = self.shapes[number]
        start = self.starts[number]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    def large_enough(self, patch: int) -> Corpus:
        """Only the images from which a `patch`×`patch` crop can be cut. Raises TrainingError if none is left."""
        fits = self.shapes.min(axis=1) >= patch
        if not fits.any():
            raise TrainingError(
                f"all {len(self)} images are smaller than the {patch}×{patch} patches: give larger images"
            )
        return Corpus(self.pixels, self.shapes[fits], self.starts[fits], self.skipped)

    def crops(self, rng: np.random.Generator, count: int, patch: int) -> np.ndarray:
        """(count, patch, patch, 3) uint8: random places, each pixel of the corpus as likely, turned and mirrored."""
        area = self.shapes.prod(axis=1).astype(np.float64)
        numbers = rng.choice(len(self), size=count, p=area / area.sum())
        out = np.empty((count, patch, patch, 3), np.uint8)
        for crop, number in zip(out, numbers, strict=True):
            height, width = self.shapes[number]
            top, left = rng.integers(height - patch + 1), rng.integers(width - patch + 1)
            piece = self.image(number)[top : top + patch, left : left + patch]
            piece = np.rot90(piece, int(rng.integers(4)))
            crop[:] = piece[:, ::-1] if rng.integers(2) else piece
        return out


def _names(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)


def _image_files(folders: Sequence[Path]) -> list[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise TrainingError(f"{folder} is not a folder: --images takes a folder of photographs")
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise TrainingError(f"no images in {_names(folders)}: expected {', '.join(sorted(SUFFIXES))} files")
    return files


def _decode(files: list[Path], pixels_file: Path, index_file: Path, say: Callable[[str], None]) -> None:
    from tqdm import tqdm

    shapes, skipped = [], []
    partial = pixels_file.with_suffix(f".{os.getpid()}.tmp")
    with partial.open("wb") as out:
        for file in tqdm(files, desc="decoding images", unit="image"):
            try:
                photo = Photo.open(file)
            except PhotoError as error:
                say(f"skipped: {error}")
                skipped.append(str(file))
                continue
            pixels = np.asarray(photo.image().convert("RGB"))
            out.write(pixels.tobytes())
            shapes.append(pixels.shape[:2])
    os.replace(partial, pixels_file)
    # the index is written last: it exists only beside complete pixels
    partial.write_text(json.dumps({"shapes": shapes, "skipped": skipped}))
    os.replace(partial, index_file)
