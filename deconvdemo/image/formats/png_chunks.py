"""PNG's chunks (PNG specification, 3rd edition): what a decoder of pixels needs, and all that lies around it.

Decoders have limits on text and profiles, and give up on a wrong checksum of a chunk that no pixel needs. So
they are given the pixels' chunks alone, and the others are read, kept and written here.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from deconvdemo.image.formats import exif as exif_block
from deconvdemo.image.formats.chunks import PNG_SIGNATURE, in_png, png_chunk
from deconvdemo.image.photo import Chunk
from deconvdemo.image.resolution import Resolution

LARGEST_TEXT = 16_000_000  # bytes that are carried along, as they are in the file
LARGEST_PROFILE = 16_000_000  # also what a JPEG holds
_LARGEST_PACKET = 16_000_000  # of EXIF or XMP inside a text chunk
_MOST_PACKETS = 8  # texts that are looked into for EXIF or XMP
_MOST_TEXTS = 1000  # that are carried along

_PIXELS = {b"IHDR", b"PLTE", b"IDAT"}
_COLOUR = {b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"mDCv", b"cLLi"}
_TEXT = {b"tEXt", b"zTXt", b"iTXt"}
_USED = _COLOUR | _TEXT | {b"tRNS", b"iCCP", b"eXIf", b"pHYs", b"acTL"}
_XMP = b"XML:com.adobe.xmp"
_RAW_PROFILE = re.compile(rb"Raw profile type (\w+)", re.IGNORECASE)


@dataclass
class Png:
    """A PNG file taken apart."""

    width: int
    height: int
    depth: int  # bits per sample
    colour_type: int
    pixels: bytes  # a PNG file of the pixels and the palette alone
    transparent: bytes | None = None  # tRNS
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: Resolution | None = None
    colour: tuple[Chunk, ...] = ()
    texts: tuple[Chunk, ...] = ()
    animated: bool = False
    notes: list[str] = field(default_factory=list)


def header(head: bytes) -> tuple[int, int, int, int]:
    """Width, height, bits per sample and colour type, from a file's first bytes. ValueError: there is none."""
    if head[12:16] != b"IHDR" or len(head) < 33:
        raise ValueError("PNG without its header" if head[12:16] != b"CgBI" else "unsupported: PNG of an iPhone app")
    return struct.unpack(">IIBB", head[16:26])


def take_apart(data: bytes) -> Png:
    """Raises ValueError for data without a header; what a decoder needs is left to the decoder to judge."""
    png = Png(*header(data[:33]), b"")
    kept: list[bytes | memoryview] = [PNG_SIGNATURE]
    whole = memoryview(data)
    damaged: list[str] = []
    colour: dict[bytes, bytes] = {}
    texts: list[Chunk] = []
    room, left_out, packets, profiled = LARGEST_TEXT, 0, 0, False
    for kind, start, end in in_png(data):
        if not kind.isalpha():
            break
        if kind in _PIXELS:
            # of a cut-off chunk, what is there: how much of the picture that is, the decoder finds out
            cut_off = end + 4 > len(data)
            kept += [png_chunk(kind, data[start:end])] if cut_off else [whole[start - 8 : end + 4]]
        if kind not in _USED:
            continue
        content = data[start:end]
        if data[end : end + 4] != struct.pack(">I", zlib.crc32(kind + content)):
            damaged.append(kind.decode())
        elif kind in _COLOUR:
            colour.setdefault(kind, content)
        elif kind in _TEXT:
            packets += _may_be_metadata(content)
            if packets > _MOST_PACKETS or not _is_metadata(png, kind, content):
                fits = len(content) <= room and len(texts) < _MOST_TEXTS
                room -= len(content) if fits else 0
                left_out += 0 if fits else len(content)
                texts += [(kind, content)] if fits else []
        elif kind == b"tRNS":
            png.transparent = content
        elif kind == b"iCCP":
            if not profiled:
                _read_profile(png, content)
            profiled = True
        elif kind == b"eXIf":
            png.exif = exif_block.PREFIX + content.removeprefix(exif_block.PREFIX)
        elif kind == b"pHYs":
            png.resolution = Resolution.of_phys(content)
        else:
            png.animated = True
    if damaged:
        png.notes.append(f"chunks with a wrong checksum were left out: {', '.join(sorted(set(damaged)))}")
    if left_out:
        png.notes.append(f"{left_out / 1e6:.1f} MB of text were left out: {LARGEST_TEXT / 1e6:.0f} MB are carried")
    png.pixels = b"".join([*kept, png_chunk(b"IEND", b"")])
    png.colour, png.texts = tuple(colour.items()), tuple(texts)
    return png


def head(
    icc: bytes | None,
    exif: bytes | None,
    resolution: Resolution | None,
    colour: Iterable[Chunk] = (),
    texts: Iterable[Chunk] = (),
) -> bytes:
    """The chunks that stand between a file's header and its pixels."""
    parts = [png_chunk(kind, data) for kind, data in colour]
    if icc:
        parts.append(png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if resolution:
        parts.append(png_chunk(b"pHYs", resolution.phys()))
    if exif:
        parts.append(png_chunk(b"eXIf", exif.removeprefix(exif_block.PREFIX)))
    parts += [png_chunk(kind, data) for kind, data in texts]
    return b"".join(parts)


def file(width: int, height: int, depth: int, colour_type: int, before: bytes, deflated: Iterable[bytes]) -> bytes:
    """A whole file of its chunks between the header and the pixels, and of the pixels."""
    header_data = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = (png_chunk(b"IDAT", data) for data in deflated if data)
    return b"".join([PNG_SIGNATURE, png_chunk(b"IHDR", header_data), before, *pixels, png_chunk(b"IEND", b"")])


def with_head(data: bytes, before: bytes) -> bytes:
    """A PNG file with these chunks behind its header."""
    return b"".join([data[:33], before, memoryview(data)[33:]]) if before else data


def keywords(texts: Iterable[Chunk]) -> list[str]:
    """What the text chunks are called, each name once."""
    return list(dict.fromkeys(data.split(b"\0", 1)[0].decode("latin-1", "replace") for _, data in texts))


def _inflated(data: bytes, most: int) -> bytes | None:
    """None for what is damaged or longer than `most`."""
    inflate = zlib.decompressobj()
    try:
        found = inflate.decompress(data, most)
    except zlib.error:
        return None
    return found if inflate.eof else None


def _read_profile(png: Png, content: bytes) -> None:
    _, _, rest = content.partition(b"\0")
    png.icc = _inflated(rest[1:], LARGEST_PROFILE)
    if png.icc is None:
        png.notes.append("its colour profile is damaged or too large and was left out: colours may differ")


def _may_be_metadata(content: bytes) -> bool:
    keyword = content[:80].split(b"\0", 1)[0]
    return keyword == _XMP or _RAW_PROFILE.fullmatch(keyword) is not None


def _is_metadata(png: Png, kind: bytes, content: bytes) -> bool:
    """Whether a text chunk is XMP or another program's raw profile: EXIF in it is taken, the rest not carried."""
    if not _may_be_metadata(content):
        return False
    keyword = content.split(b"\0", 1)[0]
    raw = _RAW_PROFILE.fullmatch(keyword)
    text = _text(kind, content) or b""
    if raw and raw[1].lower() in (b"exif", b"app1"):
        packet = _unhexed(text)
        if packet.startswith((exif_block.PREFIX, b"II*\0", b"MM\0*")):
            png.exif = png.exif or exif_block.PREFIX + packet.removeprefix(exif_block.PREFIX)
        elif b"ns.adobe.com/xap" in packet[:64]:
            png.xmp = png.xmp or packet
    elif keyword == _XMP or (raw and raw[1].lower() == b"xmp"):
        png.xmp = png.xmp or (text if keyword == _XMP else _unhexed(text))
    return True


def _text(kind: bytes, content: bytes) -> bytes | None:
    """The text itself, inflated."""
    _, _, rest = content.partition(b"\0")
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflated(rest[1:], _LARGEST_PACKET)
    deflated, parts = rest[:1] == b"\1", rest[2:].split(b"\0", 2)  # language, translated keyword, text
    if len(parts) < 3:
        return None
    return _inflated(parts[2], _LARGEST_PACKET) if deflated else parts[2]


def _unhexed(text: bytes) -> bytes:
    """ImageMagick's "\\nexif\\n    1234\\n" and lines of hexadecimal digits → bytes; nothing for other text."""
    lines = text.strip().split(b"\n", 2)
    try:
        return bytes.fromhex(lines[2].decode("ascii")) if len(lines) == 3 else b""
    except ValueError:
        return b""
