"""What a file is, and what its header says of its picture, before anything is decoded.

A format is recognised by its first bytes. `PIL.Image.open` would try all decoders, and warn or refuse by a limit that
is global to the process, while each caller here has its own.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from deconvdemo.errors import PhotoError
from deconvdemo.image import header
from deconvdemo.image.formats import isobmff
from deconvdemo.image.formats.chunks import PNG_SIGNATURE

TAKEN = "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF"
_SIGNATURES = (  # format, offset, bytes
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, PNG_SIGNATURE),
    ("WEBP", 8, b"WEBPVP8"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("TIFF", 0, b"II+\0"),
    ("TIFF", 0, b"MM\0+"),
    ("GIF", 0, b"GIF8"),
    ("BMP", 0, b"BM"),
)
_NOT_TAKEN = (  # what it is, offset, bytes
    ("JPEG 2000", 0, b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("JPEG 2000", 0, b"\xff\x4f\xff\x51"),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("JPEG XL", 0, b"\0\0\0\x0cJXL \r\n\x87\n"),
    ("Photoshop's PSD", 0, b"8BPS"),
    ("GIMP's XCF", 0, b"gimp xcf"),
    ("OpenEXR", 0, b"\x76\x2f\x31\x01"),
    ("Radiance HDR", 0, b"#?R"),
    ("PDF", 0, b"%PDF"),
    ("a camera's raw file: develop it first", 0, b"FUJIFILMCCD-RAW"),
    ("a camera's raw file: develop it first", 0, b"IIU\0"),
    ("a camera's raw file: develop it first", 0, b"IIRO"),
    ("a camera's raw file: develop it first", 0, b"IIRS"),
    ("a camera's raw file: develop it first", 0, b"FOVb"),
    ("a camera's raw file: develop it first", 4, b"ftypcrx "),
    ("a video", 4, b"ftypisom"),
    ("a video", 4, b"ftypmp4"),
    ("a video", 4, b"ftypqt"),
)


NO_PHOTO = header.Facts(0, 0)


def kind_of(head: bytes) -> str | None:
    """The format of a file that begins so (512 bytes are enough), by Pillow's name; None for no photo that is read."""
    matches = (form for form, at, signature in _SIGNATURES if head[at : at + len(signature)] == signature)
    return isobmff.form(head) or next(matches, None)


def looked_at(stream: BinaryIO, name: str, max_pixels: int | None) -> tuple[str, header.Facts | None]:
    """An open file's format, and what its header says of the picture; None if that is odd. Nothing is decoded.

    Raises PhotoError, calling the file `name`, for a file that is empty, too large or not a photo.
    """
    stream.seek(0)
    head = stream.read(512)
    if not head:
        raise PhotoError(f"{name} is empty (0 bytes): upload or copy it again")
    form = kind_of(head)
    if not form:
        kinds = (kind for kind, at, signature in _NOT_TAKEN if head[at : at + len(signature)] == signature)
        kind = next((f" ({kind})" for kind in kinds), "")
        raise PhotoError(f"{name} is not a photo of a known kind{kind}: export it as one of {TAKEN}")
    return form, header.checked(stream, name, form, max_pixels)


def stated(source: str | os.PathLike | bytes) -> header.Facts | None:
    """What the photo of a path, or of a file's bytes, will be: for whoever has to plan, who refuses nothing.

    NO_PHOTO for a file of another kind; None where it cannot be told.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as stream:
            form = kind_of(stream.read(512))
            facts = header.checked(stream, "the photo", form, None) if form else NO_PHOTO
    except (OSError, ValueError):
        return None
    return facts if facts is NO_PHOTO or (facts and facts.pixels) else None
