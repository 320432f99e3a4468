"""The samples of TIFF pages that Pillow cannot read: deep, packed and floating-point ones, with their alpha.

Reading is tifffile's where nothing is compressed. What it would inflate without a bound is inflated here, strip by
strip to what the header promises, and odd bit depths and predictors are undone; other compressions are OpenCV's.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from deconvdemo.errors import PhotoError
from deconvdemo.image.formats.decoded import as_uint16

# TIFF's codes
_UNCOMPRESSED, _DEFLATE, _OLD_DEFLATE, _PACKBITS, _LZMA, _PIXTIFF = 1, 8, 32946, 32773, 34925, 50013
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4  # sample formats
_HORIZONTAL, _FLOATING_POINT = 2, 3  # predictors
_PREMULTIPLIED, _STRAIGHT_ALPHA, _CORELS_ALPHA = 1, 2, 999
COLOURS = {"MINISWHITE": 1, "MINISBLACK": 1, "RGB": 3}
_CHANNELS = COLOURS | {"PALETTE": 1, "SEPARATED": 4, "YCBCR": 3, "CIELAB": 3, "ICCLAB": 3, "ITULAB": 3}
_BLOCK_SAMPLES = 1 << 20


def read(page: Any, stream: BinaryIO, name: str) -> np.ndarray:
    """(H, W, 1…4) uint8, uint16 or float32 samples of a tifffile page, alpha straight.

    Raises PhotoError for colours other than grey and RGB, and for what nothing here reads.
    """
    colours, depth = COLOURS.get(called(page.photometric)), page.bitspersample
    if colours is None or page.imagedepth != 1:
        found = f"a {depth}-bit TIFF in {called(page.photometric)}"
        raise PhotoError(f"{name} is {found}, but grey and RGB are taken at this depth: convert it to RGB")
    kind = page.sampleformat
    if kind not in (_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED) or (kind == _SIGNED and depth < 16):
        found = {_SIGNED: f"signed {depth}-bit integers"}.get(kind, "complex numbers")
        raise PhotoError(f"{name} has {found}, which are not supported: export it as 16-bit or as float")
    samples = _stored(page, stream, name)
    if samples.shape[2] < colours:
        raise ValueError("fewer samples than colours")
    inverted = called(page.photometric) == "MINISWHITE"
    if samples.dtype.kind == "f":
        samples = samples.astype(np.float32, copy=False)
        samples[..., :colours] = 1 - samples[..., :colours] if inverted else samples[..., :colours]
    else:
        samples = samples if samples.dtype == np.uint8 else as_uint16(samples, name)
        if inverted:
            samples = np.concatenate([~samples[..., :colours], samples[..., colours:]], axis=2)
    at, premultiplied = _alpha(page)
    if at is None:
        return samples[..., :colours]
    colour, alpha = samples[..., :colours], samples[..., colours + at, None]
    return np.concatenate([_straight(colour, alpha) if premultiplied else colour, alpha], axis=2)


def called(code: Any) -> str:
    """The name of one of TIFF's codes; its number where tifffile knows no name."""
    return getattr(code, "name", str(code))


def extra_channels(page: Any) -> int:
    """How many channels a page has beside its colours and its alpha."""
    colours = _CHANNELS.get(called(page.photometric), page.samplesperpixel)
    return max(0, page.samplesperpixel - colours - (_alpha(page)[0] is not None))


def _alpha(page: Any) -> tuple[int | None, bool]:
    """Which of the extra samples is alpha, and whether the colours are multiplied by it."""
    kinds = [int(kind) for kind in page.extrasamples or ()]
    missing = page.samplesperpixel == 4 and called(page.photometric) == "RGB" and not kinds
    kinds = [_STRAIGHT_ALPHA] if missing else kinds  # as other programs take a fourth channel without a word
    for at, kind in enumerate(kinds):
        if kind in (_PREMULTIPLIED, _STRAIGHT_ALPHA, _CORELS_ALPHA):
            return at, kind == _PREMULTIPLIED
    return None, False


def _straight(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours that were multiplied by alpha, divided by it: black where nothing is seen, no brighter than any was."""
    if colour.dtype.kind == "f":
        seen = alpha > 0
        divided = np.divide(colour, alpha, out=np.zeros_like(colour), where=np.broadcast_to(seen, colour.shape))
        # where alpha is hardly above 0, the division enlarges rounding errors without bound
        return np.clip(divided, min(0.0, float(colour.min())), max(1.0, float(colour.max())))
    top = np.iinfo(colour.dtype).max
    divided = np.rint(colour * (np.float64(top) / np.maximum(alpha, 1)))
    return np.where(alpha > 0, np.minimum(divided, top), 0).astype(colour.dtype)


def _stored(page: Any, stream: BinaryIO, name: str) -> np.ndarray:
    """(H, W, C) as stored, integers of odd depths widened to 8 or 16 bits."""
    depth, of_floats = page.bitspersample, page.sampleformat == _FLOAT
    if of_floats and depth not in (16, 32, 64):
        raise PhotoError(f"{name} has {depth}-bit floats, which are not supported: export it as 32-bit float")
    packed = not of_floats and depth not in (8, 16, 32, 64)
    try:
        if packed or page.predictor == _FLOATING_POINT or page.compression in _INFLATE:
            return _by_segments(page, packed)
        if page.compression != _UNCOMPRESSED:
            raise NotImplementedError("compression")
        samples = page.asarray()
        samples = np.moveaxis(samples, 0, -1) if page.axes == "SYX" else samples
    except (ValueError, KeyError, NotImplementedError) as error:
        if page.compression == _UNCOMPRESSED and not isinstance(error, NotImplementedError):
            raise  # the file is cut off
        # LZW and others; OpenCV would read 8 bits, planes and a second channel wrongly
        if packed or depth == 8 or page.planarconfig != 1 or page.samplesperpixel == 2:
            raise PhotoError(
                f"{name} has an unusual TIFF compression, which is not supported for {depth}-bit samples: "
                "export it uncompressed"
            ) from error
        samples = _by_opencv(page, stream, name)
    return samples.reshape(page.imagelength, page.imagewidth, -1)


def _by_opencv(page: Any, stream: BinaryIO, name: str) -> np.ndarray:
    import cv2

    stream.seek(0)
    samples = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != page.dtype or samples.size != page.size:
        known = {_UNCOMPRESSED, 5, _DEFLATE, _OLD_DEFLATE, _PACKBITS}
        if page.compression in known and page.dtype in (np.uint16, np.float32):
            raise ValueError("OpenCV does not read this TIFF either")
        raise PhotoError(
            f"{name} has a TIFF compression ({called(page.compression)}) that is not supported for its samples: "
            "export it uncompressed"
        )
    return samples[..., [2, 1, 0, 3][: samples.shape[2]]] if samples.ndim == 3 else samples


def _by_segments(page: Any, packed: bool) -> np.ndarray:
    """Strip by strip, or tile by tile. NotImplementedError for compressions that are not inflated here."""
    height, width = page.imagelength, page.imagewidth
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    channels = page.samplesperpixel // planes
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
    across, down = -(-width // columns), -(-height // rows)
    if (packed and page.fillorder != 1) or (packed and page.predictor != 1):
        raise NotImplementedError("samples in an unusual order")
    if not packed and page.predictor not in (1, _HORIZONTAL, _FLOATING_POINT):
        raise NotImplementedError("an unusual predictor")
    if min(rows, columns) < 1 or len(page.dataoffsets) < across * down * planes:
        raise ValueError("strips are missing")
    dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    depth = page.bitspersample
    samples = np.empty((height, width, planes, channels), (np.uint8 if depth < 8 else np.uint16) if packed else dtype)
    for index in range(across * down * planes):
        plane, place = divmod(index, across * down)
        top, left = rows * (place // across), columns * (place % across)
        present = rows if page.is_tiled else min(rows, height - top)
        row_bytes = -(-columns * channels * depth // 8)
        area = samples[top : top + rows, left : left + columns, plane]
        if not page.databytecounts[index] and not packed:
            area[...] = page.nodata  # a sparse file
            continue
        data = _inflated(page, index, present * row_bytes)
        lines = np.frombuffer(data, np.uint8, present * row_bytes).reshape(present, row_bytes)
        block = (
            _unpacked(lines, depth, columns * channels)
            if packed
            else _unpredicted(lines, dtype, channels, page.predictor)
        )
        area[...] = block.reshape(present, columns, channels)[: area.shape[0], : area.shape[1]]
    return samples.reshape(height, width, planes * channels)


def _inflated(page: Any, index: int, expected: int) -> bytes | bytearray:
    file = page.parent.filehandle
    file.seek(page.dataoffsets[index])
    data = file.read(page.databytecounts[index])
    if page.fillorder == 2:
        data = data.translate(_REVERSED)
    if page.compression in _INFLATE:
        data = _INFLATE[page.compression](data, expected)
    elif page.compression != _UNCOMPRESSED:
        raise NotImplementedError("compression")
    elif len(data) > expected + expected // 8:  # such as 12 bits stored in 16
        raise NotImplementedError("samples that are stored wider than they are")
    if len(data) < expected:
        raise ValueError("a strip is cut off")
    return data


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _runs(data: bytes, expected: int) -> bytearray:
    """PackBits: a count and as many bytes, or a count and a byte to repeat."""
    found, at = bytearray(), 0
    while at + 1 < len(data) and len(found) < expected:
        count = data[at]
        if count < 128:
            found += data[at + 1 : at + 2 + count]
            at += 2 + count
        else:
            found += data[at + 1 : at + 2] * (257 - count) if count > 128 else b""
            at += 2 if count > 128 else 1
    return found


# no more than what is expected, whatever the data would become
_INFLATE: dict[int, Callable[[bytes, int], bytes | bytearray]] = {
    **dict.fromkeys((_DEFLATE, _OLD_DEFLATE, _PIXTIFF), lambda data, most: zlib.decompressobj().decompress(data, most)),
    _LZMA: lambda data, most: lzma.LZMADecompressor().decompress(data, most),
    _PACKBITS: _runs,
}


def _unpacked(lines: np.ndarray, depth: int, count: int) -> np.ndarray:
    """(rows, count) samples of `depth` bits, the highest first → all of the range of 8 or 16 bits."""
    samples = np.empty((len(lines), count), np.uint8 if depth < 8 else np.uint16)
    top, most = np.iinfo(samples.dtype).max, (1 << depth) - 1
    step = max(1, _BLOCK_SAMPLES // max(1, count))
    for row in range(0, len(lines), step):
        bits = np.unpackbits(lines[row : row + step], axis=1)[:, : count * depth].reshape(-1, count, depth)
        values = np.zeros(bits.shape[:2], np.uint64)
        for bit in range(depth):
            values = values << np.uint64(1) | bits[..., bit]
        samples[row : row + step] = (values * top + most // 2) // most
    return samples


def _unpredicted(lines: np.ndarray, dtype: np.dtype, channels: int, predictor: int) -> np.ndarray:
    """Undoes a predictor (TIFF 6.0, section 14; Adobe's technical note 3 for floats): (rows, columns × channels)."""
    rows, row_bytes = lines.shape
    if predictor == _HORIZONTAL:
        whole = lines.view(np.dtype(f"u{dtype.itemsize}").newbyteorder(dtype.byteorder))
        native = whole.astype(whole.dtype.newbyteorder("=")).reshape(rows, -1, channels)
        added = np.cumsum(native, axis=1, dtype=native.dtype)
        return added.reshape(rows, -1).view(dtype.newbyteorder("="))
    if predictor != _FLOATING_POINT:
        return lines.view(dtype)
    differences = lines.reshape(rows, row_bytes // channels, channels)
    added = np.cumsum(differences, axis=1, dtype=np.uint8)
    planes = added.reshape(rows, dtype.itemsize, row_bytes // dtype.itemsize)  # the highest byte first
    return np.ascontiguousarray(planes.swapaxes(1, 2)).view(dtype.newbyteorder(">")).reshape(rows, -1)
