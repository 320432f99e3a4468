"""Files in: whatever people upload → the fields of a `Photo`.

The format is recognised by its first bytes and handed to that format's own decoder. `PIL.Image.open` would
try them all, and warn or refuse by a limit that is global to the process, while each caller here has its own.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from deconvdemo.errors import PhotoError, PhotoMemoryError
from deconvdemo.image import header as photo_header
from deconvdemo.image.formats import (
    decoded,
    high_bit_depth,
    isobmff,
    jpeg_marks,
    pillow_reading,
    png_chunks,
    tiff_reading,
)

TAKEN = "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF"
_SIGNATURES = (  # format, offset, bytes
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, png_chunks.SIGNATURE),
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
_DECODERS = {  # format: module, class
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
}
_GREY, _RGB, _PALETTE = 0, 2, 3  # PNG's types of colour that have transparent levels
_NO_MEMORY = re.compile(r"insufficient memory|alloc|out ?of ?memory")
# how decoders say that they lack something, rather than that the file does
_UNSUPPORTED = re.compile(r"unsupported|not supported|not available|cannot handle|requires the '|unknown (pixel )?mode")


def kind_of(head: bytes) -> str | None:
    """The format of a file that begins so (512 bytes are enough), by Pillow's name; None for no photo that is read."""
    matches = (form for form, at, signature in _SIGNATURES if head[at : at + len(signature)] == signature)
    return isobmff.form(head) or next(matches, None)


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[tuple[BinaryIO, str]]:
    """A photo's file, open, and its name. Raises PhotoError for a path that leads to no file that can be read."""
    path = Path(path)
    try:
        if path.is_dir():
            raise PhotoError(f"{path} is a folder, but a photo is one file: name a file in it")
        if path.exists() and not path.is_file():
            raise PhotoError(f"{path} is not a regular file: name a photo's file")
        with path.open("rb") as stream:
            yield stream, path.name
    except FileNotFoundError as error:
        raise PhotoError(f"there is no file {path}: check its name") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise PhotoError(f"{path} cannot be read ({reason}): check its name and permissions") from error


def looked_at(stream: BinaryIO, name: str, max_pixels: int | None) -> tuple[str, photo_header.Facts | None]:
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
    return form, photo_header.checked(stream, name, form, max_pixels)


NO_PHOTO = photo_header.Facts(0, 0)


def stated(source: str | os.PathLike | bytes) -> photo_header.Facts | None:
    """What the photo of a path, or of a file's bytes, will be: for whoever has to plan, who refuses nothing.

    NO_PHOTO for a file of another kind; None where it cannot be told.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as stream:
            form = kind_of(stream.read(512))
            facts = photo_header.checked(stream, "the photo", form, None) if form else NO_PHOTO
    except (OSError, ValueError):
        return None
    return facts if facts is NO_PHOTO or (facts and facts.pixels) else None


def read_file(stream: BinaryIO, name: str, max_pixels: int | None) -> dict[str, Any]:
    """The fields of a `Photo` from an open file; its size is checked in its header, before decoding.

    Raises PhotoError, calling the file `name`, for a file that is empty, damaged, too large or not a photo.
    """
    form, _ = looked_at(stream, name, max_pixels)
    stream.seek(0)
    with _damage_explained(name, f"{form} file"):
        if form == "PNG":
            return _read_png(stream, name, max_pixels)
        if form == "TIFF":
            return tiff_reading.read(stream, name, max_pixels)
        if form == "JPEG":
            return _read_jpeg(stream, name, max_pixels)
        return _read_by_pillow(stream, name, form, max_pixels)


def read_pillow(image: Image.Image, name: str) -> dict[str, Any]:
    """The fields of a `Photo` from a Pillow image of any mode: its first frame, turned upright."""
    with _damage_explained(name, ""):
        is_jpeg = image.format in ("JPEG", "MPO")
        return pillow_reading.read(image, name, jpeg_marks.left_out(image) if is_jpeg else [])


def _read_by_pillow(stream: BinaryIO, name: str, form: str, max_pixels: int | None) -> dict[str, Any]:
    known: dict[str, Any] = {"format": form}
    notes: list[str] = []
    if form == "WEBP":  # whose canvas Pillow would allocate at opening
        width, height, known["lossless"] = photo_header.webp_header(stream)
        decoded.refuse_if_too_large(name, width, height, max_pixels)
    if form in ("HEIF", "AVIF"):
        boxes = isobmff.read(stream)
        notes += boxes.notes
        if boxes.depth > 8:
            notes.append(f"{boxes.depth}-bit {form} was read as 8-bit")
        known["colour"] = ((b"cICP", boxes.cicp),) if boxes.cicp else ()
    if form == "BMP":
        photo_header.refuse_costly_runs(stream, name)
    if form == "GIF":
        stream.seek(0)
        photo_header.refuse_costly_blocks(stream.read(), name)
    stream.seek(0)
    image = _opened(stream, name, form)
    decoded.refuse_if_too_large(name, image.width, image.height, max_pixels)
    if form == "HEIF" and getattr(image, "n_frames", 1) > 1:
        notes.append("HEIC of several pictures: only its main one is used")
    return pillow_reading.read(image, name, notes) | known


def _opened(stream: BinaryIO, name: str, form: str) -> Image.Image:
    module, decoder = _DECODERS[form]
    try:
        opened = getattr(importlib.import_module(module), decoder)
    except ImportError as error:
        raise PhotoError(
            f"{name} is a HEIC photo, which needs pillow-heif: `pip install` it, or export it as JPEG"
        ) from error
    return opened(stream, "")


def _read_jpeg(stream: BinaryIO, name: str, max_pixels: int | None) -> dict[str, Any]:
    notes: list[str] = []
    photo_header.refuse_costly_scans(stream, name)
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
    return pillow_reading.read(image, name, notes + jpeg_marks.left_out(image))


def _read_png(stream: BinaryIO, name: str, max_pixels: int | None) -> dict[str, Any]:
    """8 bits by Pillow, 16 by OpenCV; all that is not pixels by `png_chunks`."""
    png = png_chunks.take_apart(stream.read())
    decoded.refuse_if_too_large(name, png.width, png.height, max_pixels)
    notes = png.notes
    if png.animated:
        notes.append("animated PNG: only its first frame is used")
    image = _opened(io.BytesIO(png.pixels), name, "PNG")
    if png.colour_type == _PALETTE and png.transparent:
        image.info["transparency"] = png.transparent
    image.load()
    icc = png.icc
    if png.depth == 16:  # Pillow has found it sound
        samples = high_bit_depth.png16_samples(png.pixels)
    else:
        samples, icc = pillow_reading.samples_of(image, icc, name, notes)
    if png.colour_type in (_GREY, _RGB) and png.transparent:
        samples = _with_transparent_level(samples, png, notes)
    fields = decoded.upright(samples, png.exif, notes, png.xmp, png.resolution)
    return fields | {"icc": icc, "format": "PNG", "colour": png.colour, "texts": png.texts}


def _with_transparent_level(samples: np.ndarray, png: png_chunks.Png, notes: list[str]) -> np.ndarray:
    """(H, W, 2 or 4): the one level, or colour, that the tRNS chunk names is transparent."""
    samples = samples.reshape(*samples.shape[:2], -1)
    channels, most = samples.shape[2], (1 << png.depth) - 1
    if len(png.transparent or b"") < 2 * channels:
        notes.append("its transparent colour is damaged and was left out")
        return samples
    stated = np.frombuffer(png.transparent or b"", ">u2", channels).astype(np.uint32) & most
    top = np.iinfo(samples.dtype).max
    level = (stated * (top // most)).astype(samples.dtype)
    alpha = np.where((samples == level).all(axis=2), 0, top).astype(samples.dtype)
    return np.concatenate([samples, alpha[..., None]], axis=2)


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
