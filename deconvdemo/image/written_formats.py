"""The formats that are written: what each holds of a photo, and which gives back what came in."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from deconvdemo.image.formats import exif as exif_block
from deconvdemo.image.formats import png_chunks
from deconvdemo.image.photo import Photo

SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
FORMATS = {suffix: form for form, suffixes in SUFFIXES.items() for suffix in suffixes}
LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}  # in pixels
JPEG_EXIF_BYTES = 65533  # one JPEG marker
_HDR_TRANSFERS = (b"\x10", b"\x12")  # PQ and HLG
_SRGB_GAMMA = struct.pack(">I", 45455)
_SRGB_PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_CICP = bytes([1, 13, 0, 1])


def download_format(photo: Photo) -> str:
    """The format that gives back what came in: PNG, JPEG, WEBP and TIFF stay, BMP and GIF become PNG.

    HEIC and AVIF become JPEG: they were lossy already, and a photo should open everywhere, not grow tenfold.
    A photo that its format cannot hold (transparency in JPEG, sides too long, HDR) becomes PNG.
    """
    form = {"HEIF": "JPEG", "AVIF": "JPEG"}.get(photo.format, photo.format)
    too_long = max(photo.height, photo.width) > LONGEST_SIDE.get(form, 1 << 31)
    if form not in SUFFIXES or too_long or _needs_png(photo) or (form == "JPEG" and photo.alpha is not None):
        return "PNG"
    return form


def download_suffix(photo: Photo) -> str:
    """The file name's ending for `download_format`, such as ".png"."""
    return SUFFIXES[download_format(photo)][0]


def lost_in(photo: Photo, form: str) -> tuple[str, ...]:
    """Notes on what a file of this format, or with this suffix, does not hold of the photo."""
    return tuple(_lost(photo, FORMATS.get(form.lower(), form)))


def is_hdr(photo: Photo) -> bool:
    return any(kind == b"cICP" and data[1:2] in _HDR_TRANSFERS for kind, data in photo.colour)


def _needs_png(photo: Photo) -> bool:
    """Whether PNG's chunks about colours say more than a profile, or than what all formats mean without a word."""
    usual = {b"sRGB": None, b"gAMA": _SRGB_GAMMA, b"cHRM": _SRGB_PRIMARIES, b"cICP": _SRGB_CICP}
    is_srgb = all(kind in usual and usual[kind] in (None, data) for kind, data in photo.colour)
    return is_hdr(photo) or (photo.icc is None and not is_srgb)


def _lost(photo: Photo, form: str) -> Iterator[str]:
    if form in ("JPEG", "WEBP") and photo.pixels.dtype != np.uint8:
        yield f"{form} holds 8 bits: what the photo has beyond them is left out"
    if form == "JPEG" and photo.alpha is not None:
        yield "JPEG has no transparency: the photo is laid on white"
    if form == "JPEG" and photo.exif and len(photo.exif) > JPEG_EXIF_BYTES:
        yield "the EXIF block is left out: it is larger than the 64 KB that JPEG holds"
    if form == "WEBP" and photo.resolution and not _says_resolution(photo.exif):
        yield f"the resolution ({photo.resolution}) is left out: WEBP has no place for it"
    if form != "PNG" and _needs_png(photo):
        kinds = ", ".join(kind.decode() for kind, _ in photo.colour)
        yield f"colours may differ: {form} has no place for the photo's {kinds}, but PNG has"
    if form != "PNG" and photo.texts:
        names = png_chunks.keywords(photo.texts)
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        yield f"the photo's text ({shown}) is left out: only PNG keeps it"


def _says_resolution(exif: bytes | None) -> bool:
    try:
        return exif is not None and exif_block.resolution(exif) is not None
    except (ValueError, struct.error):
        return False
