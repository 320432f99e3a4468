"""What a child answers: a photo, as JSON that says where its bytes lie in one block of memory.

The child decodes hostile files, so it is not trusted either: nothing is unpickled, and each length, shape and type is
checked before it is used.
"""

from __future__ import annotations

import itertools
import json
import math
import socket
import struct
import time
from typing import Any

import numpy as np

from deconvdemo.image.formats.jpeg_quality import BEST
from deconvdemo.image.photo import Photo
from deconvdemo.image.resolution import Resolution

LARGEST_MESSAGE = 1_000_000  # bytes of JSON
READ_AT_ONCE = 1 << 16  # bytes
_HEAD = 4  # bytes, which tell the length of what follows
_DTYPES = {"uint8", "uint16", "float32"}
_ALIGNED = 64
_MOST_NOTES, _LONGEST_NOTE = 100, 1000
_FORMATS = {"JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF"}


def packed(photo: Photo, room: np.ndarray | None = None) -> tuple[dict[str, Any], list[tuple[int, Any]]]:
    """The JSON-able answer for a photo, and its parts: (offset, bytes). Pixels that lie in `room` stay there."""
    parts: list[tuple[int, Any]] = []
    end = 0

    def place(data: Any, length: int, start: int | None = None) -> list[int]:
        nonlocal end
        start = -(-end // _ALIGNED) * _ALIGNED if start is None else start
        parts.append((start, data))
        end = start + length
        return [start, length]

    answer: dict[str, Any] = {"format": photo.format, "lossless": photo.lossless}
    answer["notes"] = [note[:_LONGEST_NOTE] for note in photo.notes[:_MOST_NOTES]]
    for name, array in (("pixels", photo.pixels), ("alpha", photo.alpha)):
        if array is not None:
            array = np.ascontiguousarray(array)
            at = place_in(room, array)
            answer[name] = [array.dtype.name, list(array.shape), place(array.data.cast("B"), array.nbytes, at)]
    for name, data in (("icc", photo.icc), ("exif", photo.exif)):
        if data is not None:
            answer[name] = place(data, len(data))
    for name, chunks in (("colour", photo.colour), ("texts", photo.texts)):
        answer[name] = [[kind.decode("ascii"), *place(data, len(data))] for kind, data in chunks]
    if resolution := photo.resolution:
        answer["resolution"] = [resolution.across, resolution.down, resolution.per_inch]
    if photo.quality is not None:
        answer["quality"] = photo.quality
    answer["size"] = end
    return answer, parts


def place_in(room: np.ndarray | None, array: np.ndarray) -> int | None:
    """Where in `room` an array begins; None for one that lies elsewhere."""
    if room is None or not np.may_share_memory(room, array):
        return None
    return array.ctypes.data - room.ctypes.data


def unpacked(answer: dict[str, Any], block: np.ndarray) -> Photo:
    """The photo, whose arrays lie in the block. ValueError, TypeError, KeyError or PhotoError for what is none."""

    def at(place: Any) -> np.ndarray:
        start, length = (_whole(number) for number in place)
        if start + length > block.size:
            raise ValueError("a part that lies outside the block")
        return block[start : start + length]

    def array(told: Any) -> np.ndarray:
        name, shape, place = told
        shape, data = [_whole(side) for side in shape], at(place)
        if name not in _DTYPES or len(shape) > 3 or math.prod(shape) * np.dtype(name).itemsize != data.size:
            raise ValueError("an array of another size than its shape")
        return data.view(name).reshape(shape)

    def chunks(told: Any) -> tuple[tuple[bytes, bytes], ...]:
        return tuple((str(kind).encode("ascii"), at(place).tobytes()) for kind, *place in told)

    if answer["format"] not in _FORMATS:
        raise ValueError("a format that is not read")
    resolution = None
    if "resolution" in answer:
        across, down, per_inch = answer["resolution"]
        resolution = Resolution.stated(float(across), float(down), bool(per_inch))
    return Photo(
        pixels=array(answer["pixels"]),
        alpha=array(answer["alpha"]) if "alpha" in answer else None,
        icc=at(answer["icc"]).tobytes() if "icc" in answer else None,
        exif=at(answer["exif"]).tobytes() if "exif" in answer else None,
        format=answer["format"],
        lossless=bool(answer["lossless"]),
        notes=tuple(str(note)[:_LONGEST_NOTE] for note in itertools.islice(answer["notes"], _MOST_NOTES)),
        resolution=resolution,
        colour=chunks(answer["colour"]),
        texts=chunks(answer["texts"]),
        quality=_quality(answer["quality"]) if "quality" in answer else None,
    )


def _quality(number: Any) -> int:
    if not 1 <= _whole(number) <= BEST:
        raise ValueError("a quality that no file has")
    return number


def _whole(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError("a place or side that is no whole number")
    return number


def send(connection: socket.socket, message: dict[str, Any], files: tuple[int, ...] = ()) -> None:
    """One message, with open files."""
    data = json.dumps(message).encode()
    if len(data) > LARGEST_MESSAGE:
        raise ValueError("a message that is too long")
    data = struct.pack(">I", len(data)) + data
    if files:  # all at once where it fits: who waits for it is woken once
        data = data[socket.send_fds(connection, [data], files) :]
    connection.sendall(data)


def received(connection: socket.socket, begun: bytes = b"", seconds: float | None = None) -> dict[str, Any]:
    """One message. EOFError where the other side has gone, TimeoutError, ValueError for what is none of ours."""
    ends = None if seconds is None else time.monotonic() + seconds
    data = bytearray(begun)
    while len(data) < (whole := _length(data)):
        if ends is not None:
            connection.settimeout(max(0.001, ends - time.monotonic()))
        more = connection.recv(READ_AT_ONCE)
        if not more:
            raise EOFError("the other side has gone")
        data += more
    if len(data) > whole:
        raise ValueError("more than one message")
    message = json.loads(data[_HEAD:])
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message


def _length(begun: bytes | bytearray) -> int:
    """Of a message that begins so, as far as that tells."""
    if len(begun) < _HEAD:
        return _HEAD
    (length,) = struct.unpack_from(">I", begun)
    if length > LARGEST_MESSAGE:
        raise ValueError("a message that is too long")
    return _HEAD + length
