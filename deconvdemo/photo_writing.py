"""Photos out: pixels, alpha, ICC profile and EXIF → the bytes of a PNG, JPEG, WebP or TIFF file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from deconvdemo import deep_files
from deconvdemo.errors import PhotoError

SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}  # in pixels
_JPEG_EXIF_BYTES = 65533  # one JPEG marker


def to_depth(samples: np.ndarray, dtype: type | np.dtype) -> np.ndarray:
    """The same picture as uint8 (0…255), uint16 (0…65535) or float32 ([0, 1]); from float it is clipped."""
    dtype = np.dtype(dtype)
    if samples.dtype == dtype:
        return samples
    if dtype == np.float32:
        return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
    if samples.dtype.kind == "f":
        top = np.iinfo(dtype).max
        return np.rint(np.clip(samples, 0, 1) * np.float32(top)).astype(dtype)
    if dtype == np.uint16:
        return samples.astype(np.uint16) * np.uint16(257)
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_pillow(pixels: np.ndarray, alpha: np.ndarray | None) -> Image.Image:
    """An 8-bit L, RGB, LA or RGBA image of (H, W, C) pixels."""
    samples = to_depth(_joined(pixels, alpha), np.uint8)
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def encode(
    form: str,
    pixels: np.ndarray,
    alpha: np.ndarray | None,
    icc: bytes | None,
    exif: bytes | None,
    quality: int,
    lossless: bool,
) -> bytes:
    """The bytes of a file. PNG and TIFF: 8 bits from uint8, else 16. JPEG and WebP: 8 bits.

    JPEG has no alpha: the picture is laid on white. JPEG takes EXIF up to 64 KB; a longer block is left out.
    `lossless` and the fastest effort are WebP's; its `quality`, and JPEG's, are for the lossy ones.
    Raises PhotoError for a format that is not written, or that does not hold a picture of this size.
    """
    if form not in SUFFIXES:
        raise PhotoError(f"{form} is not a format that is written: use one of {', '.join(SUFFIXES)}")
    height, width = pixels.shape[:2]
    if (longest := LONGEST_SIDE.get(form, 1 << 31)) < max(height, width):
        raise PhotoError(f"the photo is {width}×{height}, but {form} holds at most {longest} a side: save it as PNG")
    if form == "TIFF":
        depth = np.uint8 if pixels.dtype == np.uint8 else np.uint16
        return deep_files.tiff(to_depth(_joined(pixels, alpha), depth), icc, exif)
    if form == "PNG" and pixels.dtype != np.uint8:
        return deep_files.png16(to_depth(_joined(pixels, alpha), np.uint16), icc, exif)
    if form == "JPEG" and alpha is not None:
        pixels, alpha = _on_white(pixels, alpha), None
    image = to_pillow(pixels, alpha)
    options: dict[str, Any] = {
        "PNG": {"compress_level": deep_files.DEFLATE_LEVEL},
        "JPEG": {"quality": quality, "subsampling": 0 if quality >= 90 else 2},
        "WEBP": {"lossless": True, "quality": 0, "method": 0, "exact": True}
        if lossless
        else {"quality": quality, "method": 4},
    }[form]
    if exif and not (form == "JPEG" and len(exif) > _JPEG_EXIF_BYTES):
        options["exif"] = exif
    file = io.BytesIO()
    image.save(file, form, icc_profile=icc, **options)
    return file.getvalue()


def _joined(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    return pixels if alpha is None else np.concatenate([pixels, alpha[..., None]], axis=2)


def _on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    colour, opacity = (to_depth(a, np.uint8).astype(np.uint32) for a in (pixels, alpha[..., None]))
    return ((colour * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
