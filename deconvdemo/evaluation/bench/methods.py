"""Every method that applies to a damage: the task's networks, and the classical ones that it declares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError
from deconvdemo.evaluation.evaluate import classical_method, network_method
from deconvdemo.evaluation.protocols import Case
from deconvdemo.tasks import AUTO, TASKS
from deconvdemo.tasks.classical import nothing
from deconvdemo.tasks.helpers import JUDGE


@dataclass(frozen=True)
class Method:
    name: str  # "photo", "nlm"
    label: str  # "Network: Camera photos", "Non-local means"
    restore: Callable[[Case], np.ndarray]
    weights: tuple[str, ...] = ()  # what it needs, by name


def methods(restorer: Restorer, task: str, controls: Mapping[str, Any], thorough: bool = False) -> list[Method]:
    """Auto where it has a choice, each network that there are weights for, and the classical methods.

    `controls` are what is known of the damage. `thorough`: also those that are slow, or need a package of their own.
    """
    offered, names = restorer.task(task), restorer.weights.names()
    found = []
    judge = (JUDGE,) if JUDGE in names else ()
    if offered.differs({**controls, "variant": AUTO}):
        found.append(Method(AUTO, "Auto: as the page chooses", network_method(task, restorer, variant=AUTO), judge))
    for word, option in offered.variant.options.items():
        # a variant that is no network is a classical method, which the task lists among its baselines
        weights = offered.weights({**controls, "variant": word})
        if option.network and weights in names:
            restore = network_method(task, restorer, variant=word)
            found.append(Method(word, f"Network: {option.label}", restore, (weights,)))
    for one in TASKS[task].baselines:
        if one.restore is not nothing and (one.quick or thorough):
            label = one.title or one.name.replace("-", " ").capitalize()
            found.append(Method(one.name, label, classical_method(task, one.name)))
    return found


def named(names: Collection[str], there: Collection[Method], task: str) -> list[Method]:
    """Those that have these names, of what is there. ControlError, with the names there are, for another."""
    if unknown := sorted({*names} - {one.name for one in there}):
        known = ", ".join(one.name for one in there)
        raise ControlError(f"there is no method {unknown[0][:80]!r} for {task}: choose among {known}")
    return [one for one in there if one.name in names]
