"""EXIF as raw bytes: an EXIF block is a small TIFF file behind the prefix `Exif\\0\\0`.

Blocks are patched in place rather than parsed and written anew, so that maker notes and odd tags survive.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator

from PIL import Image

from deconvdemo.image.resolution import Resolution

PREFIX = b"Exif\0\0"
_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 274, 282, 283, 296
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_SIZE = ({256: 0, 257: 1}, {40962: 0, 40963: 1})  # width and height in the first directory, and in EXIF's own
_EXIF_DIRECTORY, _GPS_DIRECTORY, _INTEROP_POINTER = 34665, 34853, 40965
# what a person or a camera wrote: description, make, model, software, date, artist, host, copyright
_DESCRIPTIVE = (270, 271, 272, 305, 306, 315, 316, 33432)


def directory(block: bytes | bytearray) -> tuple[str, dict[int, int]]:
    """Byte order (`<` or `>`) of a TIFF block and {tag: offset of its 12-byte entry} of its first directory.

    Raises ValueError for a block that is not TIFF or whose first directory does not lie within it.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    if order is None or len(block) < 8:
        raise ValueError("not a TIFF block")
    (start,) = struct.unpack_from(order + "I", block, 4)
    return order, _entries(block, order, start)


def _entries(block: bytes | bytearray, order: str, start: int) -> dict[int, int]:
    if start + 2 > len(block):
        raise ValueError("the directory lies outside the block")
    (count,) = struct.unpack_from(order + "H", block, start)
    if start + 2 + 12 * count > len(block):
        raise ValueError("the directory is cut off")
    offsets = range(start + 2, start + 2 + 12 * count, 12)
    return {struct.unpack_from(order + "H", block, at)[0]: at for at in offsets}


def upright(exif: bytes, otherwise: int = 1) -> tuple[bytes, int]:
    """The block with orientation 1 and without its thumbnail, and the orientation (1…8) that it had.

    `otherwise` is the orientation where the block names none. The thumbnail is unlinked because it shows the
    picture before it was turned and restored. Raises ValueError for a damaged block.
    """
    block = bytearray(exif.removeprefix(PREFIX))
    order, offsets = directory(block)
    orientation = otherwise
    if at := offsets.get(_ORIENTATION):
        kind, _, value = struct.unpack_from(order + "HI4s", block, at + 2)
        (orientation,) = struct.unpack(*((order + "H", value[:2]) if kind == _SHORT else (order + "I", value)))
        struct.pack_into(order + "HHIHH", block, at, _ORIENTATION, _SHORT, 1, 1, 0)
    (start,) = struct.unpack_from(order + "I", block, 4)
    link_to_thumbnail = start + 2 + 12 * struct.unpack_from(order + "H", block, start)[0]
    block[link_to_thumbnail : link_to_thumbnail + 4] = bytes(len(block[link_to_thumbnail : link_to_thumbnail + 4]))
    orientation = orientation if 1 <= orientation <= 8 else 1
    across, down = offsets.get(_X_RESOLUTION), offsets.get(_Y_RESOLUTION)
    if orientation >= 5 and across and down:  # turned by 90°
        block[across + 2 : across + 12], block[down + 2 : down + 12] = (
            block[down + 2 : down + 12],
            block[across + 2 : across + 12],
        )
    return PREFIX + bytes(block), orientation


def sized(exif: bytes, width: int, height: int) -> bytes:
    """The block with the picture's size in the tags that state one; those that are not there stay away."""
    block = bytearray(exif.removeprefix(PREFIX))
    order, offsets = directory(block)
    directories = [offsets]
    if at := offsets.get(_EXIF_DIRECTORY):
        with contextlib.suppress(ValueError):  # a pointer to nowhere states no size
            directories.append(_entries(block, order, struct.unpack_from(order + "I", block, at + 8)[0]))
    for entries, tags in zip(directories, _SIZE, strict=False):
        for tag, which in tags.items():
            if tag in entries:
                struct.pack_into(order + "HHII", block, entries[tag], tag, _LONG, 1, (width, height)[which])
    return PREFIX + bytes(block)


def resolution(exif: bytes) -> Resolution | None:
    """What the block says of it. Raises ValueError for a damaged block."""
    block = exif.removeprefix(PREFIX)
    order, offsets = directory(block)

    def figures() -> Iterator[float]:
        for tag in (_X_RESOLUTION, _Y_RESOLUTION):
            kind, count, place = struct.unpack_from(order + "HII", block, offsets[tag] + 2)
            if kind != _RATIONAL or count != 1 or place + 8 > len(block):
                raise ValueError("a resolution that is no fraction")
            numerator, denominator = struct.unpack_from(order + "II", block, place)
            yield numerator / denominator if denominator else 0.0

    if _X_RESOLUTION not in offsets or _Y_RESOLUTION not in offsets:
        return None
    at = offsets.get(_RESOLUTION_UNIT)
    unit = struct.unpack_from(order + "H", block, at + 8)[0] if at else 2  # inches where nothing is said
    return Resolution.of_tiff(unit, *figures())


def orientation_in_xmp(xmp: bytes | str | None) -> int:
    """1…8, as tiff:Orientation of an XMP packet says; 1 where it says nothing."""
    text = xmp.encode(errors="replace") if isinstance(xmp, str) else xmp or b""
    found = re.search(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\b", text)
    return int(found[1]) if found else 1


def descriptive(tags: Image.Exif) -> bytes | None:
    """The block of what a file's tags tell about its picture, orientation included, but not about storage."""
    kept = Image.Exif()
    for tag in (_ORIENTATION, *_DESCRIPTIVE):
        if tag in tags:
            kept[tag] = tags[tag]
    for tag in (_EXIF_DIRECTORY, _GPS_DIRECTORY):
        if inner := dict(tags.get_ifd(tag)):
            inner.pop(_INTEROP_POINTER, None)  # an offset into the old file
            kept[tag] = inner
    return kept.tobytes() if len(kept) else None
