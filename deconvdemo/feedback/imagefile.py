"""Image files as they are stored: PNG or WebP, whole, and without a word about who took them or where."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from deconvdemo.errors import FeedbackError

if TYPE_CHECKING:
    import numpy as np

PNG = b"\x89PNG\r\n\x1a\n"

# EXIF and XMP hold places, names and serial numbers; PNG's text chunks are where other programs put the same
PRIVATE_CHUNKS = {b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"EXIF", b"XMP "}
_MOST_PIXELS = 100_000_000  # the decoder of WebP makes room for all of them when a file is opened
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04  # the bits in VP8X that announce those chunks


def image_extension(data: bytes) -> str:
    """`"png"` or `"webp"`, by the first bytes; raises FeedbackError for anything else."""
    if data.startswith(PNG):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    raise FeedbackError("is not a PNG or WebP image")


def rgb_pixels(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8."""
    import numpy as np
    from PIL import Image

    with Image.open(BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"))


def stored_image(data: bytes) -> bytes:
    """The same image file without EXIF, XMP and text; the compressed pixels are not touched.

    Raises FeedbackError, as the end of a sentence that begins with the image's role, for a file that is not a
    whole PNG or WebP.
    """
    extension = image_extension(data)
    try:
        chunks = list(_png_chunks(data) if extension == "png" else _webp_chunks(data))
    except struct.error:
        raise FeedbackError("ends in its middle: send the whole file") from None
    _require_readable(data)
    if not PRIVATE_CHUNKS & {name for name, _ in chunks}:
        return data
    kept = [chunk for name, chunk in chunks if name not in PRIVATE_CHUNKS]
    return PNG + b"".join(kept) if extension == "png" else _webp(kept)


def _require_readable(data: bytes) -> None:
    from PIL import Image

    from deconvdemo import photo_header
    from deconvdemo.errors import PhotoError

    try:
        photo_header.checked(BytesIO(data), "it", "PNG" if data.startswith(PNG) else "WEBP", _MOST_PIXELS)
        with Image.open(BytesIO(data), formats=("PNG", "WEBP")) as image:
            image.verify()
    except PhotoError as error:
        raise FeedbackError(f"is too large: {error}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FeedbackError(f"cannot be read as an image ({error})") from error


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, the whole chunk) up to IEND; what follows is not the image. struct.error: it never ends."""
    position, name = len(PNG), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + length + 12
        struct.unpack_from("4s", data, end - 4)  # the checksum: the chunk is all there
        yield name, data[position:end]
        position = end


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, the whole chunk with its padding) within the length that the file's header states."""
    position, stated = 12, 8 + struct.unpack_from("<I", data, 4)[0]
    while position < stated:
        name, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length + length % 2
        struct.unpack_from("c", data, end - 1)
        yield name, data[position:end]
        position = end


def _webp(chunks: list[bytes]) -> bytes:
    first = bytearray(chunks[0])
    if first[:4] == b"VP8X":
        first[8] &= ~(_WEBP_EXIF | _WEBP_XMP)
    body = b"WEBP" + bytes(first) + b"".join(chunks[1:])
    return b"RIFF" + struct.pack("<I", len(body)) + body
