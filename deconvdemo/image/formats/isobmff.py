"""HEIC's and AVIF's boxes (ISO/IEC 14496-12 and 23008-12): what of a file its decoder does not tell."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AV1 = {b"avif", b"avis"}
_GENERIC = {b"mif1", b"mif2", b"mif3", b"msf1"}
_LARGEST_META = 4_000_000  # of a photo of thousands of tiles some 100 KB
_MOST_BOXES = 10_000  # in one; and properties of one picture
# H.273: what may pass for sRGB; unspecified among them
_USUAL_PRIMARIES, _USUAL_TRANSFERS = {0, 1, 2, 5, 6, 7}, {0, 1, 2, 6, 13, 14, 15}


@dataclass(frozen=True)
class Boxes:
    """What is said of the main picture; 8 bits and no colours where nothing is."""

    depth: int = 8
    cicp: bytes | None = None  # as PNG's cICP has it, where it is not about sRGB
    notes: tuple[str, ...] = ()
    size: tuple[int, int] | None = None  # width and height


def form(head: bytes) -> str | None:
    """ "HEIF" (with HEVC in it) or "AVIF" by a file's first bytes; "" for another kind of the family; None: no such."""
    if head[4:8] != b"ftyp":
        return None
    length = min(max(16, int.from_bytes(head[:4], "big")), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
    if brands[0] not in _HEVC | _AV1 | _GENERIC:
        return None
    if brands[0] in _AV1 or (brands[0] in _GENERIC and _AV1 & set(brands) and not _HEVC & set(brands)):
        return "AVIF"
    return "HEIF" if _HEVC & set(brands) else None


def read(stream: BinaryIO) -> Boxes:
    """Whatever is odd is passed over: the decoder judges the file."""
    try:
        meta = _meta(stream)
        return Boxes() if meta is None else _of_meta(meta)
    except (struct.error, IndexError, ValueError):
        return Boxes()


def _meta(stream: BinaryIO) -> bytes | None:
    stream.seek(0)
    for _ in range(_MOST_BOXES):
        start = stream.read(8)
        if len(start) < 8:
            return None
        length, kind = struct.unpack(">I4s", start)
        begun = 8
        if length == 1:
            (length,), begun = struct.unpack(">Q", stream.read(8)), 16
        if kind == b"meta":
            return stream.read(min(length - begun, _LARGEST_META))
        if length < begun:  # also 0: up to the end of the file
            return None
        stream.seek(length - begun, 1)
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        yield kind, data[at + 8 : at + length]
        at += length


def _of_meta(meta: bytes) -> Boxes:
    inside = dict(_boxes(meta[4:]))
    parts = list(_boxes(inside.get(b"iprp", b"")))
    properties = [box for kind, content in parts if kind == b"ipco" for box in _boxes(content)]
    primary = _number(inside[b"pitm"][4:], 4 if inside[b"pitm"][0] else 2)
    own: dict[bytes, bytes] = {}
    for kind, content in parts:
        if kind == b"ipma":
            for index in _associated(content, primary):
                if 0 < index <= len(properties):
                    name, data = properties[index - 1]
                    own.setdefault(name + data[:4] if name == b"colr" else name, data)
    notes = []
    if b"hdrgainmap" in meta or b"tmap" in meta:
        notes.append("its HDR gain map is left out: the result has the standard range of brightness")
    if any(urn in meta for urn in (b"hevc:2015:auxid:2", b"auxiliary:depth")):
        notes.append("its depth map is left out")
    size = struct.unpack_from(">II", own[b"ispe"], 4) if b"ispe" in own else None
    return Boxes(_depth(own), _cicp(own.get(b"colrnclx")), tuple(notes), size)


def _depth(own: dict[bytes, bytes]) -> int:
    if (pixi := own.get(b"pixi")) and len(pixi) > 5:
        return max(pixi[5:])
    if (av1 := own.get(b"av1C")) and len(av1) > 2:
        return 8 if not av1[2] & 0x40 else 12 if av1[2] & 0x20 else 10
    return 8


def _cicp(nclx: bytes | None) -> bytes | None:
    if nclx is None or len(nclx) < 11:
        return None
    primaries, transfer = struct.unpack_from(">HH", nclx, 4)
    usual = primaries in _USUAL_PRIMARIES and transfer in _USUAL_TRANSFERS
    # the decoder's RGB: no matrix, full range
    return None if usual or max(primaries, transfer) > 255 else bytes([primaries, transfer, 0, 1])


def _associated(content: bytes, item: int) -> list[int]:
    """The numbers, from 1 on, of an item's properties."""
    version, wide = content[0], content[3] & 1
    (count,) = struct.unpack_from(">I", content, 4)
    at, id_bytes, each = 8, 4 if version else 2, 2 if wide else 1
    for _ in range(min(count, _MOST_BOXES)):
        found, number = _number(content[at : at + id_bytes], id_bytes), content[at + id_bytes]
        at += id_bytes + 1
        if found == item:
            mask = 0x7FFF if wide else 0x7F
            return [_number(content[at + each * i : at + each * (i + 1)], each) & mask for i in range(number)]
        at += each * number
    return []


def _number(data: bytes, length: int) -> int:
    return int.from_bytes(data[:length], "big")
