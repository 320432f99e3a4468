"""An article's network and ours side by side, large enough to see what is wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DETAIL, ENLARGED = 96, 3  # pixels of a picture's middle, and how often each is painted
LINE, GAP = 22, 6  # pixels
INK, PAPER = (20, 20, 20), (255, 255, 255)


def side_by_side(
    pictures: Mapping[str, np.ndarray],
    below: Mapping[str, str] | None = None,
    detail: int = DETAIL,
    enlarged: int = ENLARGED,
) -> Image.Image:
    """The middles of (H, W, 3) uint8 pictures, each under its name, with a line `below` some."""
    below = below or {}
    side = detail * enlarged
    sheet = Image.new("RGB", (len(pictures) * (side + GAP) - GAP, side + LINE * (2 if below else 1)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for at, (name, picture) in enumerate(pictures.items()):
        left = at * (side + GAP)
        draw.text((left + 4, 2), name, INK, font)
        sheet.paste(_middle(picture, detail).resize((side, side), Image.Resampling.NEAREST), (left, LINE))
        draw.text((left + 4, LINE + side + 2), below.get(name, ""), INK, font)
    return sheet


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
