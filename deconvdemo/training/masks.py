"""Random holes for training inpainting: scratches, writing, blocks and brush strokes, as people damage photographs."""

from __future__ import annotations

import string

import cv2
import numpy as np

LETTERS = list(string.ascii_letters + string.digits + "&?!%")


def scratches(rng: np.random.Generator, size: int) -> np.ndarray:
    """Thin, long, slightly bent lines."""
    mask = np.zeros((size, size), np.uint8)
    for _ in range(rng.integers(2, 9)):
        points = np.cumsum(
            np.vstack([rng.uniform(0, size, 2), rng.normal(rng.normal(0, size / 8, 2), size / 30, (8, 2))]),
            axis=0,
        )
        cv2.polylines(mask, [points.astype(np.int32)], False, 1, int(rng.integers(1, 6)))
    return mask


def writing(rng: np.random.Generator, size: int) -> np.ndarray:
    """Lines of letters across the image."""
    mask = np.zeros((size, size), np.uint8)
    font_scale = rng.uniform(0.35, 1.4)
    line_height = int(34 * font_scale)
    for y in range(int(rng.integers(5, line_height + 6)), size + line_height, line_height + int(rng.integers(2, 20))):
        text = "".join(rng.choice(LETTERS, 24))
        thickness = int(rng.integers(1, max(2, int(4 * font_scale)) + 1))
        cv2.putText(mask, text, (int(rng.integers(-20, 5)), y), int(rng.integers(0, 5)), font_scale, 1, thickness)
    return mask


def blocks(rng: np.random.Generator, size: int) -> np.ndarray:
    """A few rectangles, up to half the side."""
    mask = np.zeros((size, size), np.uint8)
    for _ in range(rng.integers(1, 6)):
        height, width = rng.integers(size // 16, size // 2 + 1, 2)
        if rng.uniform() < 0.6:
            height, width = height // 2 + 2, width // 2 + 2
        top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
        mask[top : top + height, left : left + width] = 1
    return mask


def brush(rng: np.random.Generator, size: int) -> np.ndarray:
    """Broad strokes as a finger paints them."""
    mask = np.zeros((size, size), np.uint8)
    for _ in range(rng.integers(1, 4)):
        points = np.cumsum(np.vstack([rng.uniform(0, size, 2), rng.normal(0, size / 7, (6, 2))]), axis=0)
        thinnest = size // 24 + 2
        thickness = int(rng.integers(thinnest, max(size // 7, thinnest + 1)))
        cv2.polylines(mask, [points.astype(np.int32)], False, 1, thickness)
    return mask


def pixels(rng: np.random.Generator, size: int) -> np.ndarray:
    """Single pixels lost at random, 20–80 % of them."""
    return (rng.uniform(size=(size, size)) < rng.uniform(0.2, 0.8)).astype(np.uint8)


KINDS = {scratches: 0.25, writing: 0.25, blocks: 0.2, brush: 0.2, pixels: 0.1}


def random_masks(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """(count, size, size) uint8, 1 = hole: each of a random kind, never empty and never the whole image."""
    kinds, shares = list(KINDS), list(KINDS.values())
    out = np.empty((count, size, size), np.uint8)
    for number in range(count):
        while True:
            mask = kinds[rng.choice(len(kinds), p=shares)](rng, size)
            if 0.005 < mask.mean() < 0.85:
                break
        out[number] = mask
    return out
