"""Image files as they are stored: PNG or WebP, whole, and without a word about who took them or where."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from deconvdemo.errors import FeedbackError
from deconvdemo.image.formats.chunks import PNG_SIGNATURE, in_png, in_webp

if TYPE_CHECKING:
    import numpy as np

# what makes the picture and its colours. EXIF, XMP and texts hold places, names and serial numbers, and any program may
# put the same into chunks of its own: thumbnails, edits, other frames
PICTURE_CHUNKS = {
    "png": {
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"bKGD", b"sBIT", b"pHYs",
        b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI",
    },
    "webp": {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP"},
}  # fmt: skip
_MOST_PIXELS = 100_000_000  # the decoder of WebP makes room for all of them when a file is opened
CUT_OFF = "ends in its middle: send the whole file"
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04  # the bits in VP8X that announce those chunks


# what Pillow raises on files that it cannot decode; its error for bombs is none of these
UNREADABLE = (OSError, SyntaxError, ValueError, ArithmeticError, LookupError, MemoryError, struct.error, FeedbackError)


def image_extension(data: bytes) -> str:
    """`"png"` or `"webp"`, by the first bytes; raises FeedbackError for anything else."""
    if data.startswith(PNG_SIGNATURE):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    raise FeedbackError("is not a PNG or WebP image")


def rgb_pixels(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=("PNG", "WEBP")) as opened:
            return np.asarray(opened.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise FeedbackError(f"cannot be decoded ({error})") from error


def stored_image(data: bytes) -> bytes:
    """The same image file with its picture alone: no EXIF, XMP or text, no chunk of another kind, nothing behind its
    end; the compressed pixels are not touched.

    Raises FeedbackError, as the end of a sentence that begins with the image's role, for a file that is not a
    whole PNG or WebP.
    """
    extension = image_extension(data)
    kept, seen = [], set[bytes]()
    try:
        for name, chunk in _png_chunks(data) if extension == "png" else _webp_chunks(data):
            if name in (b"ANMF", b"ANIM"):
                raise FeedbackError("is animated: send one picture")
            if name in PICTURE_CHUNKS[extension] and (name not in seen or name == b"IDAT"):
                kept.append(chunk)
                seen.add(name)
    except ValueError as error:
        raise FeedbackError(f"has {error}: save it anew") from None
    stored = PNG_SIGNATURE + b"".join(kept) if extension == "png" else _webp(kept)
    _require_readable(stored)
    return stored


def _require_readable(data: bytes) -> None:
    from PIL import Image

    from deconvdemo.errors import PhotoError
    from deconvdemo.image import header as photo_header

    try:
        photo_header.checked(BytesIO(data), "it", "PNG" if data.startswith(PNG_SIGNATURE) else "WEBP", _MOST_PIXELS)
        with Image.open(BytesIO(data), formats=("PNG", "WEBP")) as image:
            image.verify()
    except PhotoError as error:
        raise FeedbackError(f"is too large: {error}") from error
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise FeedbackError(f"cannot be read as an image ({error})") from error


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, the whole chunk) up to IEND; what follows is not the image."""
    name = b""
    for name, start, end in in_png(data):
        yield name, _whole(data, start - 8, end + 4)  # the checksum
    if name != b"IEND":
        raise FeedbackError(CUT_OFF)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, the whole chunk with its padding) within the length that the file's header states."""
    position, stated = 12, 8 + struct.unpack_from("<I", data, 4)[0]
    for name, start, end in in_webp(BytesIO(data)):
        if position >= stated:
            return
        position = end + (end - start) % 2
        yield name, _whole(data, start - 8, position)
    if position < stated:
        raise FeedbackError(CUT_OFF)


def _whole(data: bytes, start: int, end: int) -> bytes:
    if end > len(data):
        raise FeedbackError(CUT_OFF)
    return data[start:end]


def _webp(chunks: list[bytes]) -> bytes:
    first = bytearray(chunks[0])
    if first[:4] == b"VP8X":
        first[8] &= ~(_WEBP_EXIF | _WEBP_XMP)
    body = b"WEBP" + bytes(first) + b"".join(chunks[1:])
    return b"RIFF" + struct.pack("<I", len(body)) + body
