"""Cutting a photo into tiles whose results, put side by side, are the whole photo's result.

Each tile is computed with surroundings of at least the network's radius and only its core is kept, never averaged
with a neighbour's. Cores start at multiples of the network's stride, so that strided layers meet the whole's grid. What
may still differ is the processor's rounding: `engine.rounding` says how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tile:
    """Rows and columns, in pixels of the observed photo: `core` is kept, `window` is what the network sees."""

    core_rows: slice
    core_columns: slice
    window_rows: slice
    window_columns: slice

    def kept(self, scale: int) -> tuple[slice, slice]:
        """Where the core lies within the window's result."""
        return (
            _shifted(self.core_rows, -self.window_rows.start, scale),
            _shifted(self.core_columns, -self.window_columns.start, scale),
        )

    def placed(self, scale: int) -> tuple[slice, slice]:
        """Where the core lies within the whole result."""
        return _shifted(self.core_rows, 0, scale), _shifted(self.core_columns, 0, scale)


def _shifted(piece: slice, by: int, scale: int) -> slice:
    return slice((piece.start + by) * scale, (piece.stop + by) * scale)


def plan(
    height: int, width: int, size: int, radius: int, stride: int, area: Tile | None = None, wrap: bool = False
) -> list[Tile]:
    """Tiles of at most about `size` pixels a side, in reading order, for a photo of `height`×`width`.

    With `area`, only for the core of that tile: what is left to do when it was too large. With `wrap` windows reach
    beyond the photo's borders, where it repeats (`window_of`).
    """
    rows = area.core_rows if area else slice(0, height)
    columns = area.core_columns if area else slice(0, width)
    return [
        Tile(core_rows, core_columns, window_rows, window_columns)
        for core_rows, window_rows in _spans(rows, height, size, radius, stride, wrap)
        for core_columns, window_columns in _spans(columns, width, size, radius, stride, wrap)
    ]


def _spans(part: slice, length: int, size: int, radius: int, stride: int, wrap: bool) -> Iterator[tuple[slice, slice]]:
    overlap = _up(radius, stride)
    count = -(-(part.stop - part.start) // max(size, stride))
    step = _up(-(-(part.stop - part.start) // count), stride)  # equal tiles: no sliver at the end
    for start in range(part.start, part.stop, step):
        stop = min(start + step, part.stop)
        window = slice(start - overlap, stop + overlap)
        yield slice(start, stop), window if wrap else slice(max(0, window.start), min(length, window.stop))


def window_of(array: np.ndarray, tile: Tile) -> np.ndarray:
    """What a tile's window shows of an (H, W, …) array; beyond its borders the array repeats."""
    for axis, span in enumerate((tile.window_rows, tile.window_columns)):
        if span.start < 0 or span.stop > array.shape[axis]:
            array = array.take(np.arange(span.start, span.stop) % array.shape[axis], axis)
        else:
            array = array[(slice(None),) * axis + (span,)]
    return array


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
