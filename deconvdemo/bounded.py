"""Files and JSON that a stranger may have written: how much there is of them is known before it is read or used."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DEEPEST = 16  # lists and dictionaries within each other
MOST_VALUES = 100_000
LARGEST_WHOLE = 1 << 63


class BoundsError(ValueError):
    """More than was allowed, or another thing than a file: the end of a sentence that begins with its name."""


def read_file(path: Path, most: int) -> bytes:
    """A regular file of at most `most` bytes. OSError and BoundsError; a pipe or a device is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, "it is a folder")
        if not stat.S_ISREG(status.st_mode):
            raise BoundsError("is not a regular file")
        if status.st_size > most:
            raise BoundsError(f"has {in_bytes(status.st_size)}, but at most {in_bytes(most)} are read")
        data = file.read(most + 1)
    if len(data) > most:  # it grew meanwhile
        raise BoundsError(f"has more than the {in_bytes(most)} that are read")
    return data


def parsed_json(text: str | bytes, deepest: int = DEEPEST, most_values: int = MOST_VALUES) -> Any:
    """JSON of bounded depth and count, each key once, with finite numbers and whole characters. Else ValueError."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise BoundsError(f"has values nested more than {deepest} deep") from None
    require_bounded(value, deepest, most_values)
    return value


def clipped(value: Any, most: int = 80) -> str:
    """A stranger's value for a sentence: one line, not much of it."""
    text = value if isinstance(value, str) else repr(value)
    shown = "".join(character if character.isprintable() else "�" for character in text[:most])
    return shown + ("…" if len(text) > most else "")


def in_bytes(count: int) -> str:
    """ "240.0 MB" """
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count:,} bytes"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):  # two readers may take different ones
        raise BoundsError("has a key twice")
    return made


def _no_number(text: str) -> Any:
    raise BoundsError(f"has {text}, which is no number of JSON's")


def require_bounded(value: Any, deepest: int, most_values: int | None = None, whole_text: bool = True) -> None:
    """BoundsError for a value of JSON's that is nested deeper, has more values, or a number that nothing here takes.

    `whole_text`: and for one with half a character (a lone surrogate) in a text.
    """
    level, depth, count = [value], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if most_values is not None and count > most_values:
            raise BoundsError(f"has more than {most_values:,} values")
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict | list) and depth > deepest:
                raise BoundsError(f"has values nested more than {deepest} deep")
            if isinstance(item, dict):
                below += item.values()
                _require_text(item if whole_text else ())
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str):
                _require_text([item] if whole_text else ())
            elif isinstance(item, float) and not math.isfinite(item):
                raise BoundsError("has a number that is not finite")
            elif isinstance(item, int) and abs(item) >= LARGEST_WHOLE:
                raise BoundsError("has a whole number of more than 64 bits")
        level = below


def _require_text(texts: Iterable[str]) -> None:
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        raise BoundsError("has half a character") from None
