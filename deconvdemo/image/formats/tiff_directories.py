"""TIFF's directories (TIFF 6.0, TIFF/EP, DNG): which of a file's pictures is the photo.

The first one may be a thumbnail, and the photo further down the chain or in a sub-directory. Only a bounded
number of directories and tags is read, each once, so a chain that leads back to itself ends; and none whose values
claim to be longer than the file.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

_MOST_IN_CHAIN, _MOST_INSIDE, _MOST_TAGS, _MOST_VALUES = 100, 20, 4096, 64
_MOST_TAGS_IN_ALL = 20_000
_MAY_BE_CUT_OFF = 1_000_000  # bytes of values behind the end of a file whose picture may be whole all the same
_SIZES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # BYTE, SHORT, LONG, IFD, LONG8, IFD8
_BYTES = {kind: struct.calcsize(code) for kind, code in _SIZES.items()}
_OTHER_BYTES = {2: 1, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 17: 8}  # of the types without whole numbers
_NEW_SUBFILE, _SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 259, 262
_BITS, _STRIPS, _SAMPLES, _ROWS_PER_STRIP, _PLANES, _TILE_WIDTH, _TILE_LENGTH, _TILES = (
    258, 273, 277, 278, 284, 322, 323, 324
)  # fmt: skip
_SUB_DIRECTORIES, _CFA_PATTERN, DNG_VERSION = 330, 33422, 50706
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_TRANSPARENCY_MASK, _CFA, _LINEAR_RAW = 4, 32803, 34892  # photometrics
_RAW_COMPRESSIONS = {32767: "ARW", 32769: "ARW", 32770: "SRW", 34713: "NEF", 65000: "KDC", 65535: "PEF"}


@dataclass
class Directory:
    offset: int
    values: dict[int, tuple[int, ...]]  # of tags that hold whole numbers, the first ones of each
    tags: frozenset[int]
    counts: dict[int, int] = field(default_factory=dict)  # of all values of these tags
    last: int = 0  # where the offset of the next directory stands
    inside: list[Directory] = field(default_factory=list)

    def first(self, tag: int, default: int = 0) -> int:
        return (self.values.get(tag) or (default,))[0]

    @property
    def size(self) -> tuple[int, int]:
        return self.first(_WIDTH), self.first(_HEIGHT)

    @property
    def samples(self) -> int:
        """A pixel's."""
        return self.first(_SAMPLES, 1)

    @property
    def depth(self) -> int:
        """Bits of the deepest sample."""
        return max(self.values.get(_BITS) or (1,))

    @property
    def pieces(self) -> int:
        """Strips or tiles: as many as it lists, or as its size needs."""
        width, height = self.size
        tile_width, tile_length = self.first(_TILE_WIDTH), self.first(_TILE_LENGTH)
        if tile_width and tile_length:
            needed = -(-width // tile_width) * -(-height // tile_length)
        else:
            needed = -(-height // max(1, self.first(_ROWS_PER_STRIP, height)))
        planes = max(1, self.samples) if self.first(_PLANES, 1) == 2 else 1
        return max(self.counts.get(_STRIPS, 0), self.counts.get(_TILES, 0), needed * planes)

    @property
    def stored_bytes(self) -> int:
        """Of the decoded samples of all strips or tiles, which may reach beyond the picture."""
        width, height = self.size
        tile_width, tile_length = self.first(_TILE_WIDTH), self.first(_TILE_LENGTH)
        if tile_width and tile_length:
            width, height = -(-width // tile_width) * tile_width, -(-height // tile_length) * tile_length
        return width * height * max(1, self.samples) * self.depth // 8

    @property
    def reduced(self) -> bool:
        return bool(self.first(_NEW_SUBFILE) & _REDUCED) or self.first(_SUBFILE) == 2

    @property
    def mask(self) -> bool:
        return bool(self.first(_NEW_SUBFILE) & _MASK) or self.first(_PHOTOMETRIC) == _TRANSPARENCY_MASK

    @property
    def picture(self) -> bool:
        return all(self.size) and not self.mask


def layout(header: bytes) -> tuple[str, bool]:
    """Byte order (`<` or `>`) and whether offsets have 64 bits (BigTIFF)."""
    order = {b"II": "<", b"MM": ">"}[header[:2]]
    return order, struct.unpack_from(order + "H", header, 2)[0] == 43


def read(stream: BinaryIO) -> list[Directory]:
    """The chain of directories, with those inside them. ValueError: not even one."""
    stream.seek(0)
    header = stream.read(16)
    order, big = layout(header)
    (offset,) = struct.unpack_from(order + "Q", header, 8) if big else struct.unpack_from(order + "I", header, 4)
    size = stream.seek(0, io.SEEK_END)
    chain: list[Directory] = []
    seen: set[int] = set()
    room = _MOST_TAGS_IN_ALL
    while offset and offset not in seen and len(chain) < _MOST_IN_CHAIN:
        seen.add(offset)
        try:
            directory, offset = _directory(stream, offset, order, big, size, room)
            room -= len(directory.tags)
            for inner in directory.values.get(_SUB_DIRECTORIES, ())[:_MOST_INSIDE]:
                if inner and inner not in seen:
                    seen.add(inner)
                    directory.inside.append(_directory(stream, inner, order, big, size, room)[0])
                    room -= len(directory.inside[-1].tags)
        except (struct.error, ValueError, OverflowError, OSError):
            break  # what came before may be the photo
        chain.append(directory)
    if not chain:
        raise ValueError("a TIFF file without a directory")
    return chain


def raw_kind(chain: list[Directory], head: bytes) -> str | None:
    """ "DNG", "NEF", … or "raw" for a file whose picture is what a camera's sensor saw."""
    every = [inner for directory in chain for inner in (directory, *directory.inside)]
    sensor = any(
        directory.first(_PHOTOMETRIC) in (_CFA, _LINEAR_RAW) or _CFA_PATTERN in directory.tags for directory in every
    )
    compressions = (_RAW_COMPRESSIONS.get(directory.first(_COMPRESSION)) for directory in every)
    kind = "CR2" if head[8:10] == b"CR" else next((kind for kind in compressions if kind), None)
    if not sensor and not kind:
        return None
    kind = "DNG" if DNG_VERSION in chain[0].tags else kind
    return f" ({kind})" if kind else ""


def photo_of(chain: list[Directory]) -> Directory:
    """The directory of the full picture: the first one, unless that is a smaller copy of another."""
    every = [inner for directory in chain for inner in (directory, *directory.inside) if inner.picture]
    full = [directory for directory in every if not directory.reduced]
    if not every:
        return chain[0]
    if not full:
        return max(every, key=_area)  # all called smaller copies, of a picture that is not here
    larger = max(full, key=_area)
    return larger if _is_smaller_copy(full[0], larger) else full[0]


def further_pictures(chain: list[Directory], photo: Directory) -> int:
    """How many pictures of their own the chain holds beside the photo."""
    others = (d for d in chain if d is not photo and d.picture and not d.reduced and not _is_smaller_copy(d, photo))
    return sum(1 for _ in others)


def alone(stream: BinaryIO, photo: Directory) -> io.BytesIO:
    """The same file with this directory as its first and last, for readers that would follow all of them."""
    stream.seek(0)
    changed = io.BytesIO(stream.read())
    order, big = layout(changed.read(16))
    for place, offset in ((8 if big else 4, photo.offset), (photo.last, 0)):
        changed.seek(place)
        changed.write(struct.pack(order + ("Q" if big else "I"), offset))
    changed.seek(0)
    return changed


def _area(directory: Directory) -> int:
    width, height = directory.size
    return width * height


def _is_smaller_copy(small: Directory, large: Directory) -> bool:
    """At most half as wide and high, and of the same shape, to a pixel of the smaller one."""
    (width, height), (full_width, full_height) = small.size, large.size
    if 2 * width > full_width or 2 * height > full_height:
        return False
    return abs(width * full_height - height * full_width) <= max(full_width, full_height)


def _directory(stream: BinaryIO, offset: int, order: str, big: bool, size: int, room: int) -> tuple[Directory, int]:
    """A directory and the offset of the next in its chain. Raises struct.error where the file ends."""
    stream.seek(offset)
    (count,) = struct.unpack(order + ("Q" if big else "H"), stream.read(8 if big else 2))
    if count > min(_MOST_TAGS, room):
        raise ValueError("more tags than any picture has")
    entry_bytes, room = (20, 8) if big else (12, 4)
    entries = stream.read(count * entry_bytes)
    following = stream.read(room)
    if len(entries) < count * entry_bytes:
        raise ValueError("the directory is cut off")
    (next_offset,) = struct.unpack(order + ("Q" if big else "I"), following) if len(following) == room else (0,)
    values, tags, counts, claimed = {}, set(), {}, 0
    for at in range(0, len(entries), entry_bytes):
        tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), entries, at)
        tags.add(tag)
        length = number * (_BYTES.get(kind) or _OTHER_BYTES.get(kind, 0))
        claimed += length if length <= size else 0  # a single one that is damaged is passed over by every reader
        if claimed > size + _MAY_BE_CUT_OFF:
            raise ValueError("tags that claim to be longer than the file")
        if tag in (_STRIPS, _TILES):
            counts[tag] = number
        if kind not in _SIZES:
            continue
        place = entries[at + entry_bytes - room : at + entry_bytes]
        if number * _BYTES[kind] > room:
            stream.seek(struct.unpack(order + ("Q" if big else "I"), place)[0])
            place = stream.read(min(number, _MOST_VALUES) * _BYTES[kind])
        known = min(number, _MOST_VALUES, len(place) // _BYTES[kind])
        values[tag] = struct.unpack_from(f"{order}{known}{_SIZES[kind]}", place)
    last = offset + (8 if big else 2) + len(entries)
    return Directory(offset, values, frozenset(tags), counts, last), next_offset
