"""Photos out: pixels, alpha and what came with them → the bytes of a PNG, JPEG, WebP or TIFF file."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from deconvdemo.errors import PhotoError
from deconvdemo.image.formats import exif as exif_block
from deconvdemo.image.formats import high_bit_depth, png_chunks
from deconvdemo.image.formats.resolution import Resolution

SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
FORMATS = {suffix: form for form, suffixes in SUFFIXES.items() for suffix in suffixes}
LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}  # in pixels
_JPEG_EXIF_BYTES = 65533  # one JPEG marker
_HDR_TRANSFERS = (b"\x10", b"\x12")  # PQ and HLG
_SRGB_GAMMA = struct.pack(">I", 45455)
_SRGB_PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_CICP = bytes([1, 13, 0, 1])


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


@dataclass(frozen=True)
class Beside:
    """What a file holds beside its pixels."""

    icc: bytes | None = None
    exif: bytes | None = None
    resolution: Resolution | None = None
    colour: tuple[png_chunks.Chunk, ...] = ()  # PNG's own chunks about colours
    texts: tuple[png_chunks.Chunk, ...] = ()  # and its texts


def is_hdr(colour: tuple[png_chunks.Chunk, ...]) -> bool:
    return any(kind == b"cICP" and data[1:2] in _HDR_TRANSFERS for kind, data in colour)


def needs_png(colour: tuple[png_chunks.Chunk, ...], icc: bytes | None) -> bool:
    """Whether PNG's chunks about colours say more than a profile, or than what all formats mean without a word."""
    usual = {b"sRGB": None, b"gAMA": _SRGB_GAMMA, b"cHRM": _SRGB_PRIMARIES, b"cICP": _SRGB_CICP}
    is_srgb = all(kind in usual and usual[kind] in (None, data) for kind, data in colour)
    return is_hdr(colour) or (icc is None and not is_srgb)


def encode(
    form: str, pixels: np.ndarray, alpha: np.ndarray | None, beside: Beside, quality: int, lossless: bool
) -> bytes:
    """The bytes of a file. PNG and TIFF: 8 bits from uint8, else 16. JPEG and WebP: 8 bits.

    JPEG has no alpha: the picture is laid on white. JPEG takes EXIF up to 64 KB; a longer block is left out.
    `lossless` and the fastest effort are WebP's; its `quality`, and JPEG's, are for the lossy ones.
    Raises PhotoError for a format that is not written, or that does not hold a picture of this size or range.
    """
    if form not in SUFFIXES:
        raise PhotoError(f"{form} is not a format that is written: use one of {', '.join(SUFFIXES)}")
    height, width = pixels.shape[:2]
    if (longest := LONGEST_SIDE.get(form, 1 << 31)) < max(height, width):
        raise PhotoError(f"the photo is {width}×{height}, but {form} holds at most {longest} a side: save it as PNG")
    if form != "PNG" and is_hdr(beside.colour):
        raise PhotoError(f"the photo is HDR (PQ or HLG), which {form} would show as another picture: save it as PNG")
    exif = _sized(beside.exif, width, height)
    if form == "TIFF":
        depth = np.uint8 if pixels.dtype == np.uint8 else np.uint16
        return high_bit_depth.tiff(to_depth(_joined(pixels, alpha), depth), beside.icc, exif, beside.resolution)
    if form == "PNG":
        head = png_chunks.head(beside.icc, exif, beside.resolution, beside.colour, beside.texts)
        if pixels.dtype != np.uint8:
            return high_bit_depth.png16(to_depth(_joined(pixels, alpha), np.uint16), head)
        plain = _by_pillow(to_pillow(pixels, alpha), form, compress_level=high_bit_depth.DEFLATE_LEVEL)
        return png_chunks.with_head(plain, head)
    if form == "JPEG" and alpha is not None:
        pixels, alpha = _on_white(pixels, alpha), None
    options: dict[str, Any] = {
        "JPEG": {"quality": quality, "subsampling": 0 if quality >= 90 else 2},
        "WEBP": {"lossless": True, "quality": 0, "method": 0, "exact": True}
        if lossless
        else {"quality": quality, "method": 4},
    }[form]
    if exif and not (form == "JPEG" and len(exif) > _JPEG_EXIF_BYTES):
        options["exif"] = exif
    data = _by_pillow(to_pillow(pixels, alpha), form, icc_profile=beside.icc, **options)
    return _with_jfif(data, beside.resolution) if form == "JPEG" and beside.resolution else data


def lost(form: str, pixels: np.ndarray, alpha: np.ndarray | None, beside: Beside) -> Iterator[str]:
    """What a file of this format would not hold, each as a note."""
    if form in ("JPEG", "WEBP") and pixels.dtype != np.uint8:
        yield f"{form} holds 8 bits: what the photo has beyond them is left out"
    if form == "JPEG" and alpha is not None:
        yield "JPEG has no transparency: the photo is laid on white"
    if form == "JPEG" and beside.exif and len(beside.exif) > _JPEG_EXIF_BYTES:
        yield "the EXIF block is left out: it is larger than the 64 KB that JPEG holds"
    if form == "WEBP" and beside.resolution and not _says_resolution(beside.exif):
        yield f"the resolution ({beside.resolution}) is left out: WEBP has no place for it"
    if form != "PNG" and needs_png(beside.colour, beside.icc):
        kinds = ", ".join(kind.decode() for kind, _ in beside.colour)
        yield f"colours may differ: {form} has no place for the photo's {kinds}, but PNG has"
    if form != "PNG" and beside.texts:
        names = png_chunks.keywords(beside.texts)
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        yield f"the photo's text ({shown}) is left out: only PNG keeps it"


def _sized(exif: bytes | None, width: int, height: int) -> bytes | None:
    try:
        return exif and exif_block.sized(exif, width, height)
    except (ValueError, struct.error):
        return exif  # it states no size that could be found


def _says_resolution(exif: bytes | None) -> bool:
    try:
        return exif is not None and exif_block.resolution(exif) is not None
    except (ValueError, struct.error):
        return False


def _by_pillow(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _with_jfif(data: bytes, resolution: Resolution) -> bytes:
    """Pillow writes a JFIF header, but no resolution that is only a ratio."""
    if data[6:11] != b"JFIF\0":
        return data
    return data[:13] + resolution.jfif() + data[18:]


def _joined(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    return pixels if alpha is None else np.concatenate([pixels, alpha[..., None]], axis=2)


def _on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    colour, opacity = (to_depth(a, np.uint8).astype(np.uint32) for a in (pixels, alpha[..., None]))
    return ((colour * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
