"""The chunks of PNG and WebP files: what each is called and where its data lie. What is right, others judge."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_IN_PNG = 300_000  # those of 100 MB are rarely smaller than 8 KB
_MOST_IN_WEBP = 1000


def in_png(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end of its data) of each chunk up to IEND, or to the end of the file; the last may end beyond it.

    ValueError for more chunks than any picture has.
    """
    at, kind = len(PNG_SIGNATURE), b""
    for _ in range(_MOST_IN_PNG):
        if at + 8 > len(data) or kind == b"IEND":
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at + 8, at + 8 + length
        at += length + 12
    raise ValueError("more chunks than any picture has")


def in_webp(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end of its data) of each chunk of an open file to its end, beyond which the last may end.

    ValueError for more chunks than any picture has.
    """
    at = 12
    for _ in range(_MOST_IN_WEBP):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            return
        kind, length = struct.unpack("<4sI", head)
        yield kind, at + 8, at + 8 + length
        at += 8 + length + length % 2
    raise ValueError("more chunks than any picture has")


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join([struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))])
