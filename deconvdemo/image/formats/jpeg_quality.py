"""How strongly a JPEG file was compressed, by its quantisation table: what its pixels alone do not tell for certain."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from PIL import Image

BEST = 100  # of libjpeg's scale, which nearly every program means by "quality"
_SIDE = 8
# luma's steps at quality 50 (ITU-T T.81, annex K), by rows
_STANDARD = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def quality_of(image: Image.Image) -> int | None:
    """Of a JPEG that Pillow has opened, 1 to 100: the quality at which libjpeg's steps for luma are as coarse.

    Cameras and editors have tables of their own. None where there is none, or none that can be used.
    """
    tables, layers = getattr(image, "quantization", None), getattr(image, "layer", None)
    try:
        return nearest(tables[layers[0][3]])  # type: ignore[index]
    except (TypeError, ValueError, LookupError):  # what the file's first part is said to use is not there, or odd
        return None


def nearest(table: Sequence[int]) -> int:
    """The quality whose standard table is as coarse as this one. ValueError for what is no 8×8 steps from 1 on."""
    coarse = _coarseness(table)
    return BEST - min(range(BEST), key=lambda worse: abs(_scale()[worse] - coarse))


def standard(quality: int) -> list[int]:
    """libjpeg's table for luma at a quality from 1 to 100."""
    percent = 5000 // quality if quality < BEST // 2 else 2 * (BEST - quality)
    return [min(max((step * percent + 50) // 100, 1), 255) for step in _STANDARD]


@functools.cache
def _scale() -> list[float]:
    """From the best quality down."""
    return [_coarseness(standard(quality)) for quality in range(BEST, 0, -1)]


def _coarseness(table: Sequence[int]) -> float:
    """A mean of logarithms in which low frequencies, where a photo is, count more: editors spare the high ones."""
    if len(table) != _SIDE**2 or min(table) < 1:
        raise ValueError("a table of steps has 64 numbers from 1 on")
    return math.fsum(math.log(step) / (1 + at // _SIDE + at % _SIDE) ** 2 for at, step in enumerate(table))
