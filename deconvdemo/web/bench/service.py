"""What the test bench's tab works with: whose photos, which damage, and where what it made is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from deconvdemo.engine.admission import Asker, Seat, still_wanted
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError, DeconvdemoError, PhotoError
from deconvdemo.evaluation.bench.damages import benched_tasks, damage_named, damages
from deconvdemo.evaluation.bench.figure import as_csv, as_facts, figure, tiles
from deconvdemo.evaluation.bench.run import Bench, Subject, bench, bounded, brought, harmed
from deconvdemo.image.apart import STRANGERS
from deconvdemo.image.lossless import lossless
from deconvdemo.image.photo import Photo
from deconvdemo.tasks import TASKS
from deconvdemo.web.restore.results import URL, Results
from deconvdemo.web.server.leaving import asker

ALL = "all"  # in the place of the methods' names
OWN = "own"  # in the place of a damage's name: the visitor's own pair, for the task that follows
FIGURE, TABLE = "bench.png", "bench.csv"


@dataclass(frozen=True)
class BenchService:
    restorer: Restorer
    results: Results
    max_pixels: int
    behind_proxy: bool = False

    def choices(self) -> list[tuple[str, str]]:
        """(what it is called, its name) of each damage there are weights against, then of own pairs."""
        try:
            tasks = benched_tasks(self.restorer)
        except DeconvdemoError:  # the foot of the page says what is wrong with the weights
            return []
        own = [(f"Your own pair, for {TASKS[name].title}", f"{OWN} {name}") for name in tasks]
        return [*((one.label, name) for name, one in damages(tasks).items()), *own]

    def asker(self) -> Asker:
        return asker(self.behind_proxy)

    def seat(self, clean: str | None, observed: str | None, who: Asker) -> AbstractContextManager[Seat]:
        """A seat for one photo or a pair: to be waited for. BusyError where too many wait."""
        cost = self.restorer.cost(_present(clean), observed, by_turns=True)  # some of the methods may be
        return self.restorer.admission.asking(cost, who.who)

    def steps(
        self, clean: str | None, observed: str | None, choice: str, thorough: bool, only: Collection[str] = ()
    ) -> Iterator[Bench]:
        """What is known after each method. Raises PhotoError and ControlError before any begins."""
        subject = self._subject(_present(clean), observed, choice)
        yield from bench(self.restorer, subject, thorough=thorough, only=only)

    def _subject(self, clean: str, observed: str | None, choice: str) -> Subject:
        opened = STRANGERS.open(clean, self.max_pixels).pixels
        kind, _, task = choice.partition(" ")
        if kind != OWN:
            return harmed(bounded(opened), damage_named(choice, benched_tasks(self.restorer)))
        if not observed:
            raise PhotoError("the damaged photo is missing: give both of your pair, or choose a damage")
        return brought(task, opened, STRANGERS.open(observed, self.max_pixels).pixels)

    def keep(self, done: Bench) -> tuple[str, dict[str, str]]:
        """Writes what was made; (the folder's URL, label → the picture's file in it)."""
        pictures = {label: np.asarray(one) for label, (one, _) in tiles(done).items()}
        names = {label: f"{number}.png" for number, label in enumerate(pictures)}
        contents = _to_take_away(done)
        for label, pixels in pictures.items():
            contents[names[label]] = partial(lossless, Photo(pixels))
        return f"{URL}/{self.results.keep_files(contents).name}", names

    def whole(self, clean: str, observed: str | None, choice: str, methods: str) -> tuple[dict[str, Any], Path, Path]:
        """For programs: the facts, and where the figure and the table lie. A place is waited for.

        `methods`: their names, with commas between; none: all that are quick; `all`: the slow ones, too.
        """
        only = [] if methods.strip() == ALL else [name.strip() for name in methods.split(",") if name.strip()]
        if observed and not choice.startswith(f"{OWN} "):
            raise ControlError(f'damage is {choice[:80]!r}, but with a damaged photo it must be "{OWN} " and a task')
        cost = self.restorer.cost(clean, observed, by_turns=True)
        with self.restorer.admission.place(cost, self.asker()):
            for state in self.steps(clean, observed, choice, methods.strip() == ALL, only):
                still_wanted()
                done = state
            folder = self.results.keep_files(_to_take_away(done))
        return as_facts(done), folder / FIGURE, folder / TABLE


def _to_take_away(done: Bench) -> dict[str, Callable[[], bytes]]:
    return {FIGURE: lambda: figure(done), TABLE: lambda: as_csv(done)}


def _present(path: str | None) -> str:
    if path is None:
        raise PhotoError("there is no photo yet: drop a clean one, paste one, or try an example")
    return path
