"""What the review's page sends: facts as JSON, targets as files, and what was painted; nothing of it is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np

from deconvdemo.errors import FeedbackError
from deconvdemo.image.apart import STRANGERS
from deconvdemo.image.lossless import lossless
from deconvdemo.web.components.painter import mask_from_painter
from deconvdemo.web.server.strict_json import JSONError, strict_json


def read_json(body: bytes | str) -> Mapping[str, Any]:
    """FeedbackError for anything but an object."""
    try:
        said, _ = strict_json(body)
    except JSONError as error:
        raise FeedbackError(f"{error}: reload the page") from error
    if not isinstance(said, dict):
        raise FeedbackError("this is not what the page sends: reload it")
    return said


def size_of(data: bytes) -> dict[str, int]:
    """Of an image of our own."""
    from PIL import Image

    with Image.open(BytesIO(data)) as opened:
        return {"width": opened.width, "height": opened.height}


def target_of(data: bytes | None, size: dict[str, int], max_pixels: int) -> bytes | None:
    """An image file of any kind as a lossless one, of the result's size."""
    if data is None:
        return None
    photo = STRANGERS.open(data, max_pixels)
    if (photo.width, photo.height) != (size["width"], size["height"]):
        raise FeedbackError(
            f"the target is {photo.width}×{photo.height} but the result is {size['width']}×{size['height']}: "
            "give one of the same size"
        )
    return lossless(photo)


def painted_of(value: Any, size: dict[str, int], max_pixels: int) -> np.ndarray | None:
    """(H, W) bool of a painter's value, of the size of the picture that it was painted on."""
    holes = mask_from_painter(value, max_pixels) if value else None
    if holes is not None and holes.shape != (size["height"], size["width"]):
        raise FeedbackError("what was painted has another size than the photo: paint it again")
    return holes
