"""Random holes for training inpainting: scratches, writing, blocks and brush strokes, as people damage photographs."""

from __future__ import annotations

import string
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

LETTERS = np.array(list(string.ascii_letters + string.digits + "&?!%" + 12 * " "))


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
    """Lines of letters across the image, thin or bold."""
    image = Image.new("L", (size, size))
    draw = ImageDraw.Draw(image)
    height = int(rng.integers(12, 43))  # of a line, in pixels
    pitch, bold = height * rng.uniform(1.1, 2.6), int(rng.integers(1, 2 + height // 12))
    for y in np.arange(rng.uniform(-height, pitch), size, pitch):
        text = "".join(rng.choice(LETTERS, 4 + 5 * size // (2 * height)))
        draw.text((rng.uniform(-height, 5), y), text, 255, _font(height))
    return cv2.dilate((np.asarray(image) > 127).astype(np.uint8), np.ones((bold, bold), np.uint8))


@cache
def _font(height: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(height)


def blocks(rng: np.random.Generator, size: int) -> np.ndarray:
    """A few rectangles, or one of up to a quarter of the area."""
    mask = np.zeros((size, size), np.uint8)
    alone = rng.uniform() < 0.3
    smallest, largest = (size // 4, size // 2) if alone else (size // 7, size * 3 // 8)
    for _ in range(1 if alone else rng.integers(1, 5)):
        height, width = rng.integers(smallest, largest + 1, 2)
        top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
        mask[top : top + height, left : left + width] = 1
    return mask


def brush(rng: np.random.Generator, size: int) -> np.ndarray:
    """Broad strokes as a finger paints them."""
    mask = np.zeros((size, size), np.uint8)
    for _ in range(rng.integers(1, 4)):
        points = np.cumsum(np.vstack([rng.uniform(0, size, 2), rng.normal(0, size / 7, (6, 2))]), axis=0)
        thickness = int(rng.integers(size // 16 + 2, size // 4 + 2))
        cv2.polylines(mask, [points.astype(np.int32)], False, 1, thickness)
    return mask


def pixels(rng: np.random.Generator, size: int) -> np.ndarray:
    """Single pixels lost at random, 20–80 % of them."""
    return (rng.uniform(size=(size, size)) < rng.uniform(0.2, 0.8)).astype(np.uint8)


KINDS = {scratches: 0.22, writing: 0.22, blocks: 0.25, brush: 0.23, pixels: 0.08}


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
