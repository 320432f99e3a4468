"""Paths that a stranger wrote: they lead to files inside one place, or nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from deconvdemo.bounded import clipped
from deconvdemo.errors import DatasetError

LONGEST_PATH = 500  # characters


def relative_parts(text: str) -> list[str]:
    """The parts of a plain relative path, such as images/1.png. DatasetError for every other text.

    Neither absolute paths nor addresses nor `..`, and nothing that some program or system reads as one of them:
    backslashes, drives, `~`, percent signs that stand for characters.
    """
    parts = text.split("/")
    plain = text.isprintable() and 0 < len(text) <= LONGEST_PATH and unquote(text) == text
    if not plain or re.search(r"[\\:*?<>|]", text) or text.startswith("~") or {"", ".", ".."} & set(parts):
        raise DatasetError(
            f"{clipped(text)!r} is not read: an image is in its row, or named by a plain path inside the dataset"
        )
    return parts


def file_inside(folder: Path, text: str) -> Path:
    """The file that a plain relative path names in a folder, which no link leads out of. Else DatasetError."""
    file = folder.joinpath(*relative_parts(text))
    try:
        real = file.resolve(strict=True)
        inside = real.is_relative_to(folder.resolve()) and real.is_file()
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle
        raise DatasetError(f"there is no file {clipped(text)!r} in {folder}") from None
    if not inside:
        raise DatasetError(f"{clipped(text)!r} leads out of {folder}, or is no file: it is not read")
    return real
