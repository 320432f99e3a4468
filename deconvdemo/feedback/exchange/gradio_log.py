"""Folders that Gradio's flagging fills: dataset1.csv, dataset2.csv, … and the images that their cells name."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deconvdemo.bounded import BoundsError, parsed_json, read_file
from deconvdemo.errors import DatasetError
from deconvdemo.feedback.exchange.columns import Row, Table, with_part
from deconvdemo.hub.datasets import SUFFIXES
from deconvdemo.hub.inside import file_inside
from deconvdemo.image.recognition import kind_of

LARGEST_FILE, LARGEST_CELL, MOST_COLUMNS = 100_000_000, 10_000_000, 500  # bytes, characters
_RISKY = "=+-@\t\r\n"  # Gradio writes ' before a cell that begins so


def read_log(folder: Path, refuse: Callable[[str], None]) -> Iterator[Table]:
    """Each CSV file there; a row that is not whole is named to `refuse`, and so is a file that is none.

    An image is found by the end of its path, so the folder may have been moved since. Nothing outside it is read.
    """
    csv.field_size_limit(LARGEST_CELL)
    for file in sorted(folder.glob("*.csv"), key=lambda file: (len(file.name), file.name)):
        try:
            header, lines = _lines(folder, file, refuse)
        except (OSError, csv.Error, BoundsError, DatasetError) as error:
            refuse(f"{file} cannot be read as CSV ({error})")
            continue
        columns = [_Column(folder, name, [line[place] for line in lines]) for place, name in enumerate(header)]
        images = tuple(with_part(column.name, part) for column in columns for part in column.parts)
        yield Table(str(file), images, _rows(columns, len(lines)))


def _lines(folder: Path, file: Path, refuse: Callable[[str], None]) -> tuple[list[str], list[list[str]]]:
    lines: list[list[str]] = []
    data = read_file(file_inside(folder, file.name), LARGEST_FILE)
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig", errors="replace").replace("\0", ""), newline=""))
    header = [_bare(cell) for cell in next(rows, [])]
    if len(header) > MOST_COLUMNS:
        raise BoundsError(f"has {len(header):,} columns, but at most {MOST_COLUMNS} are read")
    header = _different(header)
    try:
        for cells in rows:
            if not cells:
                continue
            if len(cells) == len(header):
                lines.append(cells)
            else:  # two processes wrote at once, or the file's columns changed
                refuse(f"line {rows.line_num} of {file} has {len(cells)} cells, but the columns are {len(header)}")
    except csv.Error as error:
        refuse(f"{file} cannot be read from line {rows.line_num} on ({error})")
    return header, lines


def _different(names: list[str]) -> list[str]:
    """Two components may have one label."""
    found: list[str] = []
    for name in names:
        times = names[: len(found)].count(name)
        found.append(f"{name} #{times + 1}" if times else name)
    return found


def _rows(columns: list[_Column], count: int) -> Iterator[Row]:
    for number in range(count):
        values: dict[str, Any] = {}
        images: dict[str, Path | bytes | None] = {}
        for column in columns:
            if column.parts:
                images |= {with_part(column.name, part): column.images[number].get(part) for part in column.parts}
            else:
                values[column.name] = _bare(column.cells[number])
        yield values, images


class _Column:
    """What one component was, row by row. `parts`: the names of its images within a cell, "" for a cell that is one."""

    def __init__(self, folder: Path, name: str, cells: list[str]):
        self.name, self.cells = name, cells
        values = [_read(cell) for cell in cells]
        numbered = _names([value for value in values if isinstance(value, list)])
        self.images: list[dict[str, Path]] = []
        for value in values:
            found = {part: file for part, path in _paths(value) if (file := _image(folder, path))}
            self.images.append({numbered.get(part, str(part)): file for part, file in found.items()})
        self.parts = list(dict.fromkeys(part for images in self.images for part in images))


def _names(lists: list[list]) -> dict[str | int, str]:
    """What the images of a column's lists are called, if not by their numbers.

    Two files in every row are an ImageSlider's [before, after]; a gallery's pictures are dictionaries, and may have
    captions. One in every row is the cell's image.
    """
    if {len(values) for values in lists} == {1}:
        return {1: ""}
    gallery = any(isinstance(value, Mapping) and "image" in value for values in lists for value in values)
    return {1: "before", 2: "after"} if {len(values) for values in lists} == {2} and not gallery else {}


def _read(cell: str) -> Any:
    try:
        return parsed_json(cell) if cell[:1] in ("{", "[") else cell
    except ValueError:
        return cell


def _paths(value: Any) -> Iterator[tuple[str | int, Any]]:
    """(part, path) of what a component logs: a file, a list of them, an editor's drawing, an annotated image."""
    if isinstance(value, list):
        yield from enumerate(map(_path, value), 1)
    elif isinstance(value, Mapping) and ("background" in value or "composite" in value):
        yield "background", _path(value.get("background"))
        for number, layer in enumerate(_listed(value.get("layers")), 1):
            yield f"layer {number}", _path(layer)
        yield "composite", _path(value.get("composite"))
    elif isinstance(value, Mapping) and "annotations" in value:
        yield "image", _path(value.get("image"))
        for number, note in enumerate(_listed(value["annotations"]), 1):
            yield f"annotation {number}", _path(note)
    elif isinstance(value, Mapping) and isinstance(value.get("files"), list):
        yield from enumerate(map(_path, value["files"]), 1)
    else:
        yield "", _path(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _path(value: Any) -> Any:
    """Of a file as Gradio logs one: a path, a dictionary with one, or with a caption."""
    while isinstance(value, Mapping | list):
        value = value.get("path") or value.get("image") if isinstance(value, Mapping) else (value or [None])[0]
    return value


def _image(folder: Path, named: Any) -> Path | None:
    """The image of the folder that a path names."""
    if not named or not isinstance(named, str) or "\n" in named:
        return None
    path = Path(named.replace("\\", "/"))  # it may have been written on Windows
    for depth in (3, 2, 1):  # label/a hash/name, in the folder
        if len(path.parts) < depth:
            continue
        file = folder.joinpath(*path.parts[-depth:])
        try:
            if file.is_file() and file.resolve().is_relative_to(folder.resolve()) and _looks_like_an_image(file):
                return file
        except (OSError, ValueError):
            continue
    return None


def _looks_like_an_image(file: Path) -> bool:
    """By its name, so that a damaged one is refused in words; or by its first bytes."""
    if file.suffix.lower() in SUFFIXES:
        return True
    with file.open("rb") as opened:
        return kind_of(opened.read(64)) is not None


def _bare(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in _RISKY else cell
