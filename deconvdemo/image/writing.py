"""Photos out: a `Photo` → the bytes of a PNG, JPEG, WebP or TIFF file, the file itself, or a picture to show."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deconvdemo.atomic import WriteError, write_atomically
from deconvdemo.errors import PhotoError
from deconvdemo.image.formats import exif as exif_block
from deconvdemo.image.formats import high_bit_depth, png_chunks
from deconvdemo.image.photo import Chunk, Photo
from deconvdemo.image.pixels import to_depth
from deconvdemo.image.resolution import Resolution
from deconvdemo.image.written_formats import FORMATS, JPEG_EXIF_BYTES, LONGEST_SIDE, SUFFIXES, download_format, is_hdr


def to_pillow(photo: Photo) -> Image.Image:
    """An 8-bit view for showing: L, RGB, LA or RGBA, with its ICC profile in `info`."""
    image = _pillow(_samples(photo))
    if photo.icc:
        image.info["icc_profile"] = photo.icc
    return image


def encode_photo(
    photo: Photo, form: str | None = None, quality: int = 95, metadata: bool = True, lossless: bool | None = None
) -> bytes:
    """The bytes of a PNG, JPEG, WEBP or TIFF file; by default of `download_format`.

    PNG and TIFF are lossless: 8-bit stays 8-bit, 16-bit stays 16-bit, and float is clipped to [0, 1] and
    written as 16-bit. JPEG and WebP are 8-bit. JPEG has no transparency: the photo is laid on white.
    `quality` (0…100) is for JPEG and lossy WebP. `lossless` is for WebP, which then takes its fastest
    setting; None: lossless unless the photo came from a lossy file. `metadata=False` leaves out the EXIF
    (place, time, camera) and PNG's texts, but keeps the resolution and what describes the colours (the ICC
    profile, PNG's chunks), without which they would be wrong. PNG's texts are written into a PNG alone; no
    XMP and no comment is ever written, and no EXIF over 64 KB into a JPEG, which cannot hold it.
    Raises PhotoError for a format that is not written, or that does not hold a picture of this size or range.
    """
    form = form or download_format(photo)
    if form not in SUFFIXES:
        raise PhotoError(f"{form} is not a format that is written: use one of {', '.join(SUFFIXES)}")
    height, width = photo.height, photo.width
    if (longest := LONGEST_SIDE.get(form, 1 << 31)) < max(height, width):
        raise PhotoError(f"the photo is {width}×{height}, but {form} holds at most {longest} a side: save it as PNG")
    if form != "PNG" and is_hdr(photo):
        raise PhotoError(f"the photo is HDR (PQ or HLG), which {form} would show as another picture: save it as PNG")
    exif = _sized(photo.exif, width, height) if metadata else None
    if form == "TIFF":
        depth = np.uint8 if photo.bit_depth == 8 else np.uint16
        return high_bit_depth.tiff(to_depth(_samples(photo), depth), photo.icc, exif, photo.resolution)
    if form == "PNG":
        return _png(photo, exif, photo.texts if metadata else ())
    if form == "JPEG":
        return _jpeg(photo, exif, quality)
    return _webp(photo, exif, quality, photo.lossless if lossless is None else lossless)


def write_photo(photo: Photo, path: str | Path, quality: int = 95) -> Path:
    """Writes the file whole or not at all, in its suffix's format, EXIF included; returns its path."""
    path = Path(path)
    if (form := FORMATS.get(path.suffix.lower())) is None:
        raise PhotoError(f"{path} does not end in a format that is written: use one of {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise PhotoError(f"{path} cannot be written, there is no folder {path.parent}: create it first")
    data = encode_photo(photo, form, quality)
    try:
        write_atomically(path, data)
    except WriteError as error:
        raise PhotoError(f"{error}: free some space or choose another place") from error.__cause__
    return path


def _png(photo: Photo, exif: bytes | None, texts: tuple[Chunk, ...]) -> bytes:
    head = png_chunks.head(photo.icc, exif, photo.resolution, photo.colour, texts)
    if photo.bit_depth != 8:
        return high_bit_depth.png16(to_depth(_samples(photo), np.uint16), head)
    plain = _by_pillow(_pillow(_samples(photo)), "PNG", compress_level=high_bit_depth.DEFLATE_LEVEL)
    return png_chunks.with_head(plain, head)


def _jpeg(photo: Photo, exif: bytes | None, quality: int) -> bytes:
    samples = photo.pixels if photo.alpha is None else _on_white(photo.pixels, photo.alpha)
    options: dict[str, Any] = {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    if exif and len(exif) <= JPEG_EXIF_BYTES:
        options["exif"] = exif
    data = _by_pillow(_pillow(samples), "JPEG", icc_profile=photo.icc, **options)
    return _with_jfif(data, photo.resolution) if photo.resolution else data


def _webp(photo: Photo, exif: bytes | None, quality: int, lossless: bool) -> bytes:
    options: dict[str, Any] = {"quality": quality, "method": 4}
    if lossless:
        options = {"lossless": True, "quality": 0, "method": 0, "exact": True}
    if exif:
        options["exif"] = exif
    return _by_pillow(_pillow(_samples(photo)), "WEBP", icc_profile=photo.icc, **options)


def _sized(exif: bytes | None, width: int, height: int) -> bytes | None:
    try:
        return exif and exif_block.sized(exif, width, height)
    except (ValueError, struct.error):
        return exif  # it states no size that could be found


def _by_pillow(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _with_jfif(data: bytes, resolution: Resolution) -> bytes:
    """Pillow writes a JFIF header, but no resolution that is only a ratio."""
    if data[6:11] != b"JFIF\0":
        return data
    return data[:13] + resolution.jfif() + data[18:]


def _samples(photo: Photo) -> np.ndarray:
    """(H, W, C), alpha last."""
    return photo.pixels if photo.alpha is None else np.concatenate([photo.pixels, photo.alpha[..., None]], axis=2)


def _pillow(samples: np.ndarray) -> Image.Image:
    samples = to_depth(samples, np.uint8)
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    colour, opacity = (to_depth(a, np.uint8).astype(np.uint32) for a in (pixels, alpha[..., None]))
    return ((colour * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
