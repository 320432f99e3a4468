"""Which weights serve each name, where they come from, and why: bundled, a file or folder, the Hub.

`--weights` is an order: what it names serves, from the Hub or its cache, or there is an error. A repository
in the settings is a wish: the bundled weights serve at once, the repository's when they are fetched and
verified, and `status` says which serve and why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from deconvdemo.checkpoints import Checkpoint, load_checkpoint
from deconvdemo.errors import CheckpointError, DeconvdemoError
from deconvdemo.hub import Fetched, HubRef, fetch
from deconvdemo.promotion import HISTORY, history, read_history
from deconvdemo.weights_index import INDEX, SHADOW, Entry, bundled_folder, read_index, shadows

log = logging.getLogger(__name__)

WATCH_EVERY = 5.0  # seconds between two looks at the folders of weights


# ---- sources: each knows some names, and finds the file of one --------------------------------------------


@dataclass(frozen=True)
class Found:
    """A weights file on this disk, what is promised of it, and how to speak of it."""

    path: Path
    source: str
    sha256: str | None = None
    says: str = INDEX  # who promises the sha256
    name: str = ""  # what it must be weights for; empty: whatever its header says
    note: str = ""

    def load(self) -> Checkpoint:
        checkpoint = load_checkpoint(self.path, self.sha256, self.source, self.says)
        if self.name and checkpoint.name != self.name:
            raise CheckpointError(
                f"{self.path} holds weights for {checkpoint.name}, but {self.says} names it for {self.name}"
            )
        return checkpoint


class Source(Protocol):
    def names(self) -> list[str]: ...

    def find(self, name: str) -> Found: ...

    def history(self) -> list[dict[str, Any]]:
        """Every promotion and rollback there."""

    def candidates(self) -> list[Found]:
        """What its shadow.json names: it stands in duels, and serves nobody."""


class Unchanging:
    """Where weights never take each other's place."""

    def history(self) -> list[dict[str, Any]]:
        return []

    def candidates(self) -> list[Found]:
        return []


class Nothing(Unchanging):
    """No weights: the source when none were asked for."""

    def names(self) -> list[str]:
        return []

    def find(self, name: str) -> Found:
        raise CheckpointError(f"there are no weights for {name!r}")


class OneFile(Unchanging):
    """One safetensors file, on this disk or on the Hub; it serves the name that its header gives."""

    def __init__(self, file: Path | HubRef):
        self.file = file

    @cached_property
    def _found(self) -> Found:
        found = Found(self.file, str(self.file)) if isinstance(self.file, Path) else _fetched(self.file)
        return replace(found, name=found.load().name)

    def names(self) -> list[str]:
        return [self._found.name]

    def find(self, name: str) -> Found:
        return self._found


class Folder:
    """A folder with an index.json, or without one if it holds nothing yet."""

    def __init__(self, folder: Path, source: str = ""):
        self.folder, self.source, self.index = folder, source, folder / INDEX
        self.find = cache(self._find)

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        return read_index(self.index) if self.index.exists() else {}

    def names(self) -> list[str]:
        return list(self._entries)

    def changed(self) -> Folder | None:
        """The same folder with another index than this one read; None as long as it is the same, or unreadable."""
        now = Folder(self.folder, self.source)
        try:
            return now if now._entries != self._entries else None
        except CheckpointError as error:
            log.warning("weights: %s; what serves goes on serving", error)
            return None

    def sha256(self, name: str) -> str:
        """What the index promises of a name; "" if it has none."""
        return self._entries[name].sha256 if name in self._entries else ""

    def history(self) -> list[dict[str, Any]]:
        return history(self.folder)

    def candidates(self) -> list[Found]:
        says = str(self.folder / SHADOW)
        return [
            Found(self.folder / entry.file, str(self.folder / entry.file), entry.sha256, says, name)
            for name, entry in shadows(self.folder).items()
        ]

    def _find(self, name: str) -> Found:
        entry = self._entries[name]
        path = self.folder / entry.file
        if entry.repo and not path.exists():
            elsewhere = HubRef(entry.repo, entry.revision, entry.file)
            return _fetched(elsewhere, entry.sha256, str(self.index), name)
        return Found(path, self.source or str(path), entry.sha256, str(self.index), name)


class Repository:
    """A model repository on the Hub with an index.json; its files are of the commit the index was read at.

    But for those that the index says are in another repository.
    """

    def __init__(self, ref: HubRef):
        self.ref = ref
        self.find = cache(self._find)

    @cached_property
    def _index(self) -> tuple[dict[str, Entry], HubRef, str]:
        fetched = fetch(replace(self.ref, file=INDEX))
        return read_index(fetched.path, str(fetched.ref)), fetched.ref, fetched.why_cached

    def names(self) -> list[str]:
        return list(self._index[0])

    def history(self) -> list[dict[str, Any]]:
        return self._history

    def candidates(self) -> list[Found]:
        return self._candidates

    @cached_property
    def _history(self) -> list[dict[str, Any]]:
        found = self._beside(HISTORY)
        return read_history(found.path, str(found.ref)) if found else []

    def _beside(self, file: str) -> Fetched | None:
        """A file of the index's commit; None where it has none, or where it cannot be asked."""
        try:
            return fetch(replace(self._index[1], file=file))
        except CheckpointError as error:
            log.info("weights: %s", error)
            return None

    @cached_property
    def _candidates(self) -> list[Found]:
        _, index, why_cached = self._index
        shadow = self._beside(SHADOW)
        if shadow is None:
            return []
        entries = read_index(shadow.path, str(shadow.ref))
        return [
            _fetched(replace(index, file=entry.file), entry.sha256, str(shadow.ref), name, why_cached)
            for name, entry in entries.items()
        ]

    def _find(self, name: str) -> Found:
        entries, index, why_cached = self._index
        entry = entries[name]
        file = HubRef(entry.repo, entry.revision, entry.file) if entry.repo else replace(index, file=entry.file)
        return _fetched(file, entry.sha256, str(index), name, why_cached)


@cache
def _sha256(found: Found) -> str:
    return found.sha256 or found.load().sha256


def _fetched(ref: HubRef, sha256: str = "", says: str = INDEX, name: str = "", why_cached: str = "") -> Found:
    fetched = fetch(ref, sha256)
    why_cached = why_cached or fetched.why_cached
    note = f"cached copy; {why_cached}" if why_cached else ""
    return Found(fetched.path, str(fetched.ref), sha256 or None, says, name, note)


def on_hub(ref: HubRef) -> Source:
    return OneFile(ref) if ref.file else Repository(ref)


def source_of(spec: str | None) -> Source:
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
    return Folder(path) if path.is_dir() else OneFile(path)


# ---- which of them serves ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One line of `deconvdemo weights list` and `pull`."""

    name: str
    variant: str = ""  # which of its task's networks; empty: the standard one
    file: str = ""  # where it is on this disk
    source: str = ""
    sha256: str = ""
    size: int = 0  # bytes
    measured: Mapping[str, float] = field(default_factory=dict)
    note: str = ""  # why these serve, if they are not the ones asked for
    problem: str = ""  # why they cannot serve


def pull(spec: str) -> list[Row]:
    """Fetches and verifies what hf://owner/repo[@revision][/file] names: where each file is on this disk."""
    source = on_hub(HubRef.parse(spec))
    return [_row(source.find(name)) for name in source.names()]


def _row(found: Found) -> Row:
    checkpoint = found.load()
    return Row(
        checkpoint.name,
        checkpoint.header.variant,
        str(found.path),
        found.source,
        checkpoint.sha256,
        found.path.stat().st_size,
        checkpoint.header.measured,
        found.note,
    )


class Weights:
    """The weights of every name. Nothing is read, fetched or started before it is asked for.

    `folder` holds the bundled ones (None: those that came with the program), `spec` is what `--weights` says,
    and `repo` ("owner/repo[@revision]") is what `fetch_in_background` replaces the bundled ones with.
    """

    def __init__(self, folder: Path | str | None = None, spec: str | None = None, repo: str = ""):
        self.bundled: Source = Folder(Path(folder) if folder else bundled_folder(), "bundled")
        self.chosen = source_of(spec)
        self.repo = HubRef.parse(repo) if repo else None
        self._fetched: Source = Nothing()
        self._fetched_sha256: dict[str, str] = {}
        self._why_bundled = f"{self.repo} is not fetched yet" if self.repo else ""

    def names(self) -> list[str]:
        """The names that have weights: "denoise", "denoise-photo", "upscale-x2", …"""
        return sorted({name for source in self._sources() for name in source.names()})

    def asked_for(self) -> list[str]:
        """The names that `--weights` has weights for."""
        return self.chosen.names()

    def load(self, name: str) -> Checkpoint:
        """What serves `name` now. Raises CheckpointError if nothing does, or it is not what it should be."""
        return self._serving(name).load()

    def sha256(self, name: str) -> str:
        """Of what serves `name` now; nothing is read or fetched where a folder's index promises it."""
        source = self._source(name)
        return source.sha256(name) if isinstance(source, Folder) else _sha256(source.find(name))

    def folders(self) -> list[Path]:
        """Where weights take each other's place on this disk."""
        return [source.folder for source in self._sources() if isinstance(source, Folder)]

    def status(self, name: str) -> str:
        """Which weights serve `name`, and why if they are not the ones asked for, in words for the page."""
        found = self._serving(name)
        return f"{found.source} ({found.note})" if found.note else found.source

    def history(self) -> list[dict[str, Any]]:
        """Every promotion and rollback of the folders and repositories that serve here, as far as they can be read."""
        lines: list[dict[str, Any]] = []
        for source in self._sources():
            try:
                lines += [line for line in source.history() if line not in lines]
            except CheckpointError as error:
                log.warning("weights: %s", error)
        return sorted(lines, key=lambda line: str(line.get("when", "")))

    def candidates(self) -> Iterator[Found]:
        """What stands in duels, each beside what it would replace; those that cannot be found are left out."""
        for source in self._sources():
            try:
                found = source.candidates()
            except CheckpointError as error:
                log.warning("weights: %s; no candidate of it stands in duels", error)
                continue
            yield from (one for one in found if all(one.name not in other.names() for other in self._above(source)))

    def list(self) -> list[Row]:
        """One row a name; weights that cannot serve are a row that says why."""
        rows = []
        for name in self.names():
            try:
                rows.append(_row(self._serving(name)))
            except CheckpointError as error:
                rows.append(Row(name, problem=str(error)))
        return rows

    def fetch_in_background(
        self, on_ready: Callable[[dict[str, Checkpoint]], None], every: float | None = None
    ) -> threading.Thread | None:
        """Starts a daemon thread that fetches and verifies the repository's weights, then calls `on_ready`.

        All of one commit or none. A failure ends in `status` and the log, and what serves goes on serving.
        `every`: seconds between looks for a newer commit (None: one look). No repository: nothing is started.
        """
        if self.repo is None:
            return None

        def look(repo: HubRef) -> None:
            self._fetch(repo, on_ready)
            while every is not None:
                time.sleep(every)
                self._fetch(repo, on_ready)

        thread = threading.Thread(target=look, args=(self.repo,), name="weights", daemon=True)
        thread.start()
        return thread

    def watch_in_background(
        self, on_ready: Callable[[dict[str, Checkpoint]], None], every: float = WATCH_EVERY
    ) -> threading.Event:
        """Starts a daemon thread that looks at the folders' indexes: what was promoted or rolled back there is
        verified, given to `on_ready`, and serves from then on. Set the event that is returned, and it stops.

        Weights that cannot be used change nothing: what serves goes on serving, and the log says why.
        """
        stopped = threading.Event()

        def look() -> None:
            while not stopped.wait(every):
                for which in ("chosen", "bundled"):
                    self._take_over(which, on_ready)

        threading.Thread(target=look, name="weights folder", daemon=True).start()
        return stopped

    def _take_over(self, which: str, on_ready: Callable[[dict[str, Checkpoint]], None]) -> None:
        before = getattr(self, which)
        now = before.changed() if isinstance(before, Folder) else None
        if now is None:
            return
        try:
            new = [name for name in now.names() if now.sha256(name) != before.sha256(name)]
            serving = [name for name in new if all(name not in other.names() for other in self._above(before))]
            on_ready({name: now.find(name).load() for name in serving})
        except DeconvdemoError as error:
            log.warning("weights: %s; what serves goes on serving", error)
            return
        setattr(self, which, now)
        log.info("weights: %s serves %s anew", now.folder, ", ".join(serving) or "nothing")

    def _above(self, source: Source) -> tuple[Source, ...]:
        """The sources that come before one."""
        sources = self._sources()
        return sources[: next(place for place, other in enumerate(sources) if other is source)]

    def _sources(self) -> tuple[Source, ...]:
        return self.chosen, self._fetched, self.bundled

    def _serving(self, name: str) -> Found:
        source = self._source(name)
        found = source.find(name)
        return replace(found, note=self._why_bundled or found.note) if source is self.bundled else found

    def _source(self, name: str) -> Source:
        for source in self._sources():
            if name in source.names():
                return source
        known = ", ".join(self.names()) or "nothing"
        raise CheckpointError(f"there are no weights for {name!r}, only for {known}")

    def _fetch(self, repo: HubRef, on_ready: Callable[[dict[str, Checkpoint]], None]) -> None:
        source = on_hub(repo)
        try:
            ready = {name: source.find(name).load() for name in source.names()}
            sha256 = {name: checkpoint.sha256 for name, checkpoint in ready.items()}
            if sha256 != self._fetched_sha256:
                self._why_bundled = f"{repo} is fetched, but not in use yet"
                chosen = self.chosen.names()
                on_ready({name: checkpoint for name, checkpoint in ready.items() if name not in chosen})
        except DeconvdemoError as error:
            self._why_bundled = str(error)
            log.warning("weights: %s; what serves goes on serving", error)
            return
        self._fetched, self._fetched_sha256 = source, sha256
        self._why_bundled = f"{repo} has none for this"
        log.info("weights: %s serves %s", repo, ", ".join(ready))


class OneNetwork:
    """In place of `Weights`: one checkpoint alone, whichever of its task's variants it is, with a file or without."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint

    def names(self) -> list[str]:
        return [self.checkpoint.name]

    def asked_for(self) -> list[str]:
        return [self.checkpoint.name]

    def load(self, name: str) -> Checkpoint:
        return self.checkpoint
