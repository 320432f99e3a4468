"""What the bench can do to a clean photo: whatever the tasks declare that they are measured on."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError
from deconvdemo.tasks import TASKS, Task
from deconvdemo.tasks.declared import Axis

_SAMPLE = 48  # pixels of the picture that is harmed to learn what a harm is called


@dataclass(frozen=True)
class Damage:
    """One way to harm a photo, and the task that undoes it."""

    task: str
    setting: Mapping[str, Any]  # what the task's `degraded` is given
    name: str  # on the command line and over HTTP: "denoise sigma 25"
    words: str  # for people: "Noise of sigma 25"

    @property
    def label(self) -> str:
        return f"{TASKS[self.task].title}: {self.words}"


def benched_tasks(restorer: Restorer) -> list[str]:
    """The tasks that some weights are served for."""
    names = restorer.weights.names()
    return [
        name for name, task in TASKS.items() if any(task.weights(choice) in names for choice in task.combinations())
    ]


def damages(tasks: Collection[str]) -> dict[str, Damage]:
    """By name, in the tasks' order."""
    return {one.name: one for name in TASKS if name in tasks for one in _of(TASKS[name])}


def usual(tasks: Collection[str]) -> list[Damage]:
    """For each task the middle of what its standard network is measured on."""
    found = []
    for name in (name for name in TASKS if name in tasks):
        middle = {axis: one.values[(len(one.values) - 1) // 2] for axis, one in TASKS[name].axes().items()}
        found += [one for one in _of(TASKS[name]) if one.setting == middle]
    return found


def damage_named(name: str, tasks: Collection[str]) -> Damage:
    """Raises ControlError, with the names there are, for another; `x2` is as good as `×2`."""
    known = damages(tasks)
    wanted = _plain(name)
    for one in known.values():
        if _plain(one.name) == wanted:
            return one
    raise ControlError(f"there is no damage {name[:80]!r}: choose one of {'; '.join(known)}")


def _plain(name: str) -> str:
    return " ".join(name.replace("×", "x").lower().split())


@cache
def _of(task: Task) -> tuple[Damage, ...]:
    made = [(setting, task.degraded(_sample(), setting, 0)) for setting in _settings(task)]
    seen = Counter(one.damage for _, one in made)
    found = {}
    for setting, one in made:
        words = f"{one.damage} ({one.setting})" if seen[one.damage] > 1 else one.damage
        found[one.setting] = Damage(task.name, setting, f"{task.name} {one.setting}", f"{words[:1].upper()}{words[1:]}")
    return tuple(found.values())


def _settings(task: Task) -> Iterator[dict[str, Any]]:
    groups: list[Mapping[str, Axis]] = [*task.protocols.values(), *task.benched, *([task.wild] if task.wild else [])]
    for axes in groups:
        for values in itertools.product(*(axis.values for axis in axes.values())):
            yield dict(zip(axes, values, strict=True))


def _sample() -> np.ndarray:
    rows, columns = np.indices((_SAMPLE, _SAMPLE))
    return np.stack([rows * 2, columns * 2, rows + columns], axis=2).astype(np.uint8)
