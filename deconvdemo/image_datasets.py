"""Hugging Face datasets of images, on this disk or on the Hub, read by streaming."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconvdemo.errors import ControlError, DatasetError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
USUAL_SPLIT, USUAL_COLUMN = "train", "image"  # where there are several and none is asked for
_HUB = re.compile(
    r"hf://datasets/(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^:\s]+))?(?::(?P<split>[^:\s]*))?(?::(?P<column>.+))?"
)


@dataclass(frozen=True)
class LocalDataset:
    """A parquet file, a folder of them, or one that `save_to_disk` wrote: PATH[:split[:column]]."""

    path: Path
    split: str = ""
    column: str = ""

    @classmethod
    def at(cls, text: str) -> LocalDataset | None:
        """None if there is no dataset at that place."""
        for path, *rest in ([text], text.rsplit(":", 1), text.rsplit(":", 2)):
            if _is_dataset(Path(path)):
                return cls(Path(path), *rest)
        return None

    @property
    def name(self) -> str:
        return _name(str(self.path), self.split, self.column)

    @property
    def identity(self) -> Any:
        files = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        return [self.split, self.column, *listing(file for file in files if file.is_file())]

    def data(self) -> list[str]:
        return []

    def images(self) -> Iterator[tuple[str, Path | bytes]]:
        return _images(self.name, self._load, self.split, self.column)

    def rows(self) -> Iterator[tuple[dict[str, Any], dict[str, Path | bytes | None]]]:
        """(values, images by column) of each row; None for an image that a row lacks."""
        return _rows(self.name, self._load, self.split)

    def _load(self) -> Mapping[str, Any]:
        from datasets import Dataset, load_dataset, load_from_disk

        if _is_saved(self.path):
            saved = load_from_disk(str(self.path))
            splits = {self.split or USUAL_SPLIT: saved} if isinstance(saved, Dataset) else saved
            return {name: rows.to_iterable_dataset() for name, rows in splits.items()}
        if self.path.is_dir():
            return load_dataset(str(self.path), streaming=True)
        return load_dataset("parquet", data_files=str(self.path), streaming=True)


@dataclass(frozen=True)
class HubDataset:
    """hf://datasets/owner/name[@revision][:split[:column]].

    What was read once stays in the cache, also when the branch moves on: a resumed run trains on the same images.
    """

    repo: str
    revision: str = ""
    split: str = ""
    column: str = ""

    @classmethod
    def parse(cls, text: str) -> HubDataset:
        """Raises ControlError for anything else."""
        match = _HUB.fullmatch(text)
        if not match:
            raise ControlError(
                f"{text!r} is no dataset on the Hub: write hf://datasets/owner/name[@revision][:split[:column]]"
            )
        return cls(**{key: value or "" for key, value in match.groupdict().items()})

    @property
    def name(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return _name(f"hf://datasets/{self.repo}{revision}", self.split, self.column)

    @property
    def identity(self) -> Any:
        return self.name

    def data(self) -> list[str]:
        info = self._info()
        licence = (info.card_data or {}).get("license") or "its licence is not stated"
        return [f"hf://datasets/{self.repo}@{info.sha} ({licence if isinstance(licence, str) else ', '.join(licence)})"]

    def images(self) -> Iterator[tuple[str, Path | bytes]]:
        return _images(self.name, self._load, self.split, self.column)

    def rows(self) -> Iterator[tuple[dict[str, Any], dict[str, Path | bytes | None]]]:
        """(values, images by column) of each row; None for an image that a row lacks."""
        return _rows(self.name, self._load, self.split)

    def _load(self) -> Mapping[str, Any]:
        from datasets import load_dataset

        # one commit from the first image to the last
        return load_dataset(self.repo, revision=self._info().sha, streaming=True)

    def _info(self):
        from huggingface_hub import HfApi

        with _explained(self.name):
            return HfApi().dataset_info(self.repo, revision=self.revision or None)


def _name(place: str, split: str, column: str) -> str:
    return place + (f":{split}" if split or column else "") + (f":{column}" if column else "")


def _is_saved(path: Path) -> bool:
    """As `save_to_disk` leaves a dataset."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def _is_dataset(path: Path) -> bool:
    if not path.is_dir():
        return path.is_file() and path.suffix == ".parquet"
    suffixes = {file.suffix.lower() for file in path.rglob("*")}
    return _is_saved(path) or (".parquet" in suffixes and not suffixes & SUFFIXES)


def listing(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Names, sizes and times: other files have another one."""
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def _images(
    name: str, load: Callable[[], Mapping[str, Any]], split: str, column: str
) -> Iterator[tuple[str, Path | bytes]]:
    """The images of the one split and column that are meant, each as the file it was stored as."""
    with _explained(name):
        rows, columns, pictures = _split(name, load, split)
        column = _chosen(name, "image column", column, columns if column else pictures, USUAL_COLUMN)
        for number, row in enumerate(rows.decode(False).select_columns([column])):
            yield f"{name} row {number}", _content(row[column])


def _rows(
    name: str, load: Callable[[], Mapping[str, Any]], split: str
) -> Iterator[tuple[dict[str, Any], dict[str, Path | bytes | None]]]:
    with _explained(name):
        rows, _, pictures = _split(name, load, split)
        for row in rows.decode(False):
            images = {column: row.pop(column) for column in pictures}
            yield row, {column: _content(value) if value else None for column, value in images.items()}


def _split(name: str, load: Callable[[], Mapping[str, Any]], split: str) -> tuple[Any, list[str], list[str]]:
    """The rows of the one split that is meant, its columns, and those of images."""
    from datasets import Image

    splits = load()
    rows = splits[_chosen(name, "split", split, list(splits), USUAL_SPLIT)]
    features = rows.features or {}
    return rows, list(features), [column for column, kind in features.items() if isinstance(kind, Image)]


def _content(value: dict[str, Any]) -> Path | bytes:
    from huggingface_hub import HfFileSystem

    content, path = value["bytes"], value["path"]
    if content is None:  # a dataset of image files, not of parquet
        content = HfFileSystem().read_bytes(path) if path.startswith("hf://") else Path(path)
    return content


def _chosen(name: str, what: str, asked: str, there: Sequence[str], usual: str) -> str:
    """What is asked for, else the only one there is, else the usual one."""
    choice = asked or (there[0] if len(there) == 1 else usual)
    if choice not in there:
        among = f"name one of {', '.join(there)}" if there else "it has none"
        raise DatasetError(f"{name} has no {what} {choice!r}: {among} (PLACE[:split[:column]])")
    return choice


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Whatever goes wrong on the way to a dataset, as a sentence."""
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except (OSError, ValueError, RuntimeError, HTTPError, DatasetsError) as error:
        why = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DatasetError(f"{name} cannot be read ({why[:200]})") from error
