"""What a restorer gives: how far it is, and in the end what came out, with an account of how it was made."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deconvdemo.image.photo import Photo
from deconvdemo.image.writing import to_pillow, write_photo
from deconvdemo.tasks import TASKS, in_words


@dataclass(frozen=True)
class Progress:
    """`done` of `total` tiles are computed; `seconds_left` is None until the first is."""

    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True)
class Restoration:
    """What came out, what went in, and how: everything that a person, a file or a flag needs to know of it."""

    photo: Photo
    observed: Photo
    mask: np.ndarray | None
    task: str
    controls: dict[str, Any]
    checkpoint: dict[str, str]  # name, sha256 and source of the weights
    seconds: float
    tiles: int
    device: str
    precision: str
    notes: tuple[str, ...] = ()
    saw: str = ""  # what the network was chosen by, where it was left to the photo
    restoration_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def is_as_it_was(self) -> bool:
        """Whether there was nothing to remove, though it was asked for."""
        return TASKS[self.task].strength(self.controls) == 0 < self.controls.get("strength", 1)

    @property
    def image(self) -> Image.Image:
        """The restored photo as an 8-bit Pillow image."""
        return to_pillow(self.photo)

    def save(self, path: str | Path) -> Path:
        """Writes the restored photo, in the format of the suffix, with the profile, EXIF and depth that came in."""
        return write_photo(self.photo, path)

    def summary(self) -> str:
        """How it was made, as one line for a person."""
        settled = "".join(f"{setting}, " for setting in [*in_words(self.controls), *self._told()])
        tiles = "1 tile" if self.tiles == 1 else f"{self.tiles} tiles"
        return (
            f"{self.photo.width}×{self.photo.height}, {settled}{self.seconds:.1f} s, {tiles}, "
            f"{self.device} {self.precision}, {self.checkpoint['name']} {self.checkpoint['sha256'][:8]} "
            f"({self.checkpoint['source']})"
        )

    def _told(self) -> list[str]:
        """What was seen in the photo, as far as that was asked."""
        return [self.saw] if self.saw else [TASKS[self.task].nothing] if self.is_as_it_was else []

    def report(self) -> dict[str, Any]:
        """How it was made, as JSON-able values."""
        return {
            "restoration_id": self.restoration_id,
            "task": self.task,
            **self.controls,
            **({"saw": self.saw} if self.saw else {}),
            "width": self.photo.width,
            "height": self.photo.height,
            "seconds": round(self.seconds, 3),
            "tiles": self.tiles,
            "device": self.device,
            "precision": self.precision,
            "checkpoint": self.checkpoint,
            "notes": list(self.notes),
        }
