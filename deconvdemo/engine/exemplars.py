"""Texture for large holes, copied from elsewhere in the same photo, where a guide tells what is roughly there.

Wexler, Shechtman & Irani (PAMI 2007), from coarse to fine as Newson et al. (SIAM Imaging Sciences 2014): each patch of
the hole looks for the most similar known one, each lost pixel becomes the mean of what the patches over it say, and so
on until they agree. The guide, a network's smooth filling, is where the coarsest scale starts from, and its colours go
on counting a little: without it a wall may well be filled with the meadow beside it. In the end each pixel is copied
from the best patch, not averaged: means are what fog is. Above a working scale only the places are refined that pixels
are copied from, so time and memory are bounded, and the details are the photo's own.

No kept library does it with the dependencies at hand: OpenCV's is in its contributed modules and scikit-image has none;
PyPatchMatch takes 8 bits alone, no guide, cannot be stopped, and has one seed for the process.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import cv2
import numpy as np

from deconvdemo.engine.patch_match import RADIUS, Level, Search, components_of, principal_axes

COARSEST = 12  # pixels to the nearest known one, at most, at the scale that is begun with
LARGEST = 1_000_000  # pixels of the finest scale at which patches are compared: 100 MB
MOST = 200_000  # and patches of it: a minute on a slow core
PASSES = (8, 3)  # searches and votes of the coarsest scale, and of each other
GUIDE = 0.05  # how much a difference from the guide's colour counts beside one of the patches
SOFT = 3.0  # pixels, standard deviation: of what of a colour the guide is trusted with
INWARDS = 1.3  # so many times less than its neighbour counts a patch one pixel farther from what is known

Pyramid = list[tuple[np.ndarray, np.ndarray, np.ndarray]]  # image, holes and what may be copied; the finest first


def exemplar_fill(
    image: np.ndarray, holes: np.ndarray, usable: np.ndarray, seed: int = 0
) -> Generator[None, None, np.ndarray | None]:
    """(N, C) values for the N (H, W) bool `holes` of (H, W, C) float32 `image`, which holds the guide there.

    They are those of `usable` pixels. Yields after each search and vote, so that others may compute, or it may be given
    up. None where too little of the photo is known. The same seed gives the same filling.
    """
    rng = np.random.default_rng(seed)
    pyramid = _pyramid(image, holes, usable)
    finest = next(number for number, (smaller, lost, _) in enumerate(pyramid) if _is_small(smaller, lost))
    search, filled = None, image
    for number in reversed(range(finest, len(pyramid))):
        smaller, lost, known = pyramid[number]
        level = Level(lost, known)
        if not _has_enough(level):
            if number == finest:
                return None
            continue  # so coarse that the photo has vanished
        axes = principal_axes(smaller, level, rng)
        guide = cv2.GaussianBlur(smaller, (0, 0), SOFT).reshape(lost.size, -1)
        guide = guide * np.float32((GUIDE / guide.shape[1]) ** 0.5)
        sources = level.at_random(rng) if search is None else _enlarged(search, level)
        filled = smaller if search is None else _voted(smaller, Search(level, np.zeros((lost.size, 1)), sources))
        for _ in range(PASSES[search is not None]):
            current = Search(level, np.hstack([components_of(filled, axes), guide]), sources)
            current.improve(rng)
            yield
            sources, filled = current.sources, _voted(smaller, current)
            yield
        search = current
    assert search is not None
    places = _best_places(search)
    for _, lost, _ in reversed(pyramid[:finest]):
        places = _finer(places, _halved_shape(lost), lost)
    return image.reshape(-1, image.shape[2])[places]


def _pyramid(image: np.ndarray, holes: np.ndarray, usable: np.ndarray) -> Pyramid:
    """Each scale half of the one before it, to one whose holes are shallow and that is small enough to search."""
    found = [(image, holes, usable)]
    depth = cv2.distanceTransform(holes.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max()
    while depth / 2 ** (len(found) - 1) > COARSEST or not _is_small(*found[-1][:2]):
        found.append(_half(*found[-1]))
    return found


def _is_small(image: np.ndarray, holes: np.ndarray) -> bool:
    return holes.size <= LARGEST and int(holes.sum()) <= MOST


def _has_enough(level: Level) -> bool:
    """Whether as many patches are known as are to be matched, or so many that repeating them is not seen at once."""
    return len(level.known) >= min(len(level.centres), 20_000)


def _half(image: np.ndarray, holes: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of 2×2 pixels; an odd side's last ones are repeated. A hole is where one is lost, usable where all are."""
    odd = [(0, side % 2) for side in holes.shape]
    rows, columns = _halved_shape(holes)
    cells = lambda array: np.pad(array, odd, mode="edge").reshape(rows, 2, columns, 2)
    blocks = np.pad(image, [*odd, (0, 0)], mode="edge").reshape(rows, 2, columns, 2, -1)
    smaller = blocks.mean(axis=(1, 3), dtype=np.float32)
    return smaller, np.asarray(cells(holes).any(axis=(1, 3))), np.asarray(cells(usable).all(axis=(1, 3)))


def _halved_shape(array: np.ndarray) -> tuple[int, int]:
    return (array.shape[0] + 1) // 2, (array.shape[1] + 1) // 2


def _enlarged(search: Search, level: Level) -> np.ndarray:
    """The matches of a scale's patches from those of the next smaller one."""
    width = search.level.shape[1]
    row, column = np.divmod(level.centres, level.shape[1])
    parents = search.level.place[row // 2 * width + column // 2]
    source_row, source_column = np.divmod(search.sources[parents], width)
    return level.nearest_known(np.stack([2 * source_row + row % 2, 2 * source_column + column % 2], axis=1))


def _over(search: Search) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """For each place in a patch: the lost pixels that lie there in one, that one, what it says, and how far it is."""
    (height, width), level = search.level.shape, search.level
    row, column = np.divmod(np.flatnonzero(level.holes), width)
    for rows in range(-RADIUS, RADIUS + 1):
        for columns in range(-RADIUS, RADIUS + 1):
            r, c = row + rows, column + columns
            which = np.flatnonzero((r >= 0) & (r < height) & (c >= 0) & (c < width))
            patch = level.place[r[which] * width + c[which]]
            yield which, patch, search.sources[patch] - rows * width - columns, abs(rows) + abs(columns)


def _voted(image: np.ndarray, search: Search) -> np.ndarray:
    """`image` with each lost pixel as the mean of what the patches over it say.

    Similar ones count more (Wexler et al.'s weights, of the 75th percentile), and those near to what is known.
    """
    level, channels = search.level, image.shape[2]
    depth = cv2.distanceTransform(level.holes.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    usual = max(float(np.percentile(search.distances, 75)), 1e-8)
    weight = np.exp(-search.distances / (2 * usual)) + 1e-6
    weight = (weight * INWARDS ** -np.minimum(depth.ravel()[level.centres], 60)).astype(np.float32)
    flat, count = image.reshape(-1, channels), int(level.holes.sum())
    total, weights = np.zeros((count, channels), np.float32), np.zeros(count, np.float32)
    for which, patch, places, _ in _over(search):
        total[which] += weight[patch][:, None] * flat[places]
        weights[which] += weight[patch]
    voted = image.copy()
    voted[level.holes] = total / weights[:, None]
    return voted


def _best_places(search: Search) -> np.ndarray:
    """Of each lost pixel the place where the most similar patch over it has it; of equals the most central one."""
    count = int(search.level.holes.sum())
    least, best = np.full(count, np.inf, np.float32), np.zeros(count, np.int64)
    for which, patch, places, away in _over(search):
        distances = search.distances[patch] * np.float32(1 + 0.02 * away)
        better = distances < least[which]
        least[which[better]], best[which[better]] = distances[better], places[better]
    return best


def _finer(places: np.ndarray, shape: tuple[int, int], holes: np.ndarray) -> np.ndarray:
    """Where the pixels of (H, W) `holes` are copied from, by the `places` of the next smaller scale's."""
    coarse = np.zeros(shape, np.int64)
    odd = [(0, side % 2) for side in holes.shape]
    lost = np.pad(holes, odd, mode="edge").reshape(shape[0], 2, shape[1], 2).any(axis=(1, 3))
    coarse[lost] = places
    row, column = np.nonzero(holes)
    source_row, source_column = np.divmod(coarse[row // 2, column // 2], shape[1])
    # of an odd side, the last pixel is there twice
    fine_row = np.minimum(2 * source_row + row % 2, holes.shape[0] - 1)
    fine_column = np.minimum(2 * source_column + column % 2, holes.shape[1] - 1)
    return fine_row * holes.shape[1] + fine_column
