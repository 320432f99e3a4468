"""The files that Pillow cannot read or write: PNG with colours of 16 bits, and TIFF with its EXIF.

Reading is OpenCV's. Writing is done here, as OpenCV knows no profiles and tifffile no EXIF: both formats are a
few headers around deflate.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from deconvdemo.errors import PhotoError
from deconvdemo.image.formats import exif as exif_block
from deconvdemo.image.formats import png_chunks
from deconvdemo.image.resolution import Resolution

DEFLATE_LEVEL = 3  # noise hardly compresses: 6 takes about twice as long for a few percent
_BLOCK_BYTES = 1 << 20
# TIFF's codes
_DEFLATE = 8
_MINISBLACK, _RGB = 1, 2
_STRAIGHT_ALPHA = 2


def png16_samples(data: bytes) -> np.ndarray:
    """(H, W, 1…4) uint16 samples of a 16-bit PNG file, whose colours Pillow would reduce to 8 bits."""
    import cv2

    grey = data[25] in (0, 4)
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        raise ValueError("OpenCV does not read this PNG as 16-bit")
    samples = samples.reshape(*samples.shape[:2], -1)
    if samples.shape[2] == 1:
        return samples
    order = [0, 3] if grey else [2, 1, 0, 3]  # OpenCV's BGR → RGB; grey with alpha comes as BGRA
    return samples[..., order[: samples.shape[2]]]


def _rows_per_block(samples: np.ndarray) -> int:
    return max(1, _BLOCK_BYTES // samples[0].nbytes)


def _blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of about a megabyte, so that a large photo is not copied whole at each step."""
    rows = _rows_per_block(samples)
    for top in range(0, len(samples), rows):
        yield samples[top : top + rows]


def png16(samples: np.ndarray, head: bytes) -> bytes:
    """A 16-bit PNG of (H, W, 1…4) uint16 samples, with the chunks of `head` behind its header."""
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return png_chunks.file(width, height, 16, colour_type, head, _deflated(samples))


def _deflated(samples: np.ndarray) -> Iterator[bytes]:
    deflate = zlib.compressobj(DEFLATE_LEVEL)
    step = 2 * samples.shape[2]
    for block in _blocks(samples):
        row_bytes = np.ascontiguousarray(block, ">u2").view(np.uint8).reshape(len(block), -1)
        filtered = np.empty((len(block), 1 + row_bytes.shape[1]), np.uint8)
        filtered[:, 0] = 1  # filter "Sub": the difference to the pixel on the left
        filtered[:, 1:] = row_bytes
        filtered[:, 1 + step :] -= row_bytes[:, :-step]
        yield deflate.compress(filtered.tobytes())
    yield deflate.flush()


_SHORT, _LONG, _RATIONAL, _UNDEFINED = 3, 4, 5, 7  # TIFF's types
# in an EXIF block's own directory, these tell how some other picture was stored
_STORAGE = {255, 284, 320, 322, 323, 324, 325, 330, 339, 347, 513, 514, 529, 530, 531, 532}


def tiff(samples: np.ndarray, icc: bytes | None, exif: bytes | None, resolution: Resolution | None) -> bytes:
    """A deflated TIFF of (H, W, 1…4) uint8 or uint16 samples (TIFF 6.0).

    An EXIF block is a TIFF file itself: the picture is appended to it and its first directory is written
    anew, so that whatever points into the block still does.
    """
    file = bytearray(exif.removeprefix(exif_block.PREFIX) if exif else b"II*\0\x08\0\0\0\0\0")
    order, offsets = exif_block.directory(file)
    entries = {tag: bytes(file[at : at + 12]) for tag, at in offsets.items() if tag not in _STORAGE}

    def append(data: bytes) -> int:
        file.extend(bytes(len(file) % 2))  # offsets are even
        file.extend(data)
        return len(file) - len(data)

    def enter(tag: int, kind: int, *values: int, raw: bytes = b"") -> None:
        data = raw or struct.pack(f"{order}{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
        place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", append(data))
        entries[tag] = struct.pack(order + "HHI", tag, kind, len(raw) or len(values)) + place

    height, width, channels = samples.shape
    strips = [_tiff_strip(block, order) for block in _blocks(samples)]
    if sum(map(len, strips)) > 0xF0000000:
        raise PhotoError("the photo is larger than the 4 GB that a TIFF holds: save it as PNG")
    enter(254, _LONG, 0)  # a full-resolution picture
    enter(256, _LONG, width)
    enter(257, _LONG, height)
    enter(258, _SHORT, *[8 * samples.itemsize] * channels)  # bits per sample
    enter(259, _SHORT, _DEFLATE)  # compression
    enter(262, _SHORT, _MINISBLACK if channels < 3 else _RGB)
    enter(273, _LONG, *[append(strip) for strip in strips])
    enter(277, _SHORT, channels)
    enter(278, _LONG, _rows_per_block(samples))
    enter(279, _LONG, *map(len, strips))
    enter(317, _SHORT, 2)  # predictor: horizontal differences
    if resolution:
        unit, across, down = resolution.tiff()
        for tag, fraction in ((282, across), (283, down)):
            entries[tag] = struct.pack(order + "HHII", tag, _RATIONAL, 1, append(struct.pack(order + "II", *fraction)))
        enter(296, _SHORT, unit)
    if channels in (2, 4):
        enter(338, _SHORT, _STRAIGHT_ALPHA)
    if icc:
        enter(34675, _UNDEFINED, raw=icc)
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
    struct.pack_into(order + "I", file, 4, append(directory + bytes(4)))
    return bytes(file)


def _tiff_strip(block: np.ndarray, order: str) -> bytes:
    differences = block.copy()
    differences[:, 1:] -= block[:, :-1]
    return zlib.compress(differences.astype(f"{order}u{block.itemsize}").tobytes(), DEFLATE_LEVEL)
