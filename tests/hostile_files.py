"""Small files that would cost a server minutes or gigabytes: one of every kind that is known."""

from __future__ import annotations

import io
import lzma
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from photo_files import chunk, file_of, png, tiff
from PIL import Image, features

MEGABYTE = 1 << 20


@cache
def deflated_zeros(megabytes: int) -> bytes:
    """A zlib stream of so many megabytes of zeros (without its end), about 1 KB for each."""
    deflate = zlib.compressobj(9)
    start = deflate.compress(bytes(MEGABYTE)) + deflate.flush(zlib.Z_FULL_FLUSH)
    again = deflate.compress(bytes(MEGABYTE)) + deflate.flush(zlib.Z_FULL_FLUSH)  # the same each time
    return start + again * (megabytes - 1)


def directory(entries, next_offset=0, at=8) -> bytes:
    """A TIFF file's directory: (tag, type, number of values, value or offset) each."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return struct.pack("<H", len(entries)) + packed + struct.pack("<I", next_offset)


def tiff_of(
    width, height, *, bits=16, samples=1, compression=1, data=b"", more=(), next_offset=0, strips=None
) -> bytes:
    """A TIFF of one strip, whose data may be anything; `strips`: (offsets' number, where they are)."""
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, 1),
        (277, 3, 1, samples), (278, 4, 1, height if strips is None else 1), (279, 4, 1, len(data)), *more,
    ]  # fmt: skip
    end = 8 + 2 + 12 * (len(entries) + 1) + 4
    if strips is None:
        entries.append((273, 4, 1, end))
    else:
        entries = [entry for entry in entries if entry[0] != 279]
        entries += [(273, 3, strips, end), (279, 3, strips, end)]
    return b"II*\0" + struct.pack("<I", 8) + directory(entries, next_offset) + data


def many_channels() -> bytes:
    return tiff_of(7000, 7000, bits=16, samples=40, data=bytes(64), more=[(338, 3, 1, 0)])


def looping_directories() -> bytes:
    return tiff_of(8, 8, bits=16, data=bytes(128), next_offset=8, more=[(65420, 3, 1, 1), (271, 2, 4, 0x41)])


def looping_inside() -> bytes:
    return tiff_of(8, 8, data=bytes(128), more=[(330, 13, 1, 8)])


def chain_of_directories() -> bytes:
    """Each of thousands of directories points to the next, and the last one to the first."""
    one = [
        (256, 4, 1, 8),
        (257, 4, 1, 8),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (279, 4, 1, 128),
    ]
    length = len(directory(one))
    places = [8 + length * place for place in range(20_000)]
    chain = b"".join(directory(one, following) for following in [*places[1:], 8])
    return b"II*\0" + struct.pack("<I", 8) + chain


def many_strips() -> bytes:
    return tiff_of(8, 5_000_000, bits=16, data=bytes(22_000_000), strips=5_000_000)


def tags_without_end() -> bytes:
    """Hundreds of tags whose values are the same ten megabytes."""
    tags = [(40_000 + tag, 7, 10_000_000, 8) for tag in range(1000)]
    return tiff_of(8, 8, data=bytes(10_000_000), more=tags)


def huge_tiles() -> bytes:
    more = [(322, 3, 1, 60_000), (323, 3, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, 100)]
    return tiff_of(8, 8, compression=8, data=deflated_zeros(40), more=more)


def tiny_tiles() -> bytes:
    more = [(322, 3, 1, 16), (323, 3, 1, 16), (324, 4, 1, 8), (325, 4, 1, 100)]
    return tiff_of(2_000_000, 16, bits=32, data=bytes(1000), more=[*more, (339, 3, 1, 3)])


def deflated_tiff() -> bytes:
    return tiff_of(8, 8, compression=8, data=deflated_zeros(4000))


def lzma_tiff() -> bytes:
    return tiff_of(8, 8, compression=34925, data=lzma.compress(bytes(8 * MEGABYTE), preset=0) * 500)


def packed_tiff() -> bytes:
    return tiff_of(8, 8, compression=32773, data=b"\x81\0" * 20_000_000)


def inflating_pixels(depth=8, megabytes=4000) -> bytes:
    return png(8, 8, depth, 2, deflated_zeros(megabytes))


def inflating_texts() -> bytes:
    text = b"\nexif\n 9\n" + bytes(15_000_000)
    one = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(15_000_000)))
    return png(8, 8, 8, 2, zlib.compress(bytes(8 * 25)), one * 300 + profile * 300)


def many_chunks() -> bytes:
    return png(8, 8, 8, 2, zlib.compress(bytes(8 * 25)), chunk(b"abCD", b"") * 3_000_000)


def many_texts() -> bytes:
    return png(8, 8, 8, 2, zlib.compress(bytes(8 * 25)), chunk(b"tEXt", b"a\0") * 100_000)


def many_scans() -> bytes:
    data = file_of(Image.new("RGB", (4000, 3000)), "JPEG", progressive=True, quality=30)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 6000 + data[-2:]


def many_segments() -> bytes:
    data = file_of(Image.new("RGB", (8, 8)), "JPEG")
    return data[:2] + b"\xff\xe5\0\2" * 4_000_000 + data[2:]


def much_fill() -> bytes:
    data = file_of(Image.new("RGB", (8, 8)), "JPEG")
    return data[:2] + b"\xff" * 30_000_000 + data[2:]


def bmp_of_runs(width, height, runs, coding=1) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8 if coding == 1 else 4, coding, len(runs), 0, 0, 256, 0)
    offset = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", offset + len(runs), 0, 0, offset) + header + bytes(1024) + runs


def runs_of_lines() -> bytes:
    return bmp_of_runs(7000, 7000, b"\1\7\0\0" * 7000)


def runs_of_one() -> bytes:
    return bmp_of_runs(7000, 7000, b"\1\7" * 20_000_000)


def runs_of_nothing() -> bytes:
    return bmp_of_runs(8, 8, b"\0\2\0\0" * 20_000_000)


def gif(width, height, blocks: bytes, screen=None) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", *(screen or (width, height)), 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2" + blocks


def large_screen() -> bytes:
    return gif(1, 1, b"\2\x4c\1\0;", screen=(65535, 65535))


def large_frame() -> bytes:
    return gif(65535, 65535, b"\2\x4c\1\0;", screen=(1, 1))


def small_blocks() -> bytes:
    """A comment in pieces of one byte, before the picture."""
    head = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6)
    return (
        head + b"!\xfe" + b"\1a" * 30_000_000 + b"\0" + b"," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\2\2\x4c\1\0;"
    )


def large_canvas() -> bytes:
    data = bytearray(file_of(Image.new("RGBA", (8, 8)), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"))
    at = data.index(b"VP8X") + 12
    data[at : at + 6] = (16382).to_bytes(3, "little") * 2
    return bytes(data)


def many_webp_chunks() -> bytes:
    return b"RIFF" + struct.pack("<I", 80_000_004) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(10) + bytes(80_000_000)


def large_boxes(form="AVIF") -> bytes:
    if form == "HEIF":
        import pillow_heif

        file = io.BytesIO()
        pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(file)
        data = bytearray(file.getvalue())
    else:
        data = bytearray(file_of(Image.new("RGB", (64, 64)), form))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 16_000, 16_000)
    return bytes(data)


def many_properties() -> bytes:
    """A HEIC file whose megabytes of associations are all of other items than the picture."""
    ipma = struct.pack(">I", 0) + struct.pack(">I", 1_300_000) + b"\0\2\0" * 1_300_000
    box = lambda kind, data: struct.pack(">I4s", 8 + len(data), kind) + data
    iprp = box(b"iprp", box(b"ipco", b"") + box(b"ipma", ipma))
    return box(b"ftyp", b"heic\0\0\0\0heicmif1") + box(b"meta", bytes(4) + box(b"pitm", bytes(5) + b"\1") + iprp)


BOMBS: dict[str, Callable[[], bytes]] = {
    function.__name__: function
    for function in (
        many_channels, looping_directories, looping_inside, chain_of_directories, many_strips, tags_without_end,
        huge_tiles, tiny_tiles, deflated_tiff, lzma_tiff, packed_tiff, inflating_pixels, inflating_texts,
        many_chunks, many_texts, many_scans, many_segments, much_fill, runs_of_lines, runs_of_one, runs_of_nothing,
        large_screen, large_frame, small_blocks, large_canvas, many_webp_chunks, many_properties,
    )
}  # fmt: skip
BOMBS["inflating_pixels_16"] = lambda: inflating_pixels(16)
if features.check("avif"):
    BOMBS["large_boxes_avif"] = large_boxes
BOMBS["large_boxes_heif"] = lambda: large_boxes("HEIF")


def ordinary() -> dict[str, bytes]:
    """A small picture in every format that is taken, to be mutated."""
    pixels = np.indices((48, 64)).sum(0)[..., None] * np.array([1, 2, 1.5]) % 256
    image = Image.fromarray(pixels.astype(np.uint8))
    deep = (pixels * 257).astype(np.uint16)
    files = {
        "JPEG": file_of(image, "JPEG"),
        "JPEG progressive": file_of(image, "JPEG", progressive=True),
        "PNG": file_of(image, "PNG", pnginfo=None),
        "PNG palette": file_of(image.convert("P"), "PNG", transparency=3),
        "WEBP": file_of(image, "WEBP"),
        "WEBP lossless": file_of(image.convert("RGBA"), "WEBP", lossless=True),
        "WEBP animated": file_of(image, "WEBP", save_all=True, append_images=[image.rotate(90)]),
        "TIFF": file_of(image, "TIFF", compression="tiff_lzw"),
        "TIFF 16": tiff((deep, {"photometric": "rgb", "compression": "deflate", "predictor": 2, "rowsperstrip": 8})),
        "TIFF float": tiff((deep.astype(np.float32) / 65535, {"photometric": "rgb", "tile": (16, 16)})),
        "TIFF pages": tiff((deep, {"photometric": "rgb"}), (deep[::2, ::2], {"photometric": "rgb", "subfiletype": 1})),
        "GIF": file_of(image, "GIF", save_all=True, append_images=[image.rotate(90)]),
        "BMP": file_of(image, "BMP"),
        "BMP runs": bmp_of_runs(8, 8, b"\10\7\0\0" * 8 + b"\0\1"),
    }
    if features.check("avif"):
        files["AVIF"] = file_of(image, "AVIF")
    try:
        import pillow_heif
    except ImportError:
        return files
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file)
    return files | {"HEIF": file.getvalue()}
