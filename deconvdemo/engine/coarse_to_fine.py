"""Holes that are too deep for a network to fill at once: their middle is filled in a copy of half the size first.

From coarse to fine (as PatchMatch fills large holes, Barnes et al. 2009): the half-size copy's hole is half as deep,
and if that is still too much, it is halved again. Enlarged, its middle stands in for lost pixels, and the network fills
the ring between them and the known ones at full size. Shallow holes are filled as if this file were not there.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from deconvdemo.engine.work import Work
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import PEAK

DEEP = 24  # pixels to the nearest known one, from which on a network alone paints smears
RING = 12  # pixels of a deep hole's margin that are filled at full size


def levels(work: Work, deep: int = DEEP, ring: int = RING) -> list[Work]:
    """`work` last, and before it those that fill the middle of its deep holes, the smallest first."""
    works = [work]
    while (smaller := _smaller(works[0], deep, ring)) is not None:
        works.insert(0, smaller)
    return works


def _smaller(work: Work, deep: int, ring: int) -> Work | None:
    """None where no hole is too deep for the network, or nothing would be known."""
    if work.weight is None or not work.task.strength(work.controls):
        return None
    holes = work.weight > 0
    middle = middle_of(holes, deep, ring)
    small = halved(work.colours, holes) if middle is not None else None
    if small is None:
        return None
    work.middle = middle
    pixels, lost = small
    controls = {**work.controls, "grow": 0, "feather": 0, "strength": 1.0}
    weight = work.task.hole_weight(lost, controls)
    return replace(
        work, controls=controls, photo=Photo(pixels), mask=lost, weight=weight, seen=None, middle=None, notes=[]
    )


def show_middle(smaller: Work, larger: Work) -> None:
    """Once the smaller one is done: its result stands in the deep holes of the larger one."""
    assert larger.middle is not None
    larger.shown = with_middle(larger.colours, larger.middle, smaller.result)


def middle_of(holes: np.ndarray, deep: int = DEEP, ring: int = RING) -> np.ndarray | None:
    """(H, W) bool: the pixels of deep holes that are not in their margin; None where no hole is deep."""
    depth = depth_of(holes)
    if depth.max() <= deep:
        return None
    # the margin of a shallow hole beside a deep one is left alone, too
    return np.asarray((depth > ring) & whole_holes(holes, depth, deep))


def depth_of(holes: np.ndarray) -> np.ndarray:
    """(H, W) float32: how far it is, in pixels, to the nearest known one."""
    return cv2.distanceTransform(holes.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def whole_holes(holes: np.ndarray, depth: np.ndarray, deep: int) -> np.ndarray:
    """(H, W) bool: those holes that are deeper than `deep` somewhere."""
    _, labels = cv2.connectedComponents(holes.astype(np.uint8))
    return np.isin(labels, np.unique(labels[depth > deep]))


def halved(pixels: np.ndarray, holes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Half the size: float32 means in [0, 1] of 2×2 known pixels, and holes where one of them is lost.

    None if no known pixel would be left. An odd side's last pixels are repeated.
    """
    odd = [(0, side % 2) for side in holes.shape]
    lost = np.pad(holes, odd, mode="edge")
    rows, columns = lost.shape[0] // 2, lost.shape[1] // 2
    coarse = np.asarray(lost.reshape(rows, 2, columns, 2).any(axis=(1, 3)))
    if coarse.all():
        return None
    blocks = np.pad(pixels, [*odd, (0, 0)], mode="edge").reshape(rows, 2, columns, 2, -1)
    small = blocks.mean(axis=(1, 3), dtype=np.float32) / np.float32(PEAK.get(pixels.dtype.name, 1.0))
    small[coarse] = 0.5  # what was there has no influence
    return small, coarse


def with_middle(pixels: np.ndarray, middle: np.ndarray, small: np.ndarray) -> np.ndarray:
    """A copy of `pixels` whose `middle` is that of `small`, its filled copy of half the size."""
    height, width = middle.shape
    size = (2 * small.shape[1], 2 * small.shape[0])
    large = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC).reshape(size[1], size[0], -1)[:height, :width]
    peak = PEAK.get(pixels.dtype.name)
    values = large[middle] if peak is None else (large[middle].clip(0, 1) * peak).round()
    shown = pixels.copy()
    shown[middle] = values.astype(pixels.dtype)
    return shown
