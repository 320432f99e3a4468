"""Which weights serve each name, and why: bundled, chosen by a person, the Hub's.

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
from itertools import takewhile
from pathlib import Path
from typing import Any

from deconvdemo.bounded import in_bytes
from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.checkpoints.index import bundled_folder
from deconvdemo.checkpoints.sources import (
    Nothing,
    OneCheckpoint,
    ResolvedWeights,
    WeightsFolder,
    WeightsSource,
    on_hub,
    source_of,
)
from deconvdemo.checkpoints.watching import WeightsLooks
from deconvdemo.errors import CheckpointError
from deconvdemo.hub.download import HubRef

log = logging.getLogger(__name__)

CHOSEN, FETCHED, BUNDLED = "chosen", "fetched", "bundled"  # where weights come from: by --weights, the settings, or us
WATCH_EVERY = 5.0  # seconds between two looks at the folders of weights
LARGEST_RELEASE = 512_000_000  # bytes of all weights of a repository together: they are in memory at once


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


def _row(found: ResolvedWeights) -> Row:
    checkpoint = found.load()
    return Row(
        checkpoint.name,
        checkpoint.header.variant,
        str(found.path),
        found.source,
        checkpoint.sha256,
        found.size,
        checkpoint.header.measured,
        found.note,
    )


class Weights:
    """The weights of every name. Nothing is read, fetched or started before it is asked for.

    `folder` holds the bundled ones (None: those that came with the program), `spec` is what `--weights` says,
    and `repo` ("owner/repo[@revision]") is what `fetch_in_background` replaces the bundled ones with.
    """

    def __init__(self, folder: Path | str | None = None, spec: str | None = None, repo: str = ""):
        # what serves a name is the first one's that has it
        self._sources: dict[str, WeightsSource] = {
            CHOSEN: source_of(spec),
            FETCHED: Nothing(),
            BUNDLED: WeightsFolder(Path(folder) if folder else bundled_folder(), "bundled"),
        }
        self.repo = HubRef.parse(repo) if repo else None
        self._why_bundled = f"{self.repo} is not fetched yet" if self.repo else ""
        self.looks = WeightsLooks()  # for newer weights: when, and what went wrong

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Weights:
        """This checkpoint alone, whatever is bundled."""
        weights = cls()
        weights._sources = {CHOSEN: OneCheckpoint(checkpoint)}
        return weights

    def names(self) -> list[str]:
        """The names that have weights: "denoise", "denoise-photo", "upscale-x2", …"""
        return sorted({name for source in self._sources.values() for name in source.names()})

    def asked_for(self) -> list[str]:
        """The names that `--weights` has weights for."""
        return self._sources[CHOSEN].names()

    def load(self, name: str) -> Checkpoint:
        """What serves `name` now. Raises CheckpointError if nothing does, or it is not what it should be."""
        return self._serving(name).load()

    def sha256(self, name: str) -> str:
        """Of what serves `name` now; nothing is read or fetched where a folder's index promises it."""
        return self._sources[self._place(name)].sha256(name)

    def past(self, sha256: str) -> Path | None:
        """The file of weights that serve or have served in a folder of this disk, if it is still there."""
        found = (source.past(sha256) for source in self._sources.values())
        return next((file for file in found if file), None)

    def status(self, name: str) -> str:
        """Which weights serve `name`, and why if they are not the ones asked for, in words for the page."""
        found = self._serving(name)
        return f"{found.source} ({found.note})" if found.note else found.source

    def history(self) -> list[dict[str, Any]]:
        """Every promotion and rollback of the folders and repositories that serve here, as far as they can be read."""
        lines: list[dict[str, Any]] = []
        for source in self._sources.values():
            try:
                lines += [line for line in source.history() if line not in lines]
            except CheckpointError as error:
                log.warning("weights: %s", error)
        return sorted(lines, key=lambda line: str(line.get("when", "")))

    def candidates(self) -> Iterator[ResolvedWeights]:
        """What stands in duels, each beside what it would replace; those that cannot be found are left out."""
        for place, source in self._sources.items():
            try:
                found = source.candidates()
            except CheckpointError as error:
                log.warning("weights: %s; no candidate of it stands in duels", error)
                continue
            yield from (one for one in found if not self._is_above(place, one.name))

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
                for place in (CHOSEN, BUNDLED):
                    try:
                        self._take_over(place, on_ready)
                    except Exception as error:  # noqa: BLE001 (of any kind: the next look may find good weights)
                        self.looks.failed(f"{place} folder", error)
                    else:
                        self.looks.went_well(f"{place} folder")

        threading.Thread(target=look, name="weights folder", daemon=True).start()
        return stopped

    def _take_over(self, place: str, on_ready: Callable[[dict[str, Checkpoint]], None]) -> None:
        before = self._sources[place]
        now = before.changed()
        if now is None:
            return
        new = [name for name in now.names() if now.sha256(name) != before.sha256(name)]
        serving = [name for name in new if not self._is_above(place, name)]
        on_ready(_loaded(now, serving))
        self._sources[place] = now
        log.info("weights: the %s folder serves %s anew", place, ", ".join(serving) or "nothing")

    def _is_above(self, place: str, name: str) -> bool:
        """Whether a source that comes before one has this name."""
        above = takewhile(lambda other: other != place, self._sources)
        return any(name in self._sources[other].names() for other in above)

    def _serving(self, name: str) -> ResolvedWeights:
        place = self._place(name)
        found = self._sources[place].find(name)
        return replace(found, note=self._why_bundled or found.note) if place == BUNDLED else found

    def _place(self, name: str) -> str:
        """Where what serves a name comes from."""
        for place, source in self._sources.items():
            if name in source.names():
                return place
        known = ", ".join(self.names()) or "nothing"
        raise CheckpointError(f"there are no weights for {name!r}, only for {known}")

    def _fetch(self, repo: HubRef, on_ready: Callable[[dict[str, Checkpoint]], None]) -> None:
        source = on_hub(repo)
        try:
            ready = _loaded(source, source.names())
            before = self._sources[FETCHED]
            if {name: source.sha256(name) for name in ready} != {name: before.sha256(name) for name in before.names()}:
                self._why_bundled = f"{repo} is fetched, but not in use yet"
                on_ready({name: ready[name] for name in ready if not self._is_above(FETCHED, name)})
        except Exception as error:  # noqa: BLE001 (of any kind: the next look may find good weights)
            self._why_bundled = self.looks.failed("repository", error)
            return
        self.looks.went_well("repository")
        self._sources[FETCHED] = source
        self._why_bundled = f"{repo} has none for this"
        log.info("weights: %s serves %s", repo, ", ".join(ready))


def _loaded(source: WeightsSource, names: list[str]) -> dict[str, Checkpoint]:
    """All of them, or CheckpointError: one is not what it should be, or they are too much together."""
    ready: dict[str, Checkpoint] = {}
    size = 0
    for name in names:
        found = source.find(name)
        size += found.size
        if size > LARGEST_RELEASE:
            raise CheckpointError(f"the weights up to {name} have more than {in_bytes(LARGEST_RELEASE)} together")
        ready[name] = found.load()
    return ready
