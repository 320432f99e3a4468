"""EXIF as raw bytes: an EXIF block is a small TIFF file behind the prefix `Exif\\0\\0`.

Blocks are patched in place rather than parsed and written anew, so that maker notes and odd tags survive.
"""

from __future__ import annotations

import struct

from PIL import Image

PREFIX = b"Exif\0\0"
_ORIENTATION, _SHORT = 274, 3
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
    if start + 2 > len(block):
        raise ValueError("the directory lies outside the block")
    (count,) = struct.unpack_from(order + "H", block, start)
    if start + 2 + 12 * count > len(block):
        raise ValueError("the directory is cut off")
    offsets = range(start + 2, start + 2 + 12 * count, 12)
    return order, {struct.unpack_from(order + "H", block, at)[0]: at for at in offsets}


def upright(exif: bytes) -> tuple[bytes, int]:
    """The block with orientation 1 and without its thumbnail, and the orientation (1…8) that it had.

    The thumbnail is unlinked because it shows the picture before it was turned and restored.
    Raises ValueError for a damaged block.
    """
    block = bytearray(exif.removeprefix(PREFIX))
    order, offsets = directory(block)
    orientation = 1
    if at := offsets.get(_ORIENTATION):
        kind, _, value = struct.unpack_from(order + "HI4s", block, at + 2)
        (orientation,) = struct.unpack(*((order + "H", value[:2]) if kind == _SHORT else (order + "I", value)))
        struct.pack_into(order + "HHIHH", block, at, _ORIENTATION, _SHORT, 1, 1, 0)
    (start,) = struct.unpack_from(order + "I", block, 4)
    link_to_thumbnail = start + 2 + 12 * struct.unpack_from(order + "H", block, start)[0]
    block[link_to_thumbnail : link_to_thumbnail + 4] = bytes(len(block[link_to_thumbnail : link_to_thumbnail + 4]))
    return PREFIX + bytes(block), orientation if 1 <= orientation <= 8 else 1


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
