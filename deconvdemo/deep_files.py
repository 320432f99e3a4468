"""The files that Pillow cannot read or write: colours of 16 bits in PNG and TIFF, and TIFF with its EXIF.

Reading is OpenCV's and tifffile's. Writing is done here, as OpenCV knows no profiles and tifffile no EXIF:
both formats are a few headers around deflate.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from deconvdemo import exif as exif_block
from deconvdemo.errors import PhotoError

DEFLATE_LEVEL = 3  # noise hardly compresses: 6 takes about twice as long for a few percent
_BLOCK_BYTES = 1 << 20
# TIFF's codes
_UNCOMPRESSED, _DEFLATE = 1, 8
_MINISBLACK, _RGB = 1, 2
_PREMULTIPLIED, _STRAIGHT_ALPHA = 1, 2


def as_uint16(samples: np.ndarray, name: str) -> np.ndarray:
    if samples.min() < 0 or samples.max() > 65535:
        found = f"integers from {samples.min()} to {samples.max()}"
        raise PhotoError(f"{name} has {found}, but 0 to 65535 are taken: export it as 16-bit")
    return samples.astype(np.uint16)


def png16_samples(stream: BinaryIO) -> np.ndarray:
    """(H, W, 1…4) uint16 samples of a 16-bit PNG file, whose colours Pillow would reduce to 8 bits."""
    import cv2

    stream.seek(25)
    grey = stream.read(1) in (b"\0", b"\4")
    stream.seek(0)
    samples = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        raise ValueError("OpenCV does not read this PNG as 16-bit")
    samples = samples.reshape(*samples.shape[:2], -1)
    if samples.shape[2] == 1:
        return samples
    order = [0, 3] if grey else [2, 1, 0, 3]  # OpenCV's BGR → RGB; grey with alpha comes as BGRA
    return samples[..., order[: samples.shape[2]]]


def tiff_samples(page, stream: BinaryIO, name: str) -> np.ndarray:
    """(H, W, 1…4) uint16 or float samples of a tifffile page of more than 8 bits, alpha straight.

    Raises PhotoError for colours other than grey and RGB, and for compressions that nothing here reads.
    """
    colours = {"MINISWHITE": 1, "MINISBLACK": 1, "RGB": 3}.get(page.photometric.name)
    if colours is None or page.imagedepth != 1:
        found = f"a {page.bitspersample}-bit TIFF in {page.photometric.name}"
        raise PhotoError(f"{name} is {found}, but grey and RGB are taken at this depth: convert it to RGB")
    try:
        samples = page.asarray()
        samples = np.moveaxis(samples, 0, -1) if page.axes == "SYX" else samples
    except (ValueError, KeyError) as error:
        if page.compression == _UNCOMPRESSED:
            raise  # the file is cut off
        # LZW and others, which tifffile leaves to a package that we do without
        if page.planarconfig != 1 or page.samplesperpixel == 2:  # OpenCV would read these wrongly
            raise PhotoError(f"{name} has an unusual TIFF compression: export it uncompressed") from error
        samples = _tiff_samples_by_opencv(page, stream)
    samples = samples.reshape(page.imagelength, page.imagewidth, -1)
    if samples.dtype.kind in "ui":
        samples = as_uint16(samples, name)
        samples = 65535 - samples if page.photometric.name == "MINISWHITE" else samples
    extra = page.extrasamples[0] if page.extrasamples else None
    if extra == _PREMULTIPLIED and samples.dtype == np.uint16:
        alpha = samples[..., colours : colours + 1]
        colour = np.rint(samples[..., :colours] * (65535 / np.maximum(alpha, 1)))
        samples = np.concatenate([np.minimum(colour, 65535).astype(np.uint16), alpha], axis=2)
    return samples[..., : colours + (extra in (_PREMULTIPLIED, _STRAIGHT_ALPHA))]


def _tiff_samples_by_opencv(page, stream: BinaryIO) -> np.ndarray:
    import cv2

    stream.seek(0)
    samples = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != page.dtype:
        raise ValueError("OpenCV does not read this TIFF either")
    return samples[..., [2, 1, 0, 3][: samples.shape[2]]] if samples.ndim == 3 else samples


def _rows_per_block(samples: np.ndarray) -> int:
    return max(1, _BLOCK_BYTES // samples[0].nbytes)


def _blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of about a megabyte, so that a large photo is not copied whole at each step."""
    rows = _rows_per_block(samples)
    for top in range(0, len(samples), rows):
        yield samples[top : top + rows]


def png16(samples: np.ndarray, icc: bytes | None, exif: bytes | None) -> bytes:
    """A 16-bit PNG of (H, W, 1…4) uint16 samples (PNG specification, 3rd edition)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header)]
    if icc:
        parts.append(chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if exif:
        parts.append(chunk(b"eXIf", exif.removeprefix(exif_block.PREFIX)))
    deflate = zlib.compressobj(DEFLATE_LEVEL)
    for block in _blocks(samples):
        row_bytes = np.ascontiguousarray(block, ">u2").view(np.uint8).reshape(len(block), -1)
        filtered = np.empty((len(block), 1 + row_bytes.shape[1]), np.uint8)
        filtered[:, 0] = 1  # filter "Sub": the difference to the pixel on the left
        filtered[:, 1:] = row_bytes
        filtered[:, 1 + 2 * channels :] -= row_bytes[:, : -2 * channels]
        parts.append(chunk(b"IDAT", deflate.compress(filtered.tobytes())))
    parts += [chunk(b"IDAT", deflate.flush()), chunk(b"IEND", b"")]
    return b"".join(parts)


_SHORT, _LONG, _UNDEFINED = 3, 4, 7  # TIFF's types
# in an EXIF block's own directory, these tell how some other picture was stored
_STORAGE = {255, 284, 320, 322, 323, 324, 325, 330, 339, 347, 513, 514, 529, 530, 531, 532}


def tiff(samples: np.ndarray, icc: bytes | None, exif: bytes | None) -> bytes:
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
