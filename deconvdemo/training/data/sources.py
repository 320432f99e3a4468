"""Where a corpus's images come from: folders of photographs, and files of packed crops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open

from deconvdemo.bounded import clipped, parsed_json
from deconvdemo.errors import DatasetError, TrainingError
from deconvdemo.hub.datasets import SUFFIXES, listing

PACKED, PACK_VERSION = "deconvdemo.corpus", 1  # what tells packed crops from other safetensors files: JSON


class ImageSource(Protocol):
    """Images that are decoded once, into a cache of their own. What it raises is a sentence."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def identity(self) -> Any:
        """JSON that changes when the images do."""

    def data(self) -> list[str]:
        """What the images are and their licences, as far as the source itself says."""

    def images(self) -> Iterator[tuple[str, Path | bytes | DatasetError]]:
        """(name, file or its content) of each; in place of one that is not read, why."""


@dataclass(frozen=True)
class _OnDisk:
    """What people call by its path."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)


class ImageFolder(_OnDisk):
    """A folder of photographs, with its sub-folders."""

    @property
    def identity(self) -> Any:
        return listing(self._files())

    def data(self) -> list[str]:
        return []

    def images(self) -> Iterator[tuple[str, Path | bytes | DatasetError]]:
        return ((str(file), file) for file in self._files())

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            raise TrainingError(
                f"{self.path} is not a folder: --images takes folders of photographs, packed corpora and datasets"
            )
        files = sorted(file for file in self.path.rglob("*") if file.suffix.lower() in SUFFIXES)
        if not files:
            raise TrainingError(f"no images in {self.path}: expected {', '.join(sorted(SUFFIXES))} files")
        return files


class Pack(_OnDisk):
    """A file that `deconvdemo corpus pack` wrote: crops as lossless WebP or fine JPEG, one after another."""

    @property
    def identity(self) -> Any:
        self._facts()
        return listing([self.path])

    def data(self) -> list[str]:
        return self._facts()["data"]

    def images(self) -> Iterator[tuple[str, Path | bytes | DatasetError]]:
        try:
            with safe_open(self.path, framework="numpy") as opened:
                content, ends = opened.get_tensor("crops"), opened.get_tensor("ends").tolist()
            whole = content.ndim == 1 and content.dtype == np.uint8 and ends[0] >= 0 and ends[-1] <= len(content)
            if not (whole and all(isinstance(end, int) for end in ends) and ends == sorted(ends)):
                raise ValueError("its crops do not lie one after another")
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise TrainingError(f"{self.path} is damaged ({error}): copy it again") from error
        for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            yield f"{self.path} crop {number}", content[start:end].tobytes()

    def _facts(self) -> dict[str, Any]:
        try:
            if not self.path.is_file():
                raise OSError("it is no file")
            with safe_open(self.path, framework="numpy") as opened:
                metadata = opened.metadata() or {}
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"{self.path} cannot be read as a packed corpus ({error}): copy it again") from error
        if PACKED not in metadata:
            raise TrainingError(f"{self.path} holds no packed corpus: make one with `deconvdemo corpus pack`")
        try:
            facts = parsed_json(metadata[PACKED])
            version, data = facts["version"], facts["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{self.path} is damaged ({error}): copy it again") from error
        if version != PACK_VERSION:
            raise TrainingError(f"{self.path} is packed for another deconvdemo (version {clipped(version)}): update")
        if not isinstance(data, list) or not all(isinstance(line, str) for line in data):
            raise TrainingError(f"{self.path} does not say what its images are: pack them again")
        return facts
