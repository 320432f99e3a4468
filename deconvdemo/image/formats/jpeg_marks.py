"""JPEG's marks (ITU-T T.81): whether a file without its end holds every pixel, and what lies behind the picture."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, JpegImagePlugin

_END = b"\xff\xd9"
_NEXT_MARK = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")  # no stuffed zero, no restart
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
_PROGRESSIVE = {0xC2, 0xCA}
_UNUSUAL = {0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical", 0xCB: "lossless"} | {
    0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "hierarchical", 0xF7: "JPEG-LS"
}  # fmt: skip
# what may follow a file's last byte: nothing (which decoders take for zeros), ones, both in turn, and restarts
_CONTINUATIONS = (
    b"",
    b"\xfe" * 2000,
    b"\xaa\x5a" * 1000,
    b"".join(b"\x6b\xc3\x95" * 33 + b"\xff" + bytes([0xD0 + i % 8]) for i in range(20)),
)


_MOST_STEPS = 50_000  # bytes of marks, and of fill between them, before the first scan; cameras write some dozens


@dataclass(frozen=True)
class Head:
    """What stands before the first scan. `sequence`: that scan is not the only one."""

    width: int
    height: int
    samples: int
    sequence: bool


def head(stream: BinaryIO) -> Head | None:
    """Of an open file; None where there is no picture.

    Raises ValueError where more stands before it than any camera writes, and struct.error where the file ends.
    """
    stream.seek(2)
    found: tuple[int, int, int, bool] | None = None
    for mark in _marks(stream):
        if 0xD0 <= mark <= 0xD8 or mark == 0x01:
            continue
        (length,) = struct.unpack(">H", stream.read(2))
        if mark in _FRAMES:
            height, width, samples = struct.unpack(">xHHB", stream.read(6))
            found, length = (width, height, samples, mark in _PROGRESSIVE), length - 6
        elif mark == 0xDA:
            (in_scan,) = struct.unpack("B", stream.read(1))
            return None if found is None else Head(*found[:3], found[3] or in_scan < found[2])
        stream.seek(max(0, length - 2), io.SEEK_CUR)
    return None


def _marks(stream: BinaryIO) -> Iterator[int]:
    """Each mark from here on, with the stream behind it; who asks for the next one has passed over the segment."""
    before = b""
    for _ in range(_MOST_STEPS):
        byte = stream.read(1)
        if not byte:
            return
        if before == b"\xff" and byte not in (b"\x00", b"\xff"):
            yield byte[0]
            byte = b""
        before = byte
    raise ValueError("too much before the picture")


def scans(data: bytes, most: int) -> int:
    """How many scans a file has; no further than `most` is counted."""
    count = 0
    for mark, _ in _segments(data):
        count += mark == 0xDA
        if count >= most:
            break
    return count


def unusual(data: bytes) -> str | None:
    """What kind of JPEG this is, if it is one that hardly any program reads."""
    for mark, segment in _segments(data):
        if mark in _FRAMES:
            if mark not in _UNUSUAL and segment[:1] not in (b"\x08", b""):
                return f"{segment[0]}-bit"
            return _UNUSUAL.get(mark)
    return None


def whole_without_end(data: bytes) -> Image.Image | None:
    """The loaded image of a file without its end mark, if every pixel is there.

    That it is, is told by what does not matter: all scans have begun, and the pixels are the same whatever
    would follow the last byte.
    """
    if not _every_scan_has_begun(data):
        return None
    data = data.rstrip(b"\xff")
    whole: Image.Image | None = None
    pixels = np.empty(0)
    for continuation in _CONTINUATIONS:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data + continuation + _END), "")
        try:
            image.load()
        except OSError:
            return None
        if whole is None:  # no more than two are held at once: a photo may be large
            whole, pixels = image, np.asarray(image)
        elif not np.array_equal(pixels, np.asarray(image)):
            return None
    return whole


def left_out(image: Image.Image) -> list[str]:
    """Notes on what an opened JPEG holds beside its picture, which is not restored."""
    notes = []
    xmp = image.info.get("xmp") or b""
    xmp = xmp.encode(errors="replace") if isinstance(xmp, str) else xmp
    segments = getattr(image, "applist", [])
    gain_map = b"hdrgm:Version" in xmp or b'"GainMap"' in xmp or b"HDRGainMap" in xmp
    gain_map = gain_map or any(content.startswith(b"urn:iso:std:iso:ts:21496:-1") for _, content in segments)
    if gain_map:
        notes.append("its HDR gain map is left out: the result has the standard range of brightness")
    others = _further_pictures(image)
    if others > gain_map:
        notes.append(f"JPEG of {others + 1} pictures: only its first one is used")
    if b"GDepth:" in xmp or b'"Depth"' in xmp or b"DepthMap" in xmp:
        notes.append("its depth map is left out")
    if b"MotionPhoto" in xmp or b"MicroVideo" in xmp:
        notes.append("motion photo: its video is left out")
    return notes


def _further_pictures(image: Image.Image) -> int:
    """How many the index of an MPO file names beside the first, previews not counted."""
    try:
        index = image._getmp() if "mp" in image.info else None  # type: ignore[attr-defined]
        kinds = [entry["Attribute"]["MPType"] for entry in index[0xB002]] if index else []
    except Exception:  # noqa: BLE001 - the index is another TIFF block, and Pillow raises anything on odd ones
        return 0
    return sum("Thumbnail" not in str(kind) for kind in kinds[1:])


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(mark, the segment behind its length) of each mark, over the entropy-coded data."""
    at = 2
    while found := _NEXT_MARK.search(data, at):
        mark, at = found[0][-1], found.end()
        if mark in (0x01, 0xD8):
            continue
        if mark == 0xD9 or at + 2 > len(data):
            return
        (length,) = struct.unpack_from(">H", data, at)
        yield mark, data[at + 2 : at + length]
        if at + length > len(data):
            return
        at += length


def _every_scan_has_begun(data: bytes) -> bool:
    components: dict[int, list[int | None]] = {}  # its coefficients: the lowest bit that a scan has brought
    progressive = False
    for mark, segment in _segments(data):
        if mark in _FRAMES and len(segment) >= 6:
            progressive = mark in _PROGRESSIVE
            components = {segment[at]: [None] * 64 for at in range(6, len(segment), 3)}
        elif mark == 0xDA and len(segment) >= 4 and len(segment) == 4 + 2 * segment[0]:
            first, last, bits = segment[-3:] if progressive else (0, 63, 0)
            for at in range(1, len(segment) - 3, 2):
                if segment[at] in components and last < 64:
                    components[segment[at]][first : last + 1] = [bits & 15] * (last + 1 - first)
    return bool(components) and all(bit == 0 for bits in components.values() for bit in bits)
