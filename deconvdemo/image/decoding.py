"""An open file, or a Pillow image → a `Photo`: each format by its own decoder, whose failures become a sentence."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from deconvdemo.errors import PhotoError, PhotoMemoryError
from deconvdemo.image import header, recognition
from deconvdemo.image.formats import decoded, isobmff, jpeg_marks, pillow_reading, png_reading, tiff_reading
from deconvdemo.image.photo import Photo

_DECODERS = {  # format: module, class
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
}
_NO_MEMORY = re.compile(r"insufficient memory|alloc|out ?of ?memory")
# how decoders say that they lack something, rather than that the file does
_UNSUPPORTED = re.compile(r"unsupported|not supported|not available|cannot handle|requires the '|unknown (pixel )?mode")


def read_file(stream: BinaryIO, name: str, max_pixels: int | None, room: np.ndarray | None = None) -> Photo:
    """The photo of an open file; its size is checked in its header, before decoding. Its pixels may be read-only.

    Where there is `room`, bytes that are free to be written to, the pixels may lie in it.
    Raises PhotoError, calling the file `name`, for a file that is empty, damaged, too large or not a photo.
    """
    form, _ = recognition.looked_at(stream, name, max_pixels)
    stream.seek(0)
    with _damage_explained(name, f"{form} file"):
        if form == "PNG":
            return png_reading.read(stream, name, max_pixels, room)
        if form == "TIFF":
            return tiff_reading.read(stream, name, max_pixels)
        if form == "JPEG":
            return _read_jpeg(stream, name, max_pixels, room)
        return _read_by_pillow(stream, name, form, max_pixels, room)


def read_pillow(image: Image.Image, name: str) -> Photo:
    """The photo of a Pillow image of any mode: its first frame, turned upright. Its pixels may be read-only."""
    with _damage_explained(name, ""):
        is_jpeg = image.format in ("JPEG", "MPO")
        return pillow_reading.read(image, name, jpeg_marks.left_out(image) if is_jpeg else [])


def _read_by_pillow(stream: BinaryIO, name: str, form: str, max_pixels: int | None, room: np.ndarray | None) -> Photo:
    known: dict[str, Any] = {}
    notes: list[str] = []
    if form == "WEBP":  # whose canvas Pillow would allocate at opening
        width, height, known["lossless"] = header.webp_header(stream)
        decoded.refuse_if_too_large(name, width, height, max_pixels)
    if form in ("HEIF", "AVIF"):
        boxes = isobmff.read(stream)
        notes += boxes.notes
        if boxes.depth > 8:
            notes.append(f"{boxes.depth}-bit {form} was read as 8-bit")
        known["colour"] = ((b"cICP", boxes.cicp),) if boxes.cicp else ()
    if form == "BMP":
        header.refuse_costly_runs(stream, name)
    if form == "GIF":
        stream.seek(0)
        header.refuse_costly_blocks(stream.read(), name)
    stream.seek(0)
    image = _opened(stream, name, form)
    decoded.refuse_if_too_large(name, image.width, image.height, max_pixels)
    if form == "HEIF" and getattr(image, "n_frames", 1) > 1:
        notes.append("HEIC of several pictures: only its main one is used")
    return pillow_reading.read(image, name, notes, room, **({"format": form} | known))


def _opened(stream: BinaryIO, name: str, form: str) -> Image.Image:
    module, decoder = _DECODERS[form]
    try:
        opened = getattr(importlib.import_module(module), decoder)
    except ImportError as error:
        raise PhotoError(
            f"{name} is a HEIC photo, which needs pillow-heif: `pip install` it, or export it as JPEG"
        ) from error
    return opened(stream, "")


def _read_jpeg(stream: BinaryIO, name: str, max_pixels: int | None, room: np.ndarray | None) -> Photo:
    notes: list[str] = []
    header.refuse_costly_scans(stream, name)
    stream.seek(0)
    try:
        image = _opened(stream, name, "JPEG")
        decoded.refuse_if_too_large(name, image.width, image.height, max_pixels)
        image.load()
    except (OSError, SyntaxError):
        stream.seek(0)
        data = stream.read()
        if kind := jpeg_marks.unusual(data):
            raise PhotoError(
                f"{name} is a {kind} JPEG, which is not supported: export it as a usual JPEG, or as PNG or TIFF"
            ) from None
        whole = jpeg_marks.whole_without_end(data)
        if whole is None:
            raise
        image = whole
        notes.append("its end mark is missing, but every pixel is there")
    return pillow_reading.read(image, name, notes + jpeg_marks.left_out(image), room)


@contextlib.contextmanager
def _damage_explained(name: str, kind: str) -> Iterator[None]:
    """Decoders fed with hostile bytes raise anything: OSError, SyntaxError, KeyError, cv2.error, …"""
    try:
        yield
    except PhotoError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error).lower()):
            raise PhotoMemoryError(
                f"{name} needs more memory than a photo of its size should, or than there is: "
                "resize it, or export it as a usual JPEG or PNG"
            ) from error
        says_unsupported = not isinstance(error, TypeError) and _UNSUPPORTED.search(str(error).lower())
        if isinstance(error, NotImplementedError) or says_unsupported:
            reason = str(error).splitlines()[0][:100] if str(error) else "its decoder lacks it"
            raise PhotoError(
                f"{name} is a {kind or 'picture'} of a kind that is not supported ({reason}): "
                "export it as a usual JPEG, PNG or TIFF"
            ) from error
        if not kind:
            raise PhotoError(f"{name} is damaged or cut off: open it from its file again") from error
        raise PhotoError(f"{name} is a damaged or cut-off {kind}: download or export it again") from error
