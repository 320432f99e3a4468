"""A safetensors file as somebody else may have written it: its header is understood before a tensor is made of it.

8 bytes of length, that much JSON (name → type, shape and place of a tensor, and metadata), then the tensors' bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconvdemo.atomic import WriteError, write_atomically
from deconvdemo.bounded import BoundsError, clipped, parsed_json, read_file
from deconvdemo.errors import CheckpointError
from deconvdemo.hub.download import LARGEST_FILE

LARGEST_HEADER = 4_000_000  # bytes; ours have some 50,000
MOST_TENSORS = 10_000
LONGEST_NAME = 200  # characters
# kinds of numbers that networks are made of → bytes of each
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
METADATA = "__metadata__"

_NOT_WEIGHTS = (
    (
        b"PK\x03\x04",
        "is a PyTorch pickle (.pt, .pth), and no pickle is opened here: convert it to safetensors",
    ),
    (b"\x80", "is a Python pickle, and no pickle is opened here: convert it to safetensors"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the weights themselves: run `git lfs pull`"),
)


@dataclass(frozen=True)
class Layout:
    """What a file says that its tensors are."""

    kind: str  # a key of SIZES
    shape: tuple[int, ...]

    @property
    def is_floating_point(self) -> bool:
        return "F" in self.kind


def write_file(path: Path, data: bytes) -> None:
    """Weights, or what is told of them, whole or not at all. CheckpointError: what was there before is intact."""
    try:
        write_atomically(path, data)
    except WriteError as error:
        raise CheckpointError(str(error)) from error


def read_weights(path: Path) -> bytes:
    """The whole of a weights file. CheckpointError: not there, not a file, larger than any weights, or empty."""
    try:
        data = read_file(path, LARGEST_FILE)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist: check the path of the weights") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path} is a folder, but one weights file was expected") from None
    except BoundsError as error:
        raise CheckpointError(f"{path} {error}: name a .safetensors file that `deconvdemo train` wrote") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise CheckpointError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not data:
        raise CheckpointError(f"{path} is empty (0 bytes): fetch it again")
    return data


def require_no_pickle(data: bytes, file: str) -> None:
    """Raises CheckpointError for a file of a kind that people take for weights."""
    for magic, explanation in _NOT_WEIGHTS:
        # a safetensors file begins with the length of its JSON, whose lowest byte may look like a pickle's first
        if data.startswith(magic) and data[8:9] != b"{":
            raise CheckpointError(f"{file} {explanation}")


def contents(data: bytes, file: str) -> tuple[dict[str, str], dict[str, Layout]]:
    """The metadata and the layout of each tensor. CheckpointError, naming `file`, unless they fill it exactly."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or data[8:9] != b"{":
        raise CheckpointError(f"{file} is not a safetensors file: use weights that `deconvdemo train` wrote")
    if length > LARGEST_HEADER:
        raise CheckpointError(f"{file} has a header of {length:,} bytes, but at most {LARGEST_HEADER:,} are read")
    if 8 + length > len(data):
        raise CheckpointError(f"{file} is truncated ({len(data)} bytes): fetch it again")
    try:
        entries = parsed_json(data[8 : 8 + length], deepest=4)
        metadata = entries.pop(METADATA, {})
        if not all(isinstance(text, str) for text in metadata.values()):
            raise BoundsError("has metadata that is not text")
        if len(entries) > MOST_TENSORS:
            raise BoundsError(f"has more than {MOST_TENSORS:,} tensors")
        places = sorted((*_place(name, entry), name) for name, entry in entries.items())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f" that {error}" if isinstance(error, BoundsError) else ""
        raise CheckpointError(f"{file} has a damaged safetensors header{why}: fetch it again") from None
    end = 0
    for start, stop, name in places:
        if start != end:
            raise CheckpointError(f"{file} is damaged (a gap is before its tensor {clipped(name)}): fetch it again")
        end = stop
    if len(data) < 8 + length + end:
        raise CheckpointError(f"{file} is truncated ({len(data)} of {8 + length + end} bytes): fetch it again")
    if len(data) > 8 + length + end:
        raise CheckpointError(f"{file} is damaged (its tensors end before it does): fetch it again")
    return metadata, {name: Layout(entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()}


def _place(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor's bytes begin and end, which its type and shape must agree with."""
    kind, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise BoundsError(f"has a tensor called {clipped(name)!r}")
    if not isinstance(kind, str) or kind not in SIZES:
        raise BoundsError(f"has {clipped(name)} of the type {clipped(kind, 20)}, not one of {', '.join(SIZES)}")
    if not isinstance(shape, list) or len(shape) > 8 or not all(_is_count(number) for number in (*shape, start, stop)):
        raise BoundsError(f"has {clipped(name)} of a shape or at a place that is none")
    if stop - start != math.prod(shape) * SIZES[kind]:
        raise BoundsError(f"has {clipped(name)} of {stop - start} bytes, but its shape takes others")
    return start, stop


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0
