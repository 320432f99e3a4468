"""TIFF in: the full picture of a file, by Pillow where that reads its samples, else by `tiff_samples`."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from deconvdemo import decoded, pillow_reading, tiff_directories, tiff_samples
from deconvdemo.errors import PhotoError
from deconvdemo.resolution import Resolution
from deconvdemo.tiff_directories import Directory

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _ORIENTATION, _XMP, _ICC = 282, 283, 296, 274, 700, 34675
_LAYERS = 37724
_LAYER_KEYS = (b"Layr", b"ryaL", b"Lr16", b"61rL", b"Lr32", b"23rL")
_GEOGRAPHIC = {33550, 33922, 34264, 34735}
_COLORIMETRIC = {301, 318, 319}  # transfer function, white point, primaries
_WRITTEN_BY_PILLOW = {1, 2, 4, 8}  # bits per sample that it reads


def read(stream: BinaryIO, name: str, max_pixels: int | None) -> dict[str, Any]:
    """The fields of a `Photo`. Raises PhotoError for a camera's raw file, and for what nothing here reads."""
    import tifffile

    chain, order = tiff_directories.read(stream)
    stream.seek(0)
    if kind := tiff_directories.raw_kind(chain, stream.read(16)):
        raise PhotoError(f"{name} is a camera's raw file ({kind}): develop it first and export it as TIFF or JPEG")
    photo = tiff_directories.photo_of(chain)
    decoded.refuse_if_too_large(name, *photo.size, max_pixels)
    if photo is not chain[0]:
        stream.seek(0)
        stream = io.BytesIO(tiff_directories.with_first(stream.read(), order, photo.offset))
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        page: Any = file.pages.first
        decoded.refuse_if_too_large(name, page.imagewidth, page.imagelength, max_pixels)
        notes = _notes(page, chain, photo)
        samples = _deep_samples(page, stream, name, photo)
        icc = page.iccprofile
        packet = page.tags.valueof(_XMP)
    tags, first = _tags(stream, photo, chain)
    if samples is None:
        stream.seek(0)
        image = TiffImagePlugin.TiffImageFile(stream, "")
        image.load()  # it turns the pixels upright itself, and forgets which way they lay
        samples, icc = pillow_reading.samples_of(image, icc or first.get(_ICC), name, notes)
        packet = None
        if _ORIENTATION in photo.tags:
            tags.pop(_ORIENTATION, None)
    elif samples.dtype == np.float32:
        notes += _beyond_white(samples)
    block = pillow_reading.descriptive_block(tags, notes)
    xmp = packet if isinstance(packet, bytes | str) else None
    fields = decoded.upright(samples, block, notes, xmp, _resolution(tags))
    return {**fields, "icc": icc or first.get(_ICC), "format": "TIFF"}


def _deep_samples(page: Any, stream: BinaryIO, name: str, photo: Directory) -> np.ndarray | None:
    """None where Pillow is the one to read the page, as it is for 8 bits in many colour spaces."""
    depths = set(photo.values.get(258, (1,)))
    if len(depths) > 1:
        raise PhotoError(f"{name} has channels of different depths, which is not supported: export it as 16-bit RGB")
    if depths <= _WRITTEN_BY_PILLOW and photo.first(339, 1) in (1, 4):
        stream.seek(0)
        try:
            TiffImagePlugin.TiffImageFile(stream, "")
            return None
        except SyntaxError:  # samples in a number or an order that it does not know
            if page.photometric.name not in tiff_samples.COLOURS:
                raise _unsupported(page, name) from None
    return tiff_samples.read(page, stream, name)


def _unsupported(page: Any, name: str) -> PhotoError:
    found = f"a TIFF of {page.samplesperpixel} × {page.bitspersample} bits in {page.photometric.name}"
    return PhotoError(f"{name} is {found}, which is not supported: convert it to RGB")


def _notes(page: Any, chain: list[Directory], photo: Directory) -> list[str]:
    notes = []
    if tiff_directories.further_pictures(chain, photo):
        used = "only its first one is used" if photo is chain[0] else "only the largest is used"
        notes.append(f"TIFF of several pages: {used}")
    if any(directory.mask for directory in chain):
        notes.append("its mask, a page of its own, is left out")
    if number := tiff_samples.extra_channels(page):
        notes.append(
            f"{number} extra channel{'s' if number > 1 else ''} of the TIFF {'were' if number > 1 else 'was'} left out"
        )
    if _LAYERS in photo.tags and _has_layers(page):
        notes.append("its layers are left out: the picture they make together is used")
    if _GEOGRAPHIC & photo.tags:
        notes.append("its geographic reference (GeoTIFF) is left out")
    if _COLORIMETRIC & photo.tags and _ICC not in photo.tags and page.photometric.name == "RGB":
        notes.append("its white point and primaries are left out: colours may differ")
    return notes


def _has_layers(page: Any) -> bool:
    tag = page.tags.get(_LAYERS)
    file = page.parent.filehandle
    file.seek(tag.valueoffset)
    start = file.read(min(1 << 16, tag.count))
    return any(key in start for key in _LAYER_KEYS)


def _beyond_white(samples: np.ndarray) -> list[str]:
    colours = samples[..., : 3 if samples.shape[2] > 2 else 1]
    low, high = float(colours.min()), float(colours.max())
    if low >= 0 and high <= 1:
        return []
    return [
        f"its values from {low:.3g} to {high:.3g} are clipped to 0…1 where the result is written: files hold 16 bits"
    ]


def _tags(stream: BinaryIO, photo: Directory, chain: list[Directory]) -> tuple[Image.Exif, Image.Exif]:
    """The photo's own tags, with those of the file's first directory where it has none; and the latter."""
    tags, first = Image.Exif(), Image.Exif()
    try:
        stream.seek(0)
        tags.load_from_fp(stream)
        if photo is not chain[0]:
            stream.seek(0)
            first.load_from_fp(stream, chain[0].offset)
            for tag in first:
                if tag not in tags:
                    tags[tag] = first[tag]
    except Exception:  # noqa: BLE001 - Pillow raises anything on odd tags, and no pixel depends on them
        return Image.Exif(), Image.Exif()
    return tags, first


def _resolution(tags: Image.Exif) -> Resolution | None:
    try:
        across, down = float(tags[_X_RESOLUTION]), float(tags[_Y_RESOLUTION])
        return Resolution.of_tiff(int(tags.get(_RESOLUTION_UNIT, 2)), across, down)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
