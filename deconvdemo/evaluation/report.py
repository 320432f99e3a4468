"""Everything at once, as JSON-able values: what every network costs and reaches, the classical methods beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.index import INDEX, add_to_index
from deconvdemo.checkpoints.serving import Row, Weights
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import CheckpointError, ControlError
from deconvdemo.evaluation import cost
from deconvdemo.evaluation.evaluate import Score, classical_method, evaluate, network_method, printed
from deconvdemo.evaluation.measure import figures, network_scores, restoring
from deconvdemo.evaluation.protocols import Case, Values, each_case, sets_in
from deconvdemo.tasks import PHOTO, STANDARD, TASKS
from deconvdemo.tasks.helpers import FINDERS, GENERATE, JUDGE
from deconvdemo.version import __version__


@dataclass(frozen=True)
class ReportPlan:
    """What to measure. `images`: a folder of sets (None: costs alone); `methods`: names, "network" too (None: all)."""

    images: Path | None = None
    values: Values = field(default_factory=dict)
    methods: Sequence[str] | None = None
    timings: bool = True
    tile: str | int = "auto"

    def values_at(self, scale: int) -> Values | None:
        """What a network of this scale, 1 for a task without scales, is measured at; None if that is not wanted."""
        if scale == 1:
            return self.values
        return {**self.values, "scale": (scale,)} if scale in self.values.get("scale", (scale,)) else None

    def wants(self, method: str) -> bool:
        return self.methods is None or method in self.methods


def report(weights: Weights, compute_on: Compute, plan: ReportPlan, say: Callable[[str], None]) -> dict[str, Any]:
    """Costs first, while the machine is quiet, then figures on every set. What is left out is said.

    Where a task has a photo network, all that it has is measured by that one's protocol, too, to compare.
    Raises CheckpointError for weights that cannot serve, TrainingError where there is nothing to measure on.
    """
    sets = sets_in(plan.images, say) if plan.images else {}
    machine = cost.Machine.this(compute_on.device)
    if plan.timings and machine.busy:
        say(f"timings will be rough: the load of this machine is {machine.load:g} before they begin")
    rows = [row for row in weights.list() if row.name not in (JUDGE, GENERATE)]  # they restore nothing
    for row in rows:
        if row.problem:
            raise CheckpointError(row.problem)
    networks = []
    for row in rows:
        say(f"{row.name}: cost")
        networks.append(_cost(weights.load(row.name), row, compute_on, plan.timings))
    of_photos = {network["task"] for network in networks if network["variant"] == PHOTO}
    survey = Survey(plan, sets, of_photos, say)
    for network in networks if plan.wants("network") else ():
        restore = restoring(weights.load(network["name"]), compute_on, plan.tile)
        values = plan.values_at(network["scale"])
        if network["task"] in FINDERS:
            network["scores"] = survey.found(weights.load(network["name"]), compute_on)
        elif values is not None:
            network |= survey.scores(network["name"], network["task"], restore, values, network["variant"])
    return {
        "deconvdemo": __version__,
        "machine": {**asdict(machine), "busy": machine.busy},
        "runs": cost.RUNS if plan.timings else None,
        "precision": compute_on.precision,
        "networks": networks,
        "borrowed": list(_borrowed(survey, Restorer(weights, compute_on, plan.tile))),
        "classical": list(_classical(survey)),
    }


@dataclass(frozen=True)
class Survey:
    """All sets of every task, and by which protocols they are measured on."""

    plan: ReportPlan
    sets: Mapping[str, Sequence[Path]]
    of_photos: set[str]  # tasks
    say: Callable[[str], None]

    def scores(self, name: str, task: str, restore: Callable[[Case], np.ndarray], values: Values, variant=""):
        """ "scores" by the protocol of `variant`, and "photo_scores" by that of photos if that is another one."""
        found = {"scores": self._rows(name, task, restore, values, variant)}
        if task in self.of_photos and variant != PHOTO:
            known = [(row["set"], row["setting"]) for row in found["scores"]]  # real pairs are in both protocols
            also = self._rows(name, task, restore, values, PHOTO)
            found["photo_scores"] = [row for row in also if (row["set"], row["setting"]) not in known]
        return found

    def found(self, checkpoint: Checkpoint, compute_on: Compute) -> list[dict[str, Any]]:
        """The scores of a network that helps a task."""
        images = {folder.name.lower(): folder for folders in self.sets.values() for folder in folders}
        rows: list[dict[str, Any]] = []
        for folder in (images[name] for name in FINDERS[checkpoint.header.task].sets if name in images):
            self.say(f"{checkpoint.name}: {folder.name}")
            rows += self._told(folder, network_scores(checkpoint, folder, compute_on))
        return rows

    def _rows(self, name: str, task: str, restore, values: Values, variant: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for images in self.sets.get(task, ()):
            self.say(f"{name}: {images.name}{', as photos' if variant == PHOTO else ''}")
            cases = each_case(task, images, values, variant)
            rows += self._told(images, evaluate(name, restore, cases))
        return rows

    def _told(self, images: Path, scores: Iterable[Score]) -> Iterator[dict[str, Any]]:
        for score in scores:
            row = {"set": images.name, "setting": score.setting, "images": score.images, "measured": score.measured}
            yield row | ({"seconds_per_megapixel": score.seconds_per_megapixel} if self.plan.timings else {})


def _borrowed(survey: Survey, restorer: Restorer) -> Iterator[dict[str, Any]]:
    """What tasks without networks of their own reach with those of other tasks: one row for each variant."""
    for task in (TASKS[name] for name in survey.sets if survey.plan.wants("network")):
        for word, option in task.variant.options.items() if not task.trains else ():
            name = task.weights({"variant": word})
            if option.network and name in restorer.weights.names():
                restore = network_method(task.name, restorer, variant=word)
                found = survey.scores(f"{task.name} by {name}", task.name, restore, survey.plan.values)
                yield {"name": name, "task": task.name, "variant": "" if word == STANDARD else word, **found}


def _classical(survey: Survey) -> Iterator[dict[str, Any]]:
    for task in survey.sets:
        for name in filter(survey.plan.wants, [method.name for method in TASKS[task].baselines]):
            try:
                found = survey.scores(name, task, classical_method(task, name), survey.plan.values)
            except ControlError as error:  # of a package that is not there
                survey.say(f"{error}; left out")
                continue
            yield {"name": name, "task": task, **found}


def _cost(checkpoint: Checkpoint, row: Row, compute_on: Compute, timings: bool) -> dict[str, Any]:
    header, network = checkpoint.header, checkpoint.network()
    height, width = cost.result_size(header.scale)
    milliseconds = {
        precision: round(cost.milliseconds_per_megapixel(network, compute_on.device, precision), 1)
        for precision in cost.PRECISIONS
        if timings
    }
    return {
        "name": row.name,
        **{part: getattr(header, part) for part in ("task", "scale", "variant", "network", "config")},
        "sha256": checkpoint.sha256,
        "parameters": cost.parameters(network),
        "bytes": row.size,
        "multiply_adds_per_megapixel": cost.multiply_adds_per_megapixel(network),
        "milliseconds_per_megapixel": milliseconds or None,
        "timed_at": f"{width}×{height}" if timings else None,
        "scores": [],
    }


# ---- headers: what a file says of itself is what was measured ---------------------------------------------


def compare_headers(weights: Weights, found: Mapping[str, Any], update: bool, say: Callable[[str], None]) -> None:
    """Says which headers have other figures than the report `found`, or none; `update` writes them (and its sha256)."""
    rows = {row.name: row for row in weights.list()}
    for network in found["networks"]:
        row = rows[network["name"]]
        now = figures((score["set"], score["setting"], score["measured"]) for score in network["scores"])
        other = outdated(row.measured, now)
        if other and update and "://" in row.source:
            raise ControlError(f"{row.source} is the Hub's: give --weights FILE or FOLDER to write into headers")
        if other and update:
            network["sha256"] = update_header(Path(row.file), now)
        if other:
            end = "written into its header" if update else "--update-headers writes them into its header"
            say(f"{row.name}: {'; '.join(other)}: {end}")


def outdated(header: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """The figures that a header lacks, or that are printed otherwise by now, as a person reads them."""
    return [
        f"{name} {printed(name, header[name]) if name in header else 'unknown'} → {printed(name, value)}"
        for name, value in now.items()
        if name not in header or printed(name, header[name]) != printed(name, value)
    ]


def update_header(file: Path, now: Mapping[str, float]) -> str:
    """Writes figures into a weights file's header, and its new sha256 into the index.json beside it; returns that.

    The weights themselves stay as they are, bit for bit. Raises CheckpointError if the file cannot be written.
    """
    checkpoint = load_checkpoint(file)
    header = replace(checkpoint.header, measured={**checkpoint.header.measured, **now})
    sha256 = save_checkpoint(file, header, checkpoint.tensors, dtype=None)
    if (file.parent / INDEX).exists():
        add_to_index(file)
    return sha256
