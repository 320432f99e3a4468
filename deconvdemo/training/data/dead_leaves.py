"""Pictures without photographs: dead leaves, whose edges, sizes and spectrum are like those of photos.

Opaque discs and boxes of random size, one over another, with sizes by a power law (Lee, Mumford & Huang, "Occlusion
models for natural images", IJCV 2001); networks learn much from them (Baradad et al., "Learning to see by looking at
noise", NeurIPS 2021).
"""

from __future__ import annotations

import cv2
import numpy as np

LEAVES = 70
SMALLEST, LARGEST = 0.02, 0.6  # radius, as a share of the side
POWER = 2.2  # densities of radii fall with it: pictures look alike at every scale


def dead_leaves(rng: np.random.Generator, side: int) -> np.ndarray:
    """(side, side, 3) uint8."""
    large = 2 * side  # drawn twice as large and averaged: edges as a lens leaves them
    picture = np.empty((large, large, 3), np.float32)
    hue = rng.uniform(0, 255, 3)
    picture[:] = _colour(rng, hue)
    ramp = np.linspace(-1, 1, large, dtype=np.float32)
    for radius in np.sort(_radii(rng))[::-1] * large:
        mask = np.zeros((large, large), np.uint8)
        centre = rng.uniform(0, large, 2)
        if rng.uniform() < 0.6:
            cv2.circle(mask, [*map(int, centre)], max(1, int(radius)), 1, -1)
        else:
            box = (tuple(map(float, centre)), tuple(map(float, radius * rng.uniform(0.3, 2, 2))), rng.uniform(0, 180))
            cv2.fillPoly(mask, [cv2.boxPoints(box).astype(np.int32)], 1)
        angle, slope = rng.uniform(0, 2 * np.pi), rng.exponential(25)  # light falls on it from somewhere
        shade = slope * (np.cos(angle) * ramp[:, None] + np.sin(angle) * ramp)
        if rng.uniform() < 0.3:
            shade = shade + rng.exponential(15) * np.sin(rng.uniform(5, 60) * (ramp[:, None] + rng.normal() * ramp))
        inside = mask.astype(bool)
        picture[inside] = (_colour(rng, hue) + shade[..., None])[inside]
    halved = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return np.clip(halved, 0, 255).round().astype(np.uint8)


def _radii(rng: np.random.Generator) -> np.ndarray:
    """Shares of the side, by the power law, by its inverse distribution."""
    low, high = SMALLEST ** (1 - POWER), LARGEST ** (1 - POWER)
    return (low + rng.uniform(size=LEAVES) * (high - low)) ** (1 / (1 - POWER))


def _colour(rng: np.random.Generator, around: np.ndarray) -> np.ndarray:
    """Near one colour oftener than not, as what lies together in a photo is."""
    return np.clip(rng.uniform(0, 255) + (around - 128) * rng.uniform(0, 0.8) + rng.normal(0, 20, 3), 0, 255)
