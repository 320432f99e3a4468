"""Photographs as memory-mapped files of uint8 pixels: decoded once, cropped without decoding."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL.Image import Resampling

from deconvdemo.errors import DatasetError, PhotoError, TrainingError
from deconvdemo.hub.datasets import HubDataset, LocalDataset
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import to_pillow
from deconvdemo.training.data.sources import SUFFIXES, ImageFolder, ImageSource, Pack

__all__ = ["SUFFIXES", "Corpus", "source"]


def unnamed(place: str | Path) -> str:
    """For a header: images of which nobody said whose they are."""
    return f"{Path(place).name} (see the person who trained this)"


def source(text: str | Path) -> ImageSource:
    """What one argument of --images names. Raises ControlError for a Hub address that is none."""
    if str(text).startswith("hf://"):
        return HubDataset.parse(str(text))
    if Path(text).suffix == ".safetensors":
        return Pack(Path(text))
    return LocalDataset.at(str(text)) or ImageFolder(Path(text))


@dataclass(frozen=True)
class Corpus:
    """Images ready to be cropped.

    `pixels` are flat uint8, one array a source; `shapes` the (H, W) of each image, `places` the number of its array and
    its offset there. `data` is what each source, by name, says of its images and their licences.
    """

    pixels: tuple[np.ndarray, ...]
    shapes: np.ndarray
    places: np.ndarray
    skipped: tuple[str, ...] = ()
    data: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        places: Sequence[str | Path],
        cache: Path,
        say: Callable[[str], None] = print,
        reduced: Sequence[float] = (),
    ) -> Corpus:
        """The images of folders, packed corpora and datasets, decoded into `cache` unless they already are.

        With `reduced`, each image is there again at these fractions of its width and height: sharper, pixel for pixel.
        Raises TrainingError for a place without images. Images that cannot be read are skipped, and said.
        """
        pixels, shapes, offsets, data = [], [], [], {}
        skipped: list[str] = []
        sources = [source(place) for place in places]
        for number, (one, factor) in enumerate((one, factor) for one in sources for factor in (1.0, *reduced)):
            mapped, index = _decoded(one, factor, cache, say)
            sizes = [height * width * 3 for height, width in index["shapes"]]
            pixels.append(mapped)
            shapes += index["shapes"]
            offsets += [(number, offset) for offset in np.cumsum([0, *sizes[:-1]])]
            skipped += index["skipped"] if factor == 1 else []
            data[one.name] = index["data"]
        return cls(tuple(pixels), np.array(shapes, np.int64), np.array(offsets, np.int64), tuple(skipped), data)

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def megapixels(self) -> float:
        return float(self.shapes.prod(axis=1).sum() / 1e6)

    def described(self, said: Sequence[str] | None) -> list[str]:
        """For a header: what the person says of the images, and what the sources say of themselves."""
        unsaid = [unnamed(name) for name, data in self.data.items() if not data]
        own = [text for data in self.data.values() for text in data]
        return list(dict.fromkeys([*(said or unsaid), *own]))

    def image(self, number: int) -> np.ndarray:
        """(H, W, 3) uint8, a view of a mapped file."""
        height, width = self.shapes[number]
        array, start = self.places[number]
        return self.pixels[array][start : start + height * width * 3].reshape(height, width, 3)

    def large_enough(self, patch: int) -> Corpus:
        """Only the images from which a `patch`×`patch` crop can be cut. Raises TrainingError if none is left."""
        fits = self.shapes.min(axis=1) >= patch
        if not fits.any():
            raise TrainingError(
                f"all {len(self)} images are smaller than the {patch}×{patch} patches: give larger images"
            )
        return replace(self, shapes=self.shapes[fits], places=self.places[fits])

    def of(self, numbers: Sequence[int]) -> Corpus:
        """Only the images of these numbers."""
        chosen = np.array(numbers, np.int64)
        return replace(self, shapes=self.shapes[chosen], places=self.places[chosen])

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


def _decoded(images: ImageSource, factor: float, cache: Path, say: Callable[[str], None]) -> tuple[np.ndarray, dict]:
    """The mapped pixels and the index of a source, which are made if they are not in the cache."""
    identity = json.dumps([type(images).__name__, images.identity, *([] if factor == 1 else [factor])])
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    pixels_file, index_file = cache / f"{key}.u8", cache / f"{key}.json"
    if not index_file.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            _decode(images, factor, pixels_file, index_file, say if factor == 1 else lambda text: None)
        except OSError as error:
            raise TrainingError(f"the cache {cache} cannot be written ({error.strerror}): make room") from error
    index = json.loads(index_file.read_text())
    if not index["shapes"]:
        raise TrainingError(f"none of the {len(index['skipped'])} images in {images.name} could be read")
    return np.memmap(pixels_file, dtype=np.uint8, mode="r"), index


def _decode(
    images: ImageSource, factor: float, pixels_file: Path, index_file: Path, say: Callable[[str], None]
) -> None:
    from tqdm import tqdm

    shapes, skipped = [], []
    partial = pixels_file.with_suffix(f".{secrets.token_hex(4)}.tmp")
    try:
        with partial.open("wb") as out:
            for name, file in tqdm(
                images.images(), desc=f"decoding images{'' if factor == 1 else f' at {factor:g}'}", unit="image"
            ):
                try:
                    if isinstance(file, DatasetError):
                        raise file
                    photo = read_photo(file)
                except (PhotoError, DatasetError) as error:
                    say(f"skipped: {error}" if isinstance(file, Path) else f"skipped {name}: {error}")
                    skipped.append(name)
                    continue
                image = to_pillow(photo).convert("RGB")
                if factor != 1:
                    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
                    image = image.resize(size, Resampling.BICUBIC)  # Pillow's reads as far as the factor asks
                pixels = np.asarray(image)
                out.write(pixels.tobytes())
                shapes.append(pixels.shape[:2])
        os.replace(partial, pixels_file)
        # the index is written last: it exists only beside complete pixels
        partial.write_text(json.dumps({"shapes": shapes, "skipped": skipped, "data": images.data()}))
        os.replace(partial, index_file)
    finally:
        partial.unlink(missing_ok=True)
