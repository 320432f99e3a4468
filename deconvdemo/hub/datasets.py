"""Hugging Face datasets of images, on this disk or on the Hub, read by streaming."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconvdemo.errors import ControlError, DatasetError
from deconvdemo.hub import dataset_reading
from deconvdemo.hub.dataset_reading import Image, Row
from deconvdemo.hub.rows_apart import rows_apart, why

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
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

    def images(self) -> Iterator[tuple[str, Image | DatasetError]]:
        """(name, image) of each row of the column: its bytes, its file, or why it is neither."""
        return rows_apart(self.name, dataset_reading.images, self.path, "", self.name, self.split, self.column)

    def rows(self) -> Iterator[Row | DatasetError]:
        """(values, images by column) of each row; None for an image that a row lacks."""
        return rows_apart(self.name, dataset_reading.rows, self.path, "", self.name, self.split)


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

    def images(self) -> Iterator[tuple[str, Image | DatasetError]]:
        """(name, image) of each row of the column: its bytes, or why it has none."""
        return rows_apart(
            self.name, dataset_reading.images, self.repo, self.revision, self.name, self.split, self.column
        )

    def rows(self) -> Iterator[Row | DatasetError]:
        """(values, images by column) of each row; None for an image that a row lacks."""
        return rows_apart(self.name, dataset_reading.rows, self.repo, self.revision, self.name, self.split)

    def _info(self):
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HTTPError

        try:
            return HfApi().dataset_info(self.repo, revision=self.revision or None)
        except (OSError, ValueError, RuntimeError, HTTPError) as error:
            raise DatasetError(f"{self.name} cannot be read ({why(error)})") from error


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
