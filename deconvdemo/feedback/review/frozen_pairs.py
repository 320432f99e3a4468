"""Pairs frozen on the disk and read by rows: memory holds one photo's, however many flags there are.

The file has no name: it goes with the process, however that ends, so that nothing of a flag lies where an erasure does
not reach. Its pixels are decoded once; a crop reads no more of them than it shows.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from deconvdemo.feedback.events.records import Pair
from deconvdemo.feedback.store.refusals import refusals

ROLES = ("observed", "target", "mask", "region")


@dataclass(frozen=True)
class _Array:
    """Where an array's bytes are in the file, and what they are of."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True)
class _Row:
    """One pair without its pixels."""

    flag_id: str
    kind: str
    sigma: float | None
    arrays: dict[str, _Array]


class FrozenPairs(Sequence[Pair]):
    """Pairs in the order in which they were added."""

    def __init__(self, folder: Path):
        """`folder` has room for the photos."""
        with refusals("accepted flags cannot be frozen"):
            self._file: Any = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # open as long as it is read
        self._mapped: np.ndarray | None = None  # all of it at once: a map of each array would take a file handle each
        self._rows: list[_Row] = []

    def add(self, pair: Pair) -> None:
        """Raises FeedbackError where the disk has no room."""
        pixels = {role: array for role in ROLES if (array := getattr(pair, role)) is not None}
        with refusals("accepted flags cannot be frozen"):
            # a photo that is its own target is there once
            placed = {id(array): self._placed(array) for array in pixels.values()}
        arrays = {role: placed[id(array)] for role, array in pixels.items()}
        self._rows.append(_Row(pair.flag_id, pair.kind, pair.sigma, arrays))

    @property
    def flag_ids(self) -> list[str]:
        return [row.flag_id for row in self._rows]

    @property
    def counts(self) -> dict[str, int]:
        """Kind → pairs."""
        return dict(Counter(row.kind for row in self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Pair: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Pair]: ...
    def __getitem__(self, place: int | slice) -> Pair | Sequence[Pair]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        row = self._rows[place]
        return Pair(row.flag_id, row.kind, sigma=row.sigma, **{r: self._array(a) for r, a in row.arrays.items()})

    def _placed(self, array: np.ndarray) -> _Array:
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(np.ascontiguousarray(array).data)
        self._file.flush()
        self._mapped = None
        return _Array(offset, array.shape, array.dtype)

    def _array(self, there: _Array) -> np.ndarray:
        if self._mapped is None:
            # copy on write: torch wants arrays that could be written, and the file stays what it is
            self._mapped = np.memmap(self._file, np.uint8, "c")
        size = math.prod(there.shape) * there.dtype.itemsize
        return self._mapped[there.offset : there.offset + size].view(there.dtype).reshape(there.shape)
