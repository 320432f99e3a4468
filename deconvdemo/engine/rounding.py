"""How far a tiled result may differ from the whole photo's: by rounding, and nowhere along the tiles' edges.

A tile is computed from the same numbers as the whole, but a processor may add them up in another order in an image of
another size (oneDNN chooses its kernels by both), and what lay at 0.5 is then rounded up in the one and down in the
other. So the law is not that all bits agree. It is: no value differs by more than one level of 8 bits, at most one of
20,000 differs at all, and those that do lie along tiles' edges no oftener than elsewhere. On one machine the same
photo, weights, precision and tiles do give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from deconvdemo.engine.tiles import Tile
from deconvdemo.image.pixels import to_depth

LARGEST = 1  # level of 8 bits
ONE_IN = 20_000
EDGE = 2  # pixels of the observed photo on each side of an edge


@dataclass
class Rounding:
    """Counts of values (a pixel has three), summed over all pairs of results that were added."""

    values: int = 0
    differing: int = 0
    largest: int = 0  # levels of 8 bits
    at_edges: int = 0  # how many values lie there
    differing_at_edges: int = 0

    def add(self, tiled: np.ndarray, whole: np.ndarray, tiles: Iterable[Tile] = (), scale: int = 1) -> None:
        """Compares two results (H, W, C) of any depth in 8 bits; `tiles` are those that `tiled` was made of."""
        levels = np.abs(to_depth(tiled, np.uint8).astype(int) - to_depth(whole, np.uint8))
        along = _edges(whole.shape[:2], tiles, scale)
        self.values += levels.size
        self.differing += int((levels > 0).sum())
        self.largest = max(self.largest, int(levels.max(initial=0)))
        self.at_edges += int(along.sum()) * whole.shape[2]
        self.differing_at_edges += int((levels[along] > 0).sum())

    def broken(self) -> str:
        """The part of the law that is broken, in words; "" where it holds."""
        if self.largest > LARGEST:
            return f"a value differs by {self.largest} levels, {LARGEST} at most is rounding"
        allowed = math.ceil(self.values / ONE_IN)
        if self.differing > allowed:
            return f"{self.differing} of {self.values} values differ, {allowed} at most is rounding"
        # as many as would lie there by chance, and what chance adds to so few
        expected = self.differing * self.at_edges / max(1, self.values)
        if self.differing_at_edges > expected + 3 * math.sqrt(expected) + 2:
            return (
                f"{self.differing_at_edges} of the {self.differing} values that differ lie along tiles' edges, "
                f"where {expected:.1f} would by chance"
            )
        return ""


def _edges(shape: tuple[int, int], tiles: Iterable[Tile], scale: int) -> np.ndarray:
    """(H, W) bool of a result: where an edge between two tiles is near."""
    along, near = np.zeros(shape, bool), EDGE * scale
    for tile in tiles:
        rows, columns = tile.placed(scale)
        for start in (rows.start, rows.stop):
            if 0 < start < shape[0]:
                along[max(0, start - near) : start + near, columns] = True
        for start in (columns.start, columns.stop):
            if 0 < start < shape[1]:
                along[rows, max(0, start - near) : start + near] = True
    return along
