"""Fitting a network: mixed precision, averaged weights, phases, on one process or several, and exact resume."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from deconvdemo.errors import TrainingError
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.recipes import Phase, Recipe
from deconvdemo.training.run.plan import Run
from deconvdemo.training.run.state import State
from deconvdemo.training.run.step import Steps
from deconvdemo.training.run.stopping import Stopped, Stopping
from deconvdemo.training.run.writer import Output

WARM_UP = 100  # steps over which the learning rate rises: the optimizers' first estimates are rough
FAR = 10**9  # the step whose batches no training sees
LOOK_EVERY = 20  # steps: a GPU runs ahead of the program, and each look at how it does waits for it


def fit(run: Run, output: Output, say: Callable[[str], None] = print, until: float = math.inf) -> Path:
    """Trains until the run's budget is used and returns `output.file`, the averaged weights as a checkpoint.

    Raises TrainingError, the last checkpoint intact, for whatever training cannot go on from; Stopped when it was
    asked to stop, or when time.monotonic() passes `until`.
    """
    from tqdm import tqdm

    recipe, budget, team = run.recipe, run.budget, run.team
    if run.solving and team.count > 1:
        raise TrainingError("the last layer is solved by one process: start the training without torchrun")
    batches, state = run.batches(), run.state(say)
    if run.solving and run.resume is None:
        with contextlib.closing(batches.following(FAR)) as samples:
            state.solve_last(samples, run.solving, say)
    writer = run.writer(output, state)
    if writer and run.resume is None and output.state_file.exists():
        say(f"a new run begins: it replaces {output.state_file} (--resume would go on from that)")

    take_step = Steps(run, state, say)
    watch, stop, rate, phase = _Watch(team, state), False, 0.0, recipe.phase(budget.progress(state))[0]
    with (
        Stopping(launched=team.count > 1, until=until) as stopping,
        contextlib.closing(batches.following(state.step)) as samples,
        tqdm(
            desc=f"training {recipe.name}",
            unit="step",
            total=budget.steps,
            initial=state.step,
            mininterval=5,
            disable=not team.is_first,
        ) as bar,
    ):
        while (progress := budget.progress(state)) < 1 and not stop:
            before, (phase, within) = phase, recipe.phase(progress)
            if phase is not before and writer:
                writer.line(before, rate)  # a line of the log tells of one phase
            rate = learning_rate(recipe.rate * phase.rate, state.step, within)
            watch.losses.append(take_step(next(samples), phase, rate))
            bar.update()
            if state.step % watch.every and _goes_on(recipe, phase, budget.progress(state)):
                continue
            loss, stop = watch.look(stopping.asked)
            if writer and writer.keep(phase, rate, loss):
                bar.set_postfix_str(f"loss {writer.mean_loss:.5f}")
                watch.restart()  # writing and measuring are no training time
    if writer:
        measured = writer.checkpoint(phase, rate, measuring=not stop)
        if not stop:
            writer.result(measured)
            say(f"{output.file}: {state.step} steps in {state.seconds / 60:.1f} minutes {measured or ''}")
    if stop:
        raise Stopped(
            f"stopped after {state.step} steps, as asked: the same command with --resume {output.state_file} goes on"
        )
    return output.file


def learning_rate(peak: float, step: int, progress: float) -> float:
    """A linear warm-up, then half a cosine from `peak` to zero (Loshchilov & Hutter 2017)."""
    return peak * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _goes_on(recipe: Recipe, phase: Phase, progress: float) -> bool:
    """Whether the next step belongs to this phase, too."""
    return progress < 1 and recipe.phase(progress)[0] is phase


class _Watch:
    """The losses and the clock of a run, and what its processes agree on. To look waits for the GPU."""

    def __init__(self, team: OneProcess, state: State):
        self._team, self._state = team, state
        self.every = LOOK_EVERY if team.device.startswith("cuda") else 1  # steps
        self.losses: list[Tensor] = []  # those not yet looked at, of this process's shares
        self.restart()

    def restart(self) -> None:
        """Training time goes on from now."""
        self._since = time.monotonic()

    def look(self, asked_to_stop: bool) -> tuple[float, bool]:
        """The mean loss since the last look, and whether any process is asked to stop. Counts the training time.

        Raises TrainingError where the loss is not finite.
        """
        loss = torch.stack(self.losses).mean().item()
        seconds = time.monotonic() - self._since if self._team.is_first else 0.0  # one clock, that of the first, counts
        loss, seconds, stops = self._team.agreed(loss, seconds, asked_to_stop)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} at step {self._state.step}: lower --rate and resume from the last state file"
            )
        self._state.seconds += seconds
        self.losses = []
        self.restart()
        return loss, stops > 0
