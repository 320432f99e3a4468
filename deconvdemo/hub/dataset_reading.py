"""What a dataset holds, read in a process of its own: others wrote it, and its rows may name any file of this machine.

An image is what is embedded in its row, or a file inside the dataset: of the folder, or of the repository at the commit
that is read. What names another place is refused, row by row; so is a card that places the dataset's files elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from deconvdemo.bounded import clipped, in_bytes, parsed_json, read_file
from deconvdemo.errors import DatasetError
from deconvdemo.hub.inside import file_inside, relative_parts
from deconvdemo.hub.parquet_rows import LARGEST_CELL, MOST_ROWS, Damage, ParquetRows, plain, too_much

USUAL_SPLIT, USUAL_COLUMN = "train", "image"  # where there are several and none is asked for

Image = Path | bytes
Row = tuple[dict[str, Any], dict[str, Image | None]]  # values and images, by column
Named = Callable[[str], Image]  # the image that a row names by a path; DatasetError for what is elsewhere


def rows(place: Path | str, revision: str, name: str, split: str) -> Iterator[Row | DatasetError]:
    """Each row of a dataset on this disk (a Path) or on the Hub ("owner/name"), or why it is not read."""
    read = _read(place, revision, name, split)
    for where, row in read.rows(None):
        if isinstance(row, DatasetError):
            yield row
            continue
        try:
            images = {column: _content(row.pop(column), read.named) for column in read.images if column in row}
        except DatasetError as error:
            yield DatasetError(f"{where}: {error}")
            continue
        yield row, images


def images(
    place: Path | str, revision: str, name: str, split: str, column: str
) -> Iterator[tuple[str, Image | DatasetError]]:
    """(name, image) of each row of the one column that is meant, or why it is none."""
    read = _read(place, revision, name, split)
    column = _chosen(name, "image column", column, read.columns if column else read.images, USUAL_COLUMN)
    for where, row in read.rows([column]):
        if isinstance(row, DatasetError):
            yield where, row
            continue
        try:
            content = _content(row[column], read.named)
        except DatasetError as error:
            yield where, error
            continue
        yield where, content if content is not None else DatasetError("it has no image")


def parquet(file: str, name: str) -> Iterator[dict[str, Any] | DatasetError]:
    """Each row of one parquet file, as it is, or why it is not read."""
    for row in ParquetRows(file, name).rows():
        yield DatasetError(f"{row.where} of {name} cannot be read ({row.why})") if isinstance(row, Damage) else row


# ---- what there is at the place


class _Parquet:
    """The parquet files of one split, one after another: a damaged one is told, and the next is read."""

    def __init__(self, name: str, files: Sequence[tuple[str, Callable[[], Any]]], named: Named):
        self.name, self.named = name, named
        self._opened: list[tuple[str, ParquetRows]] = []
        self._refused: list[tuple[str, DatasetError]] = []
        for file, opened in files:
            try:
                self._opened.append((file, ParquetRows(opened(), file)))
            except DatasetError as error:
                self._refused.append((file, error))
        if not self._opened:
            raise next((error for _, error in self._refused), DatasetError(f"{name} has no rows"))
        self.columns = self._opened[0][1].columns
        self.images = list(dict.fromkeys(column for _, one in self._opened for column in one.images()))

    def rows(self, columns: Sequence[str] | None) -> Iterator[tuple[str, dict[str, Any] | DatasetError]]:
        yield from self._refused
        for file, opened in self._opened:
            if missing := set(columns or ()) - set(opened.columns):
                yield file, DatasetError(f"{file} has no column {clipped(min(missing))!r}: it is not read")
                continue
            for number, row in enumerate(opened.rows(columns)):
                if isinstance(row, Damage):
                    yield f"{file} {row.where}", DatasetError(f"{row.where} of {file} cannot be read ({row.why})")
                else:
                    yield f"{file} row {number}", row


class _Streamed:
    """One split of any other kind of dataset, as the `datasets` library streams it."""

    def __init__(self, name: str, stream: Any, named: Named):
        from datasets import Image

        self.name, self.named, self._stream = name, named, stream
        features = stream.features or {}
        self.columns = list(features)
        self.images = [column for column, kind in features.items() if isinstance(kind, Image)]

    def rows(self, columns: Sequence[str] | None) -> Iterator[tuple[str, dict[str, Any] | DatasetError]]:
        stream = self._stream.decode(False)
        for number, row in enumerate(stream if columns is None else stream.select_columns(list(columns))):
            where = f"{self.name} row {number}"
            if number >= MOST_ROWS:
                raise DatasetError(f"{self.name} has more than the {MOST_ROWS:,} rows that are read")
            large = next((problem for value in row.values() if (problem := too_much(value))), "")
            yield where, DatasetError(f"{where}: it {large}") if large else plain(row)


def _read(place: Path | str, revision: str, name: str, split: str) -> _Parquet | _Streamed:
    if isinstance(place, str):
        return _on_hub(place, revision, name, split)
    if not place.is_dir():
        return _Parquet(name, [(name, lambda: str(place))], _embedded_alone)
    if (place / "dataset_dict.json").is_file() or (place / "state.json").is_file():
        return _saved(place, name, split)
    from datasets import load_dataset, load_dataset_builder

    builder = load_dataset_builder(str(place))
    splits = {str(which): list(files) for which, files in (builder.config.data_files or {}).items()}
    root = place.resolve()
    for file in (file for files in splits.values() for file in files):
        if "://" in file or not Path(file).resolve().is_relative_to(root):
            raise DatasetError(f"{name} names {clipped(file)!r}, which is not inside it: it is not read")
    if type(builder).__name__.startswith("Parquet"):
        chosen = splits[_chosen(name, "split", split, list(map(str, splits)), USUAL_SPLIT)]
        opened = [(file, partial(str, file)) for file in chosen]
        return _Parquet(name, opened, partial(file_inside, place))
    stream = load_dataset(str(place), streaming=True)
    rows_of_split = stream[_chosen(name, "split", split, list(map(str, stream)), USUAL_SPLIT)]
    return _Streamed(name, rows_of_split, partial(_file_below, place))


def _saved(place: Path, name: str, split: str) -> _Streamed:
    """As `save_to_disk` leaves a dataset."""
    from datasets import Dataset, load_from_disk

    for state in sorted(place.rglob("state.json")):
        told = parsed_json(read_file(state, LARGEST_CELL))
        for file in (str(part["filename"]) for part in told.get("_data_files") or ()):
            file_inside(state.parent, file)  # no other file of this machine
    saved = load_from_disk(str(place))
    splits = {split or USUAL_SPLIT: saved} if isinstance(saved, Dataset) else saved
    chosen = splits[_chosen(name, "split", split, list(map(str, splits)), USUAL_SPLIT)]
    return _Streamed(name, chosen.to_iterable_dataset(), partial(file_inside, place))


def _on_hub(repo: str, revision: str, name: str, split: str) -> _Parquet | _Streamed:
    from datasets import load_dataset, load_dataset_builder
    from huggingface_hub import HfApi, HfFileSystem

    commit = HfApi().dataset_info(repo, revision=revision or None).sha  # one from the first image to the last
    root = f"hf://datasets/{repo}@{commit}/"
    builder = load_dataset_builder(repo, revision=commit)
    splits = {str(which): list(files) for which, files in (builder.config.data_files or {}).items()}
    for file in (file for files in splits.values() for file in files):
        try:
            if not file.startswith(root):
                raise DatasetError("it is elsewhere")
            relative_parts(file.removeprefix(root))
        except DatasetError:
            raise DatasetError(f"{name} names {clipped(file)!r}, which is not inside it: it is not read") from None
    named = partial(_fetched, root)
    if type(builder).__name__.startswith("Parquet"):
        chosen = splits[_chosen(name, "split", split, list(map(str, splits)), USUAL_SPLIT)]
        hub = HfFileSystem()
        opened = [(file.removeprefix(root), partial(hub.open, file, "rb")) for file in chosen]
        return _Parquet(name, [(f"{name} {file}" if len(chosen) > 1 else name, open_) for file, open_ in opened], named)
    stream = load_dataset(repo, revision=commit, streaming=True)
    return _Streamed(name, stream[_chosen(name, "split", split, list(map(str, stream)), USUAL_SPLIT)], named)


# ---- images


def _content(value: Any, named: Named) -> Image | None:
    """What an image's cell holds. DatasetError for what is none."""
    if isinstance(value, Mapping):
        path, value = value.get("path"), value.get("bytes")
        value = path if value is None else value
    if value is None or value == "":
        return None
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return named(value)
    raise DatasetError(f"{clipped(value)} is no image")


def _embedded_alone(text: str) -> Image:
    raise DatasetError(f"{clipped(text)!r} is not read: the images of one parquet file are those in its rows")


def _file_below(folder: Path, text: str) -> Image:
    """A file that the library names in full, as it found it in the folder."""
    return file_inside(folder, text.removeprefix(f"{folder.resolve()}/").removeprefix(f"{folder}/"))


def _fetched(root: str, text: str) -> Image:
    """A file of the repository, at the commit that is read; `root` is how the library names those in full."""
    from huggingface_hub import HfFileSystem

    address = root + "/".join(relative_parts(text.removeprefix(root)))
    hub = HfFileSystem()
    try:
        size = hub.info(address)["size"] or 0
        if size > LARGEST_CELL:
            raise DatasetError(f"{clipped(text)!r} has {in_bytes(size)}, but at most {in_bytes(LARGEST_CELL)} are read")
        return hub.read_bytes(address)
    except FileNotFoundError:
        raise DatasetError(f"there is no file {clipped(text)!r} in the dataset") from None


def _chosen(name: str, what: str, asked: str, there: Sequence[str], usual: str) -> str:
    """What is asked for, else the only one there is, else the usual one."""
    choice = asked or (there[0] if len(there) == 1 else usual)
    if choice not in there:
        among = f"name one of {', '.join(there)}" if there else "it has none"
        raise DatasetError(f"{name} has no {what} {choice!r}: {among} (PLACE[:split[:column]])")
    return choice
