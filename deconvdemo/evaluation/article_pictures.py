"""An article's network and ours side by side, large enough to see what is wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DETAIL, ENLARGED = 96, 3  # pixels of a picture's middle, and how often each is painted
LINE, GAP = 22, 6  # pixels
NEAREST = Image.Resampling.NEAREST
INK, PAPER = (20, 20, 20), (255, 255, 255)


def side_by_side(
    pictures: Mapping[str, np.ndarray],
    below: Mapping[str, str] | None = None,
    detail: int = DETAIL,
    enlarged: int = ENLARGED,
) -> Image.Image:
    """The middles of (H, W, 3) uint8 pictures, each under its name, with a line `below` some."""
    side = detail * enlarged
    middles = {name: _middle(one, detail).resize((side, side), NEAREST) for name, one in pictures.items()}
    return sheet(middles, below)


def sheet(tiles: Mapping[str, Image.Image], below: Mapping[str, str] | None = None, columns: int = 0) -> Image.Image:
    """Pictures of one size in rows of so many `columns` (0: all in one), named and explained as above."""
    below, columns = below or {}, columns or len(tiles)
    width, height = next(iter(tiles.values())).size
    across, down = width + GAP, height + LINE * (2 if below else 1) + GAP
    whole = Image.new("RGB", (columns * across - GAP, -(-len(tiles) // columns) * down - GAP), PAPER)
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(14)
    for at, (name, tile) in enumerate(tiles.items()):
        left, top = at % columns * across, at // columns * down
        draw.text((left + 4, top + 2), name, INK, font)
        whole.paste(tile, (left, top + LINE))
        draw.text((left + 4, top + LINE + height + 2), below.get(name, ""), INK, font)
    return whole


def grid(pictures: np.ndarray, columns: int) -> np.ndarray:
    """(N, H, W, 3) → one picture of them all."""
    count, height, width, _ = pictures.shape
    rows = count // columns
    return (
        pictures[: rows * columns].reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, -1, 3)
    )


def _middle(picture: np.ndarray, detail: int) -> Image.Image:
    top, left = (max(length - detail, 0) // 2 for length in picture.shape[:2])
    return Image.fromarray(picture[top : top + detail, left : left + detail])
