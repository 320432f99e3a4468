"""How large a file says that its photo is: from its first bytes, without any decoder, for whoever has to plan.

Nothing is refused here, and nothing believed: `photo_reading` judges the file. What cannot be told is None.
"""

from __future__ import annotations

import os
import struct
from io import BytesIO
from typing import BinaryIO, NamedTuple

from deconvdemo import photo_reading, png_chunks

_PNG_CHANNELS = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}  # of the types of colour; a palette may have transparency
_HEAD = 262_144  # bytes: what stands before a photo's pixels is rarely longer
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_SAMPLES = 256, 257, 258, 277
_SHORT = 3
_DIRECTORIES, _ENTRIES = 64, 4096  # with more of them it is not looked at
_MARKERS = 1000  # and so with more of these
_NO_FRAMES = {0xC4, 0xC8, 0xCC}  # JPEG's markers among those of frames that are none


class Stated(NamedTuple):
    width: int
    height: int
    bytes_a_pixel: int = 4  # once decoded

    @property
    def pixels(self) -> int:
        return self.width * self.height


NO_PHOTO = Stated(0, 0, 0)


def stated(source: str | os.PathLike | bytes) -> Stated | None:
    """Of a path or a file's bytes; NO_PHOTO for a file that is not of a photo's kind."""
    try:
        with BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as stream:
            found = _stated(stream)
    except (OSError, ValueError, struct.error, IndexError):
        return None
    return found if found == NO_PHOTO or (found and found.width > 0 and found.height > 0) else None


def _stated(stream: BinaryIO) -> Stated | None:
    head = stream.read(512)
    form = photo_reading.kind_of(head)
    if form is None:
        return NO_PHOTO
    if form == "PNG":
        width, height, bits, colour = png_chunks.header(head)
        return Stated(width, height, _PNG_CHANNELS.get(colour, 4) * max(1, bits // 8))
    if form == "GIF":
        return Stated(*struct.unpack("<HH", head[6:10]))
    if form == "BMP":
        width, height = struct.unpack("<ii", head[18:26])
        return Stated(abs(width), abs(height))
    if form == "WEBP":
        return _of_webp(head)
    if form == "JPEG":
        return _of_jpeg(stream)
    if form == "TIFF":
        return _of_tiff(stream, head)
    if form in ("HEIF", "AVIF"):
        return _of_boxes(head + stream.read(_HEAD))
    return None


def _of_jpeg(stream: BinaryIO) -> Stated | None:
    """From its frame's marker, which stands behind as many others as a camera likes."""
    stream.seek(2)
    for _ in range(_MARKERS):
        marker = stream.read(4)
        if len(marker) < 4 or marker[0] != 0xFF:
            break
        length = int.from_bytes(marker[2:], "big")
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in _NO_FRAMES:
            _, height, width, channels = struct.unpack(">BHHB", stream.read(6))
            return Stated(width, height, max(1, channels))
        stream.seek(max(0, length - 2), os.SEEK_CUR)
    return None


def _of_webp(head: bytes) -> Stated:
    if head[12:16] == b"VP8X":
        return Stated(*(1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27)))
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return Stated(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    return Stated(*(int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28)))


def _of_tiff(stream: BinaryIO, head: bytes) -> Stated | None:
    """The largest picture of its directories: which of them is the photo, its reader decides."""
    order = "<" if head[:2] == b"II" else ">"
    big = b"\x2b" in head[2:4]
    word, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    (offset,) = struct.unpack_from(order + word, head, 8 if big else 4)
    found: list[Stated] = []
    while offset and len(found) < _DIRECTORIES:
        stream.seek(offset)
        (entries,) = struct.unpack(order + count, stream.read(struct.calcsize(count)))
        if entries > _ENTRIES:
            return None
        fields = {_TIFF_BITS: 8, _TIFF_SAMPLES: 1}
        for _ in range(entries):
            tag, kind, values, value = struct.unpack(f"{order}HH{word}{struct.calcsize(word)}s", stream.read(entry))
            inline = values * 2 <= len(value) or tag != _TIFF_BITS
            fields[tag] = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), value)[0] if inline else 16
        size = fields[_TIFF_SAMPLES] * max(1, fields[_TIFF_BITS] // 8)
        found.append(Stated(fields.get(_TIFF_WIDTH, 0), fields.get(_TIFF_HEIGHT, 0), size))
        (offset,) = struct.unpack(order + word, stream.read(struct.calcsize(word)))
    return None if offset else max(found, key=lambda one: one.pixels * one.bytes_a_pixel, default=None)


def _of_boxes(head: bytes) -> Stated | None:
    """The largest of the pictures that are named, whose tiles and thumbnails are smaller."""
    sizes, at = [], head.find(b"ispe")
    while 0 <= at <= len(head) - 16:
        sizes.append(struct.unpack(">II", head[at + 8 : at + 16]))
        at = head.find(b"ispe", at + 4)
    return Stated(*max(sizes, key=lambda size: size[0] * size[1])) if sizes else None
