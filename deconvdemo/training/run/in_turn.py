"""Several networks, one after the other, for a given time: on a machine that is lent for a while, and perhaps again.

Each has its share of all the time there will be, in order of need; one that the time breaks off goes on next time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from deconvdemo.checkpoints.index import bundled_folder
from deconvdemo.engine.compute import Compute
from deconvdemo.errors import TrainingError
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.needs import Need, minutes_each, recipe_of
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.run.ceiling import ceiling, operations
from deconvdemo.training.run.fit import fit
from deconvdemo.training.run.log import read_log
from deconvdemo.training.run.plan import Budget, Run
from deconvdemo.training.run.stopping import Stopped
from deconvdemo.training.run.writer import Output

LEAST = 10.0  # seconds that are worth beginning with a network
CHECKPOINT_EVERY = 60.0  # seconds: machines that are lent are taken back without warning


@dataclass(frozen=True)
class Turns:
    """What is trained: `wanted` in this order, for `minutes` of now, of `total` that there are with the times after.

    Every network's files are in `folder`. `how` is one of step.HOW; `batch` and `patch` in place of the table's.
    """

    wanted: Sequence[Need]
    images: Sequence[str]
    folder: Path
    minutes: float
    total: float
    how: str
    data: Sequence[str] = ()
    batch: int | None = None
    patch: int | None = None

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def state(self, name: str) -> Path:
        return self.folder / f"{name}.state.safetensors"


def train_in_turn(turns: Turns, compute: Compute, cache: Path, say: Callable[[str], None]) -> list[str]:
    """Trains what is not ready, as long as there is time; gives a sentence for each network that failed.

    A network that fails is said, and the next has its turn. Raises Stopped when the program is asked to stop.
    """
    until = time.monotonic() + 60 * turns.minutes
    bf16 = compute.precision == "bf16"
    able = ceiling(compute.device, bf16)
    say(f"{compute.device} {'bf16' if bf16 else 'fp32'}: {able / 1e12:.3f} TFLOP/s in convolutions, the ceiling")
    failed = []
    shares = minutes_each(turns.wanted, turns.total)
    for need in turns.wanted:
        share = shares[need.name]
        if trained_minutes(turns.state(need.name)) >= share and turns.file(need.name).exists():
            say(f"{need.name} is ready")
            continue
        if until - time.monotonic() < LEAST:
            break
        recipe = recipe_of(need, compute.device.startswith("cuda"), turns.batch, turns.patch)
        try:
            _train(turns, recipe, share, until, able, compute, cache, say)
        except Stopped:
            if time.monotonic() < until:  # it was not the time: somebody wants it
                raise
            say(f"{need.name}: the time is over; the same command goes on with {turns.state(need.name).name}")
        except TrainingError as error:
            failed.append(f"{need.name}: {error}")
            say(failed[-1])
        say(summary(turns, need.name))
    say(belongings(turns, shares))
    return failed


def _train(
    turns: Turns,
    recipe: Recipe,
    share: float,
    until: float,
    able: float,
    compute: Compute,
    cache: Path,
    say: Callable[[str], None],
) -> None:
    state = turns.state(recipe.name)
    corpus = Corpus.open(turns.images, cache, say, recipe.reduced)
    run = Run(
        recipe,
        corpus,
        Budget(minutes=share),
        start_from=None if state.exists() else beginning(recipe),
        resume=state if state.exists() else None,
        team=OneProcess(compute.device),
        bf16=compute.precision == "bf16",
        resident=True,
        how=turns.how,
    )
    output = Output(
        turns.file(recipe.name),
        corpus.described(turns.data),
        checkpoint_every=CHECKPOINT_EVERY,
        weights_each_time=True,
        operations=operations(recipe),
        ceiling=able,
    )
    say(f"{recipe.name}: {share:.2f} minutes in all, batches of {recipe.batch} × {recipe.patch}² pixels, {turns.how}")
    fit(run, output, say, until)


def beginning(recipe: Recipe) -> Path | None:
    """The weights that serve under this name, or those that the recipe begins with, if there are any."""
    for name in filter(None, (recipe.name, recipe.starts_from)):
        if (file := bundled_folder() / f"{name}.safetensors").exists():
            return file
    return None


def trained_minutes(state: Path) -> float:
    """How long the run of this state took; 0 where there is none."""
    try:
        with safe_open(state, framework="numpy") as opened:
            return float((opened.metadata() or {}).get("seconds", 0)) / 60
    except (OSError, SafetensorError, ValueError):
        return 0.0


def summary(turns: Turns, name: str) -> str:
    """How fast a network was trained."""
    log = turns.file(name).with_suffix(".log.jsonl")
    rows = [row for row in (read_log(log) if log.exists() else []) if row.get("images_per_second")]
    if not rows:
        return f"{name}: no line of a log"
    row = rows[-1]
    against = (
        f", {row['teraflops']} TFLOP/s: {100 * row['of_ceiling']:.1f} % of the ceiling" if "teraflops" in row else ""
    )
    return (
        f"{name}: {row['step']} steps, {row['minutes']} minutes, {row['images_per_second']} patches a second{against}"
    )


def belongings(turns: Turns, shares: dict[str, float]) -> str:
    """Which files to take along when the machine is given back: what is ready, and what goes on."""
    lines = []
    for name, share in shares.items():
        ready = trained_minutes(turns.state(name)) >= share
        files = [turns.file(name), *([] if ready else [turns.state(name)])]
        lines += [f"  {file.name} ({file.stat().st_size / 1e6:.1f} MB)" for file in files if file.exists()]
    return "to take along:\n" + "\n".join(lines) if lines else "nothing was trained"
