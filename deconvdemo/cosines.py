"""The cosine transform of JPEG's blocks: what JPEG is computed by, and told by."""

from __future__ import annotations

import math
from functools import cache

BLOCK = 8  # pixels, of a side


@cache
def cosines() -> tuple[tuple[float, ...], ...]:
    """(8, 8): the orthonormal transform of 8 values, a row for each frequency."""
    return tuple(
        tuple(
            math.sqrt((1 if k == 0 else 2) / BLOCK) * math.cos(math.pi * k * (2 * n + 1) / (2 * BLOCK))
            for n in range(BLOCK)
        )
        for k in range(BLOCK)
    )
