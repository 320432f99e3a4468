"""Folders that Gradio's flagging fills: dataset1.csv, dataset2.csv, … and the images that their cells name."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deconvdemo.errors import FeedbackError
from deconvdemo.image_datasets import SUFFIXES

_RISKY = "=+-@\t\r\n"  # Gradio writes ' before a cell that begins so


def read_log(folder: Path, refused: list[str]) -> Iterator[tuple[dict[str, Any], dict[str, Path | bytes]]]:
    """(values, images) by column, for each row of each CSV file there. A row that is not whole is named in `refused`.

    An image is found by the end of its path, so the folder may have been moved since. Nothing outside it is read.
    """
    csv.field_size_limit(10_000_000)
    for file in sorted(folder.glob("*.csv"), key=lambda file: (len(file.name), file.name)):
        try:
            with file.open(newline="", encoding="utf-8-sig", errors="replace") as opened:
                rows = csv.reader(line.replace("\0", "") for line in opened)
                header = [_bare(cell) for cell in next(rows, [])]
                for cells in rows:
                    if not cells:
                        continue
                    if len(cells) != len(header):  # two processes wrote at once, or the file's columns changed
                        refused.append(
                            f"line {rows.line_num} of {file} has {len(cells)} cells, but the columns are {len(header)}"
                        )
                        continue
                    yield _row(folder, dict(zip(header, cells, strict=True)))
        except (OSError, csv.Error) as error:
            raise FeedbackError(f"{file} cannot be read as CSV ({error})") from error


def _row(folder: Path, cells: dict[str, str]) -> tuple[dict[str, Any], dict[str, Path | bytes]]:
    images: dict[str, Path | bytes] = {}
    values: dict[str, Any] = {}
    for column, cell in cells.items():
        file = _image(folder, cell)
        if file:
            images[column] = file
        else:
            values[column] = _bare(cell)
    return values, images


def _image(folder: Path, cell: str) -> Path | None:
    """The image of the folder that a cell names: by a path, or in JSON with one, as an image editor's has."""
    try:
        named = json.loads(cell) if cell[:1] in ("{", "[") else cell
    except ValueError:
        named = cell
    while isinstance(named, list | dict):
        if isinstance(named, list):
            named = named[0] if named else ""
        else:
            named = named.get("path") or named.get("background") or named.get("composite") or named.get("image") or ""
    path = Path(str(named))
    if path.suffix.lower() not in SUFFIXES:
        return None
    for depth in (3, 2, 1):  # label/a hash/name, in the folder
        file = folder.joinpath(*path.parts[-depth:]) if len(path.parts) >= depth else folder / path
        try:
            if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
                return file
        except (OSError, ValueError):
            continue
    return None


def _bare(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in _RISKY else cell
