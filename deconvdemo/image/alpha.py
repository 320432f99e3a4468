"""What is seen of a photo with transparency: colours nobody can see have no share in those that are seen.

Under an alpha of 0 a file keeps whatever its painter left there, often black. A network, and a resize, would mix it
into the rim of what is visible.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from deconvdemo.image.pixels import PEAK

FAINTEST = 128  # a pixel of less than this part of full opacity hides its colour: it moves nothing by two grey levels
SOFT = 2.0  # pixels: standard deviation of the blur of what is filled in, so that it is no streaks
AROUND = 64  # pixels beyond each border in which a picture that repeats is looked for the nearest visible colour


def visible(alpha: np.ndarray | None) -> np.ndarray | None:
    """(H, W) bool where the photo can be seen; None where all of it can."""
    if alpha is None:
        return None
    seen = alpha >= (PEAK.get(alpha.dtype.name, 1.0) / FAINTEST)
    return None if seen.all() else seen


def visible_colours(pixels: np.ndarray, known: np.ndarray, hidden: np.ndarray, wrap: bool = False) -> np.ndarray:
    """`pixels`, (H, W, C), with the colours of the nearest `known` ones, softened, where they are `hidden`.

    `known` and `hidden` are (H, W) bool; what is neither stays, and has no influence. With `wrap` the picture repeats.
    Where nothing is known nothing changes.
    """
    import cv2

    if not known.any():
        return pixels
    if wrap:
        sides = [(min(AROUND, side),) * 2 for side in known.shape]
        known, around = (np.pad(flags, sides, mode="wrap") for flags in (known, hidden))
        wide = visible_colours(np.pad(pixels, [*sides, (0, 0)], mode="wrap"), known, around)
        return wide[sides[0][0] : -sides[0][0], sides[1][0] : -sides[1][0]]
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place_of = np.zeros(labels.max() + 1, np.int64)
    place_of[labels[known]] = np.flatnonzero(known)
    nearest = pixels.reshape(-1, pixels.shape[2])[place_of[labels]]
    soft = cv2.GaussianBlur(nearest, (0, 0), SOFT, borderType=cv2.BORDER_REPLICATE).reshape(pixels.shape)
    return np.where(hidden[..., None], soft, pixels)


def enlarged(alpha: np.ndarray, scale: int, wrap: bool = False) -> np.ndarray:
    """(H, W) in [0, 1] → (scale·H, scale·W) float32: bicubic, and nowhere beyond the four pixels between which it lies.

    So what is opaque stays opaque and what is clear stays clear. With `wrap` the picture repeats at its borders.
    """
    margin = 3 if wrap else 0  # bicubic's reach, and a pixel more
    wide = np.pad(alpha.astype(np.float32), margin, mode="wrap")
    size = (wide.shape[1] * scale, wide.shape[0] * scale)
    smooth = np.asarray(Image.fromarray(wide).resize(size, Image.Resampling.BICUBIC))
    least = most = wide
    for axis in (0, 1):
        place = (np.arange(wide.shape[axis] * scale) + 0.5) / scale - 0.5
        ends = [np.clip(end(place).astype(int), 0, wide.shape[axis] - 1) for end in (np.floor, np.ceil)]
        least = np.minimum(*(least.take(end, axis) for end in ends))
        most = np.maximum(*(most.take(end, axis) for end in ends))
    inner = slice(margin * scale, -margin * scale or None)
    return np.clip(smooth, least, most)[inner, inner]
