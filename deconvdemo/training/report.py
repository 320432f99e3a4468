"""Everything at once, as JSON-able values: what every network costs and reaches, the classical methods beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from deconvdemo import __version__
from deconvdemo.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from deconvdemo.classical import CLASSICAL
from deconvdemo.engine.device import Compute
from deconvdemo.errors import CheckpointError, ControlError
from deconvdemo.tasks.upscale import SCALES
from deconvdemo.training import cost
from deconvdemo.training.evaluate import Score, classical_method, evaluate, printed
from deconvdemo.training.measure import figures, network_scores
from deconvdemo.training.protocols import SIGMAS, each_case, sets_in
from deconvdemo.weights import Row, Weights
from deconvdemo.weights_index import INDEX, add_to_index


@dataclass(frozen=True)
class Plan:
    """What to measure. `images`: a folder of sets (None: costs alone); `methods`: names, "network" too (None: all)."""

    images: Path | None = None
    sigmas: Sequence[float] = SIGMAS
    scales: Sequence[int] = SCALES
    methods: Sequence[str] | None = None
    timings: bool = True
    tile: str | int = "auto"

    def classical(self, task: str) -> list[str]:
        return [name for name in CLASSICAL[task] if self.methods is None or name in self.methods]


def report(weights: Weights, compute_on: Compute, plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Costs first, while the machine is quiet, then figures on every set. What is left out is said.

    Raises CheckpointError for weights that cannot serve, TrainingError where there is nothing to measure on.
    """
    sets = sets_in(plan.images, say) if plan.images else {}
    machine = cost.Machine.this(compute_on.device)
    if plan.timings and machine.busy:
        say(f"timings will be rough: the load of this machine is {machine.load:g} before they begin")
    rows = weights.list()
    for row in rows:
        if row.problem:
            raise CheckpointError(row.problem)
    networks = []
    for row in rows:
        say(f"{row.name}: cost")
        networks.append(_cost(weights.load(row.name), row, compute_on, plan.timings))
    for network in networks:
        measured = plan.methods is None or "network" in plan.methods
        known = network["task"] != "upscale" or network["scale"] in plan.scales
        for images in sets.get(network["task"], ()) if measured and known else ():
            say(f"{network['name']}: {images.name}")
            scores = network_scores(weights.load(network["name"]), images, compute_on, plan.sigmas, plan.tile)
            network["scores"] += _rows(images, scores, plan.timings)
    return {
        "deconvdemo": __version__,
        "machine": {**asdict(machine), "busy": machine.busy},
        "precision": compute_on.precision,
        "networks": networks,
        "classical": list(_classical(sets, plan, say)),
    }


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
        "timed_at": f"{width}×{height}, the best of {cost.RUNS}" if timings else None,
        "scores": [],
    }


def _classical(sets: Mapping[str, Sequence[Path]], plan: Plan, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    for task, folders in sets.items():
        for name in plan.classical(task):
            rows = []
            try:
                for images in folders:
                    say(f"{name}: {images.name}")
                    found = each_case(task, images, plan.sigmas, plan.scales)
                    rows += _rows(images, evaluate(name, classical_method(task, name), found), plan.timings)
            except ControlError as error:  # of a package that is not there
                say(f"{error}; left out")
                continue
            yield {"name": name, "task": task, "scores": rows}


def _rows(images: Path, scores: Sequence[Score], timings: bool) -> list[dict[str, Any]]:
    kept = ("setting", "images", "measured", "seconds_per_megapixel")[: None if timings else -1]
    return [{"set": images.name, **{part: getattr(score, part) for part in kept}} for score in scores]


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
