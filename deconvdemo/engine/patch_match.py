"""For each patch of a hole the most similar patch that is known, by PatchMatch (Barnes et al., SIGGRAPH 2009).

Every patch has a match at random first; good ones spread to their neighbours, and each looks around its own in ever
smaller circles. All patches do so at once, so it runs in arrays. Patches are compared by their principal components: a
sixth of the numbers, lying side by side (as in Olonetsky & Avidan's TreeCANN, ECCV 2012).
"""

from __future__ import annotations

import cv2
import numpy as np

RADIUS = 3  # patches are of 7×7 pixels
SIDE = 2 * RADIUS + 1
COMPONENTS = 20  # of a patch's 147 numbers
SAMPLES = 4000  # patches from which they are found
STEPS = (8, 4, 2, 1)  # pixels between neighbours from which matches spread
AT_ONCE = 65_536  # patches compared at a time, which bounds the memory


class Level:
    """One scale: `centres` of the patches that meet a hole, and `known` ones, as places in a flattened image."""

    def __init__(self, holes: np.ndarray, usable: np.ndarray):
        """(H, W) bool: what is to be filled, and what may be copied."""
        self.shape, self.holes = holes.shape, holes
        square = np.ones((SIDE, SIDE), np.uint8)
        free = (usable & ~holes).astype(np.uint8)
        eroded = cv2.erode(free, square, borderType=cv2.BORDER_CONSTANT, borderValue=(0,))  # none reaches outside
        self.whole = eroded.astype(bool)
        self.known = np.flatnonzero(self.whole)
        self.centres = np.flatnonzero(cv2.dilate(holes.astype(np.uint8), square))
        self.place = np.full(holes.size, -1, np.int64)  # of each centre in `centres`
        self.place[self.centres] = np.arange(len(self.centres))

    def at_random(self, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(self.known, len(self.centres))

    def nearest_known(self, sources: np.ndarray) -> np.ndarray:
        """(N,) places of the known patches nearest to `sources`, (N, 2) rows and columns."""
        unknown = (~self.whole).astype(np.uint8)
        _, labels = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        of_label = np.zeros(labels.max() + 1, np.int64)
        of_label[labels.ravel()[self.known]] = self.known
        rows, columns = (sources[:, axis].clip(0, self.shape[axis] - 1) for axis in (0, 1))
        return of_label[labels[rows, columns]]


class Search:
    """The matches of one level, better with each `improve`.

    `sources` (N,) are the known patches, as places, that the level's `centres` match; `distances` (N,) float32 the
    squared differences of their components.
    """

    def __init__(self, level: Level, components: np.ndarray, sources: np.ndarray):
        self.level, self.components = level, components
        self.wanted = components[level.centres]
        self.sources = sources
        self.distances = self._compared(np.arange(len(sources)), sources)

    def improve(self, rng: np.random.Generator) -> None:
        """Matches spread from each of four neighbours, near ones last, and each is searched for around the best."""
        for step in STEPS:
            for rows, columns in ((0, step), (step, 0), (0, -step), (-step, 0)):
                self._spread(rows, columns)
        reach = max(self.level.shape)
        while reach >= 1:
            self._look_around(reach, rng)
            reach //= 2

    def _spread(self, rows: int, columns: int) -> None:
        height, width = self.level.shape
        row, column = np.divmod(self.level.centres, width)
        row, column = row + rows, column + columns
        inside = np.flatnonzero((row >= 0) & (row < height) & (column >= 0) & (column < width))
        neighbours = self.level.place[row[inside] * width + column[inside]]
        inside, neighbours = inside[neighbours >= 0], neighbours[neighbours >= 0]
        source_row, source_column = np.divmod(self.sources[neighbours], width)
        self._offer(inside, source_row - rows, source_column - columns)

    def _look_around(self, reach: int, rng: np.random.Generator) -> None:
        moves = rng.integers(-reach, reach + 1, (2, len(self.sources)))
        row, column = np.divmod(self.sources, self.level.shape[1])
        self._offer(np.arange(len(self.sources)), row + moves[0], column + moves[1])

    def _offer(self, which: np.ndarray, row: np.ndarray, column: np.ndarray) -> None:
        """These patches take these matches where they are known ones, and more similar."""
        height, width = self.level.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        which, offered = which[inside], row[inside] * width + column[inside]
        good = self.level.whole.ravel()[offered] & (offered != self.sources[which])
        which, offered = which[good], offered[good]
        distances = self._compared(which, offered)
        better = distances < self.distances[which]
        self.sources[which[better]] = offered[better]
        self.distances[which[better]] = distances[better]

    def _compared(self, which: np.ndarray, sources: np.ndarray) -> np.ndarray:
        found = np.empty(len(which), np.float32)
        for start in range(0, len(which), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            difference = self.wanted[which[part]] - self.components[sources[part]]
            found[part] = np.einsum("nd,nd->n", difference, difference)
        return found


def principal_axes(image: np.ndarray, level: Level, rng: np.random.Generator) -> np.ndarray:
    """(D, C, 7, 7) float32: along which directions the known patches of (H, W, C) `image` differ most."""
    padded = np.pad(image, [(RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)], mode="reflect")
    chosen = rng.choice(level.known, min(SAMPLES, len(level.known)), replace=False)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(0, 1))
    patches = windows[np.divmod(chosen, level.shape[1])].reshape(len(chosen), -1).astype(np.float64)
    # about zero, not about the mean: distances, not variances, are to be kept
    _, axes = np.linalg.eigh(patches.T @ patches)
    axes = axes[:, ::-1][:, :COMPONENTS].T
    return axes.reshape(len(axes), image.shape[2], SIDE, SIDE).astype(np.float32)


def components_of(image: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(H·W, D) float32: each pixel's patch along `axes`, scaled so that squared distances are means over a patch."""
    height, width, channels = image.shape
    found = np.empty((height * width, len(axes)), np.float32)
    scale = np.float32((SIDE * SIDE * channels) ** -0.5)
    for number, axis in enumerate(axes):
        total = np.zeros((height, width), np.float32)
        for channel, kernel in enumerate(axis * scale):
            total += cv2.filter2D(image[..., channel], cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101)
        found[:, number] = total.ravel()
    return found
