"""What a file says of its picture before a pixel is decoded, and whether that is more than is taken.

Each format's header is read here in a bounded number of steps. What a file can cost is pixels × samples × bytes: a
picture of few pixels may have hundreds of channels.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from deconvdemo.errors import PhotoError
from deconvdemo.image.formats import decoded, isobmff, jpeg_marks, png_chunks, tiff_directories
from deconvdemo.image.formats.chunks import in_webp

BYTES_A_PIXEL = 12  # that a photo of the most pixels may have: three floats
LARGEST_RUNS = 4_000_000  # pixels, and bytes, of a BMP of run lengths, which is decoded run by run
MOST_SCANS = 50  # of a JPEG; ours and cameras' have about ten
_MOST_PIECES, _LEAST_PIECE = 20_000, 64  # of a GIF, and bytes of each one beyond these: most have 255
_LARGEST_BLOCK = 64  # pixels a side, of HEVC and AV1, in which sizes are coded


@dataclass(frozen=True)
class Facts:
    """A picture's size, its samples a pixel as its decoder makes them, and the bytes of each."""

    width: int
    height: int
    samples: int = 4
    sample_bytes: float = 1
    padding: int = 0  # pixels that may be cut off at the right and below: the decoder knows

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def bytes(self) -> int:
        return round(self.pixels * self.samples * self.sample_bytes)


def checked(stream: BinaryIO, name: str, form: str, max_pixels: int | None) -> Facts | None:
    """The facts of an open file of this format; None where its header is odd, of which its decoder is the judge.

    Raises PhotoError for a picture that is larger than what is taken.
    """
    stream.seek(0)
    try:
        facts = _READERS[form](stream)
    except (struct.error, ValueError, IndexError, KeyError, OverflowError, OSError):
        return None
    width, height = (max(1, side - facts.padding) for side in (facts.width, facts.height))
    decoded.refuse_if_too_large(name, width, height, max_pixels)
    most = None if max_pixels is None else BYTES_A_PIXEL * max_pixels
    if most is not None and facts.bytes > most:
        raise PhotoError(
            f"{name} is {facts.width}×{facts.height} with {facts.samples} × {facts.sample_bytes * 8:g} bits a pixel = "
            f"{facts.bytes / 1e6:.0f} MB, but at most {most / 1e6:.0f} MB are taken: export it as RGB, or resize it"
        )
    return facts


def refuse_costly_runs(stream: BinaryIO, name: str) -> None:
    """PhotoError for a BMP of more run lengths than are decoded in a moment."""
    stream.seek(0)
    head = stream.read(54)
    if len(head) < 54 or struct.unpack_from("<I", head, 30)[0] not in (1, 2):
        return
    width, height = struct.unpack_from("<ii", head, 18)
    if abs(width * height) > LARGEST_RUNS or stream.seek(0, io.SEEK_END) > LARGEST_RUNS:
        raise PhotoError(
            f"{name} is a run-length coded BMP of {width}×{abs(height)}, but at most {LARGEST_RUNS / 1e6:g} MP, and "
            "MB, of this kind are taken: save it as PNG"
        )


def refuse_costly_scans(stream: BinaryIO, name: str) -> None:
    """PhotoError for a JPEG of so many scans that each pixel is decoded hundreds of times."""
    head = jpeg_marks.head(stream)
    stream.seek(0)
    if (head and not head.sequence) or (data := stream.read()).count(b"\xff\xda") <= MOST_SCANS:
        return
    if jpeg_marks.scans(data, MOST_SCANS + 1) > MOST_SCANS:
        raise PhotoError(
            f"{name} is a JPEG of more than {MOST_SCANS} scans, but a photo has about ten: "
            "save it again as a usual JPEG"
        )


def refuse_costly_blocks(data: bytes, name: str) -> None:
    """PhotoError for a GIF in so many pieces that finding its first pictures takes long."""
    at, pictures, pieces = 13 + _colours(data[10:11]), 0, 0
    while at < len(data) and pictures < 2:
        kind = data[at]
        at += 1
        if kind == ord(","):
            pictures, at = pictures + 1, at + 10 + _colours(data[at + 8 : at + 9])
        elif kind == ord("!"):
            at += 1
        elif kind == ord(";"):
            return
        else:
            pieces += 1
            continue  # decoders look for the next one
        while at < len(data) and data[at]:
            at, pieces = at + 1 + data[at], pieces + 1
            if pieces > _MOST_PIECES + at // _LEAST_PIECE:
                break
        at += 1
        if pieces > _MOST_PIECES + at // _LEAST_PIECE:
            raise PhotoError(f"{name} is a GIF in more than {pieces} tiny pieces: save it again, or as PNG")


def _colours(packed: bytes) -> int:
    """Bytes of the table of colours that a GIF's flags announce."""
    return 3 << (packed[0] & 7) + 1 if packed and packed[0] & 0x80 else 0


def _jpeg(stream: BinaryIO) -> Facts:
    head = jpeg_marks.head(stream)
    if head is None:
        raise ValueError("a JPEG file without a picture")
    return Facts(head.width, head.height, max(head.samples, 3))


def _png(stream: BinaryIO) -> Facts:
    width, height, depth, colour_type = png_chunks.header(stream.read(33))
    return Facts(width, height, {0: 1, 2: 3, 4: 2}.get(colour_type, 4), 2 if depth == 16 else 1)


def _webp(stream: BinaryIO) -> Facts:
    width, height, _ = webp_header(stream)
    return Facts(width, height)


def _tiff(stream: BinaryIO) -> Facts:
    photo = tiff_directories.photo_of(tiff_directories.read(stream))
    width, height = photo.size
    return Facts(width, height, max(1, photo.samples), max(photo.depth, 8) / 8)


def _gif(stream: BinaryIO) -> Facts:
    width, height = struct.unpack_from("<HH", stream.read(10), 6)
    return Facts(width, height)


def _bmp(stream: BinaryIO) -> Facts:
    head = stream.read(26)
    if struct.unpack_from("<I", head, 14)[0] == 12:
        return Facts(*struct.unpack_from("<HH", head, 18))
    width, height = struct.unpack_from("<ii", head, 18)
    return Facts(abs(width), abs(height))


def _boxes(stream: BinaryIO) -> Facts:
    boxes = isobmff.read(stream)
    if not boxes.size:
        raise ValueError("boxes that do not tell a size")
    return Facts(*boxes.size, sample_bytes=2 if boxes.depth > 8 else 1, padding=_LARGEST_BLOCK)


_READERS: dict[str, Callable[[BinaryIO], Facts]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "TIFF": _tiff,
    "GIF": _gif,
    "BMP": _bmp,
    "HEIF": _boxes,
    "AVIF": _boxes,
}


def webp_header(stream: BinaryIO) -> tuple[int, int, bool]:
    """Width, height and whether the first picture of a WebP file is lossless, from its chunks' headers."""
    canvas = None
    for kind, start, end in in_webp(stream):
        stream.seek(start)
        data = stream.read(min(end - start, 40))
        if kind == b"VP8X":
            canvas = (1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little"))
        elif kind == b"VP8 ":
            own = (
                int.from_bytes(data[6:8], "little") & 0x3FFF,
                int.from_bytes(data[8:10], "little") & 0x3FFF,
            )
            return *(canvas or own), False
        elif kind == b"VP8L":
            bits = int.from_bytes(data[1:5], "little")
            return *(canvas or (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))), True
        elif kind == b"ANMF" and canvas:
            return *canvas, data[16:20] == b"VP8L"
    raise ValueError("a WebP file without a picture")
