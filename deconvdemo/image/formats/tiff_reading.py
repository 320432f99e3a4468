"""TIFF in: the full picture of a file, by Pillow where that reads its samples, else by `tiff_samples`."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from deconvdemo.errors import PhotoError
from deconvdemo.image.formats import decoded, pillow_reading, tiff_directories, tiff_samples
from deconvdemo.image.formats.tiff_directories import Directory
from deconvdemo.image.photo import Photo
from deconvdemo.image.resolution import Resolution

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _ORIENTATION, _XMP, _ICC = 282, 283, 296, 274, 700, 34675
_BITS, _SAMPLE_FORMAT = 258, 339
_BIG_ENDIAN_BIGTIFF = b"MM\0+"
_USUAL_COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946}  # which Pillow always reads
_MOST_PIECES = 65_536  # strips or tiles: each costs some work, however small it is
_LARGEST_PADDING = 1 << 26  # bytes of tiles that reach beyond the picture
_LAYERS = 37724
_LAYER_KEYS = (b"Layr", b"ryaL", b"Lr16", b"61rL", b"Lr32", b"23rL")
_GEOGRAPHIC = {33550, 33922, 34264, 34735}
_COLORIMETRIC = {301, 318, 319}  # transfer function, white point, primaries


def read(stream: BinaryIO, name: str, max_pixels: int | None) -> Photo:
    """Raises PhotoError for a camera's raw file, and for what nothing here reads."""
    import tifffile

    chain = tiff_directories.read(stream)
    stream.seek(0)
    header = stream.read(16)
    if (kind := tiff_directories.raw_kind(chain, header)) is not None:
        raise PhotoError(f"{name} is a camera's raw file{kind}: develop it first and export it as TIFF or JPEG")
    photo = tiff_directories.photo_of(chain)
    decoded.refuse_if_too_large(name, *photo.size, max_pixels)
    _refuse_costly_pieces(photo, name)
    if len(chain) > 1 or photo is not chain[0]:
        stream = tiff_directories.alone(stream, photo)
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        page: Any = file.pages.first
        decoded.refuse_if_too_large(name, page.imagewidth, page.imagelength, max_pixels)
        notes = _notes(page, chain, photo)
        by_pillow = _is_for_pillow(page, stream, name, photo)
        samples = None if by_pillow else tiff_samples.read(page, stream, name)
        icc = page.iccprofile
        packet = page.tags.valueof(_XMP)
    own = _tags(stream, header, photo)
    first = own if photo is chain[0] else _tags(stream, header, chain[0])
    tags, icc = _with_those_of(first, own), icc or first.get(_ICC)
    if samples is None:
        stream.seek(0)
        image = TiffImagePlugin.TiffImageFile(stream, "")
        try:
            image.load()  # it turns the pixels upright itself, and forgets which way they lay
        except OSError as error:
            if page.compression in _USUAL_COMPRESSIONS:
                raise
            raise PhotoError(
                f"{name} has a TIFF compression ({tiff_samples.called(page.compression)}) that is not supported here: "
                "export it uncompressed"
            ) from error
        samples, icc = pillow_reading.samples_of(image, icc, name, notes)
        packet = None
        if _ORIENTATION in photo.tags and _ORIENTATION in tags:
            del tags[_ORIENTATION]
    elif samples.dtype == np.float32:
        notes += _beyond_white(samples)
    block = pillow_reading.descriptive_block(tags, notes)
    xmp = packet if isinstance(packet, bytes | str) else None
    return decoded.upright(samples, block, notes, xmp, _resolution(tags), icc=icc, format="TIFF")


def _refuse_costly_pieces(photo: Directory, name: str) -> None:
    if photo.pieces > _MOST_PIECES:
        raise PhotoError(
            f"{name} is a TIFF of {photo.pieces} strips or tiles, but at most {_MOST_PIECES} are taken: "
            "export it with larger ones"
        )
    width, height = photo.size
    if photo.stored_bytes > 4 * width * height * max(1, photo.samples) * photo.depth // 8 + _LARGEST_PADDING:
        raise PhotoError(
            f"{name} is a TIFF whose tiles are far larger than its {width}×{height} pixels: export it with smaller ones"
        )


def _is_for_pillow(page: Any, stream: BinaryIO, name: str, photo: Directory) -> bool:
    """Whether Pillow is the one to read the page, as it is for 8 bits in many colour spaces and compressions."""
    depths = set(photo.values.get(_BITS, (1,)))
    if len(depths) > 1:
        raise PhotoError(f"{name} has channels of different depths, which is not supported: export it as 16-bit RGB")
    if not depths <= {1, 2, 4, 8} or photo.first(_SAMPLE_FORMAT, 1) not in (1, 4):
        return False
    try:
        stream.seek(0)
        if stream.read(4) != _BIG_ENDIAN_BIGTIFF:  # which it does not know
            stream.seek(0)
            TiffImagePlugin.TiffImageFile(stream, "")
            return True
    except SyntaxError:
        pass  # samples in a number or an order that it does not know
    if tiff_samples.called(page.photometric) in tiff_samples.COLOURS:
        return False
    found = f"a TIFF of {page.samplesperpixel} × {page.bitspersample} bits in {tiff_samples.called(page.photometric)}"
    raise PhotoError(f"{name} is {found}, which is not supported: convert it to RGB")


def _notes(page: Any, chain: list[Directory], photo: Directory) -> list[str]:
    notes = []
    if tiff_directories.further_pictures(chain, photo):
        notes.append(f"TIFF of several pages: only its first {'' if photo is chain[0] else 'full '}one is used")
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
    if _COLORIMETRIC & photo.tags and _ICC not in photo.tags and tiff_samples.called(page.photometric) == "RGB":
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


def _tags(stream: BinaryIO, header: bytes, directory: Directory) -> Image.Exif:
    order, tags = tiff_directories.layout(header), Image.Exif()
    tags.endian, tags.bigtiff = order
    try:
        tags.load_from_fp(stream, directory.offset)
    except Exception:  # noqa: BLE001 - Pillow raises anything on odd tags, and no pixel depends on them
        return Image.Exif()
    return tags


def _with_those_of(first: Image.Exif, own: Image.Exif) -> Image.Exif:
    """A photo's own tags, and those of the file's first directory where it has none."""
    for tag in first:
        if tag not in own:
            own[tag] = first[tag]
    return own


def _resolution(tags: Image.Exif) -> Resolution | None:
    try:
        across, down = float(tags[_X_RESOLUTION]), float(tags[_Y_RESOLUTION])
        return Resolution.of_tiff(int(tags.get(_RESOLUTION_UNIT, 2)), across, down)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
