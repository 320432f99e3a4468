"""The mask painter: marks holes on a photo, in the browser alone until an event takes the mask."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from deconvdemo.errors import PhotoError
from deconvdemo.image.photo import Photo
from deconvdemo.image.writing import encode_photo
from deconvdemo.web.asset import html_component

# mask.js's own limit: a larger mask was not made by it
_LARGEST_MASK = 4_000_000


def painter(empty: str, **kwargs: Any) -> gr.HTML:
    """A brush, eraser and rectangle on a photo, with zoom and undo; `empty` is said while there is no photo.

    Its value is None or what `painting` returns. An event that takes it as an input gets the value that
    `mask_from_painter` reads. `kwargs` are `gr.HTML`'s (`elem_id`, `visible`, `value`, …).
    """
    return html_component("painter", ("mask.js", "painter.js"), empty, **kwargs)


def painting(
    photo: str, width: int, height: int, holes: np.ndarray | None = None, limit: tuple[int, str] | None = None
) -> dict[str, Any]:
    """A painter's value: the photo's URL on our own pages, its size, and (H, W) bool holes to continue.

    With `limit`, its words are shown while something is marked that lies deeper than so many of the photo's pixels.
    """
    value: dict[str, Any] = {"photo": photo, "width": width, "height": height, "mask": None}
    if limit is not None:
        value["limit"] = {"depth": limit[0], "words": limit[1]}
    if holes is not None:
        scale = min(1.0, (_LARGEST_MASK / holes.size) ** 0.5)
        small = (max(1, int(holes.shape[1] * scale)), max(1, int(holes.shape[0] * scale)))
        bits = base64.b64encode(np.packbits(_resized(holes, small)).tobytes()).decode("ascii")
        value["mask"] = {"width": small[0], "height": small[1], "bits": bits}
    return value


def mask_from_painter(value: dict[str, Any] | None, max_pixels: int = 100_000_000) -> np.ndarray | None:
    """(H, W) bool of exactly the photo's size, True in holes; None if nothing is marked.

    The value comes from a browser, so nothing in it is trusted: PhotoError for a mask that the painter cannot
    have made, or for a photo of more than `max_pixels`.
    """
    painted = value.get("mask") if isinstance(value, dict) else None
    if not isinstance(value, dict) or painted is None:
        return None
    try:
        size = (int(value["width"]), int(value["height"]))
        width, height = int(painted["width"]), int(painted["height"])
        packed = base64.b64decode(painted["bits"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise PhotoError("the painted mask arrived damaged: paint it again, or upload a mask file") from None
    if min(*size, width, height) < 1 or size[0] * size[1] > max_pixels or width * height > _LARGEST_MASK:
        raise PhotoError(f"the painted mask claims {width}×{height} for a photo of {size[0]}×{size[1]}: paint it again")
    if len(packed) != (width * height + 7) // 8:
        raise PhotoError("the painted mask arrived incomplete: paint it again, or upload a mask file")
    holes = np.unpackbits(np.frombuffer(packed, np.uint8), count=width * height).reshape(height, width)
    return _resized(holes, size) if holes.any() else None


def mask_file(holes: np.ndarray) -> bytes:
    """A mask as a PNG to keep: 255 in holes and 0 elsewhere."""
    return encode_photo(Photo(holes[..., None].astype(np.uint8) * np.uint8(255)), "PNG")


def _resized(holes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """To (width, height), without new levels in between."""
    return np.asarray(Image.fromarray(holes.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)).view(bool)
