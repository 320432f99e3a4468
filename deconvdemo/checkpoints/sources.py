"""Where weights come from: a file or folder of this disk, a file or repository on the Hub.

Each source knows some names, and finds the weights of one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint
from deconvdemo.checkpoints.index import INDEX, LARGEST_INDEX, SHADOW, Entry, read_index, shadows
from deconvdemo.checkpoints.promotion import HISTORY, LARGEST_HISTORY, history, past_file, read_history
from deconvdemo.errors import CheckpointError
from deconvdemo.hub.download import Fetched, HubRef, fetch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResolvedWeights:
    """A weights file on this disk, what is promised of it, and how to speak of it."""

    path: Path
    source: str
    sha256: str | None = None
    says: str = INDEX  # who promises the sha256
    name: str = ""  # what it must be weights for; empty: whatever its header says
    note: str = ""
    loaded: Checkpoint | None = None  # the weights themselves, where they are in memory

    @property
    def size(self) -> int:
        """In bytes; 0 for what is no file."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def load(self) -> Checkpoint:
        if self.loaded is not None:
            return self.loaded
        checkpoint = load_checkpoint(self.path, self.sha256, self.source, self.says)
        if self.name and checkpoint.name != self.name:
            raise CheckpointError(
                f"{self.path} holds weights for {checkpoint.name}, but {self.says} names it for {self.name}"
            )
        return checkpoint


class WeightsSource(Protocol):
    def names(self) -> list[str]: ...

    def find(self, name: str) -> ResolvedWeights: ...

    def sha256(self, name: str) -> str:
        """Of what `find` gives; "" for a name it has not. Nothing is read or fetched where an index promises it."""

    def changed(self) -> WeightsSource | None:
        """The same place with other weights than this one knows of; None as long as they are the same."""

    def history(self) -> list[dict[str, Any]]:
        """Every promotion and rollback there."""

    def candidates(self) -> list[ResolvedWeights]:
        """What its shadow.json names: it stands in duels, and serves nobody."""

    def past(self, sha256: str) -> Path | None:
        """The file of weights that serve or have served there, if it is on this disk."""


class Unchanging:
    """Where weights never take each other's place."""

    def changed(self) -> WeightsSource | None:
        return None

    def history(self) -> list[dict[str, Any]]:
        return []

    def candidates(self) -> list[ResolvedWeights]:
        return []

    def past(self, sha256: str) -> Path | None:
        return None


class Nothing(Unchanging):
    """No weights: the source when none were asked for."""

    def names(self) -> list[str]:
        return []

    def find(self, name: str) -> ResolvedWeights:
        raise CheckpointError(f"there are no weights for {name!r}")

    def sha256(self, name: str) -> str:
        return ""


class OneCheckpoint(Unchanging):
    """Weights in memory, with a file or without."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint

    def names(self) -> list[str]:
        return [self.checkpoint.name]

    def find(self, name: str) -> ResolvedWeights:
        one = self.checkpoint
        return ResolvedWeights(Path(one.source), one.source, one.sha256, name=one.name, loaded=one)

    def sha256(self, name: str) -> str:
        return self.checkpoint.sha256 if name == self.checkpoint.name else ""


class OneFile(Unchanging):
    """One safetensors file, on this disk or on the Hub; it serves the name that its header gives."""

    def __init__(self, file: Callable[[], ResolvedWeights]):
        self.file = file  # fetches it, if it is not here

    @cached_property
    def _found(self) -> tuple[ResolvedWeights, str]:
        """And its sha256 when it was first read; the file may become another one."""
        found = self.file()
        checkpoint = found.load()
        return replace(found, name=checkpoint.name), checkpoint.sha256

    def names(self) -> list[str]:
        return [self._found[0].name]

    def find(self, name: str) -> ResolvedWeights:
        return self._found[0]

    def sha256(self, name: str) -> str:
        return self._found[1] if name in self.names() else ""


class WeightsFolder:
    """A folder with an index.json, or without one if it holds nothing yet."""

    def __init__(self, folder: Path, source: str = ""):
        self.folder, self.source, self.index = folder, source, folder / INDEX
        self.find = cache(self._find)

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        return read_index(self.index) if self.index.exists() else {}

    def names(self) -> list[str]:
        return list(self._entries)

    def changed(self) -> WeightsFolder | None:
        now = WeightsFolder(self.folder, self.source)
        return now if now._entries != self._entries else None

    def sha256(self, name: str) -> str:
        return self._entries[name].sha256 if name in self._entries else ""

    def history(self) -> list[dict[str, Any]]:
        return history(self.folder)

    def candidates(self) -> list[ResolvedWeights]:
        says = str(self.folder / SHADOW)
        return [
            ResolvedWeights(self.folder / entry.file, str(self.folder / entry.file), entry.sha256, says, name)
            for name, entry in shadows(self.folder).items()
        ]

    def past(self, sha256: str) -> Path | None:
        return past_file(self.folder, sha256)

    def _find(self, name: str) -> ResolvedWeights:
        entry = self._entries[name]
        path = self.folder / entry.file
        if entry.repo and not path.exists():
            elsewhere = HubRef(entry.repo, entry.revision, entry.file)
            return _fetched(elsewhere, entry.sha256, str(self.index), name)
        return ResolvedWeights(path, self.source or str(path), entry.sha256, str(self.index), name)


class Repository(Unchanging):
    """A model repository on the Hub with an index.json; its files are of the commit the index was read at.

    But for those that the index says are in another repository. A newer commit is another source.
    """

    def __init__(self, ref: HubRef):
        self.ref = ref
        self.find = cache(self._find)

    @cached_property
    def _index(self) -> tuple[dict[str, Entry], HubRef, str]:
        fetched = fetch(replace(self.ref, file=INDEX), most=LARGEST_INDEX)
        return read_index(fetched.path, str(fetched.ref)), fetched.ref, fetched.why_cached

    def names(self) -> list[str]:
        return list(self._index[0])

    def sha256(self, name: str) -> str:
        entries = self._index[0]
        return entries[name].sha256 if name in entries else ""

    def history(self) -> list[dict[str, Any]]:
        return self._history

    def candidates(self) -> list[ResolvedWeights]:
        return self._candidates

    @cached_property
    def _history(self) -> list[dict[str, Any]]:
        found = self._beside(HISTORY)
        return read_history(found.path, str(found.ref)) if found else []

    def _beside(self, file: str) -> Fetched | None:
        """A file of the index's commit; None where it has none, or where it cannot be asked."""
        try:
            return fetch(replace(self._index[1], file=file), most=LARGEST_HISTORY)
        except CheckpointError as error:
            log.info("weights: %s", error)
            return None

    @cached_property
    def _candidates(self) -> list[ResolvedWeights]:
        _, index, why_cached = self._index
        shadow = self._beside(SHADOW)
        if shadow is None:
            return []
        entries = read_index(shadow.path, str(shadow.ref))
        return [
            _fetched(replace(index, file=entry.file), entry.sha256, str(shadow.ref), name, why_cached)
            for name, entry in entries.items()
        ]

    def _find(self, name: str) -> ResolvedWeights:
        entries, index, why_cached = self._index
        entry = entries[name]
        file = HubRef(entry.repo, entry.revision, entry.file) if entry.repo else replace(index, file=entry.file)
        return _fetched(file, entry.sha256, str(index), name, why_cached)


def _fetched(ref: HubRef, sha256: str = "", says: str = INDEX, name: str = "", why_cached: str = "") -> ResolvedWeights:
    fetched = fetch(ref, sha256)
    why_cached = why_cached or fetched.why_cached
    note = f"cached copy; {why_cached}" if why_cached else ""
    return ResolvedWeights(fetched.path, str(fetched.ref), sha256 or None, says, name, note)


def on_hub(ref: HubRef) -> WeightsSource:
    return OneFile(lambda: _fetched(ref)) if ref.file else Repository(ref)


def source_of(spec: str | None) -> WeightsSource:
    """What `--weights` names: a file, a folder with an index.json, or hf://owner/repo[@revision][/file]."""
    if not spec:
        return Nothing()
    if spec.startswith("hf:"):
        return on_hub(HubRef.parse(spec))
    path = Path(spec).expanduser()
    if path.is_dir() and not (path / INDEX).is_file():
        raise CheckpointError(f"{path} is a folder without an {INDEX}: name one of its .safetensors files")
    if not path.exists():
        raise CheckpointError(f"{path} does not exist: for the Hub, write hf://owner/repo[@revision][/file]")
    return WeightsFolder(path) if path.is_dir() else OneFile(lambda: ResolvedWeights(path, str(path)))
