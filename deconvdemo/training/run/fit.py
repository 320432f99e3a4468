"""Fitting a network: mixed precision, averaged weights, phases, on one process or several, and exact resume."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.errors import TrainingError
from deconvdemo.training.data.batches import Batches
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.flagged import Flagged
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.recipes import Phase, Recipe
from deconvdemo.training.run.losses import loss_and_weight
from deconvdemo.training.run.state import State
from deconvdemo.training.run.stopping import Stopping
from deconvdemo.training.run.writer import RunWriter
from deconvdemo.training.samples.sample import Sample

WARM_UP = 100  # steps over which the learning rate rises: the optimizers' first estimates are rough
CLIP = 1.0  # largest norm of a gradient
LOOK_EVERY = 20  # steps: a GPU runs ahead of the program, and each look at how it does waits for it


@dataclass(frozen=True)
class Budget:
    """Training ends after `steps`, or after `minutes` of training (those of earlier, resumed runs counted in)."""

    minutes: float | None = None
    steps: int | None = None

    def progress(self, state: State) -> float:
        """0 at the start, 1 at the end: what the learning rate's cosine follows."""
        if self.steps is not None:
            return state.step / max(self.steps, 1)
        assert self.minutes is not None
        return state.seconds / 60 / max(self.minutes, 1e-9)


def fit(
    recipe: Recipe,
    corpus: Corpus,
    out: Path,
    budget: Budget,
    *,
    data: list[str],
    resume: Path | None = None,
    start_from: Path | Checkpoint | None = None,
    device: str = "cpu",
    bf16: bool = True,
    team: OneProcess | None = None,
    checkpoint_every: float = 300.0,
    measure_every: float = 0.0,
    measure: Callable[[nn.Module], dict[str, float]] | None = None,
    flagged: Flagged | None = None,
    about: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Trains until `budget` is used and returns `out`, the averaged weights as a checkpoint.

    Every `checkpoint_every` seconds the state is written to `out` with the suffix `.state.safetensors`, and a log grows
    in `.log.jsonl`; `resume` goes on from such a state, to the bit where the budget is in steps and the machine the
    same. The averaged network is measured at a checkpoint when the last time was `measure_every` seconds ago.
    `start_from` takes the weights of another checkpoint that fit. `flagged` are photos that people flagged, for a share
    of the batches; `about` goes into the header's recipe. `team` is what `processes` gives, in place of `device`: its
    first process writes.
    Raises TrainingError, the last checkpoint intact, for whatever training cannot go on from, and when it was stopped.
    """
    from tqdm import tqdm

    team = team or OneProcess(device)
    flagged = flagged.for_recipe(recipe) if flagged else None
    batches = Batches(recipe, corpus.large_enough(recipe.patch * recipe.scale), team, flagged)
    state = State.fresh(recipe, team.device)
    state.flags = flagged.name if flagged else ""
    if start_from is not None:
        state.start_from(start_from, say)
    if resume is not None:
        state.load(resume, recipe)
    facts = {"device": team.device, "precision": "bf16" if bf16 else "fp32", "processes": team.count}
    keeper = RunWriter(recipe, state, out, measure, checkpoint_every, measure_every, facts) if team.is_first else None
    if keeper and resume is None and keeper.state_file.exists():
        say(f"a new run begins: it replaces {keeper.state_file} (--resume would go on from that)")

    watch, stop, rate, phase = _Watch(team, state), False, 0.0, recipe.phase(budget.progress(state))[0]
    with (
        Stopping(launched=team.count > 1) as stopping,
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
            if phase is not before and keeper:
                keeper.line(before, rate)  # a line of the log tells of one phase
            rate = learning_rate(recipe.rate * phase.rate, state.step, within)
            watch.losses.append(_train_step(state, next(samples), recipe, phase, rate, team, bf16))
            bar.update()
            if state.step % watch.every and _goes_on(recipe, phase, budget.progress(state)):
                continue
            loss, stop = watch.look(stopping.asked)
            if keeper and keeper.keep(phase, rate, loss):
                bar.set_postfix_str(f"loss {keeper.mean_loss:.5f}")
                watch.restart()  # writing and measuring are no training time
    if keeper:
        measured = keeper.checkpoint(phase, rate, measuring=not stop)
        if not stop:
            keeper.result(data, measured, about or {})
            say(f"{out}: {state.step} steps in {state.seconds / 60:.1f} minutes {measured or ''}")
    if stop:
        state_file = out.with_suffix(".state.safetensors")
        raise TrainingError(
            f"stopped after {state.step} steps, as asked: the same command with --resume {state_file} goes on"
        )
    return out


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


def _train_step(
    state: State, sample: Sample, recipe: Recipe, phase: Phase, rate: float, team: OneProcess, bf16: bool
) -> Tensor:
    """One step of every process, each on its sample; gives this sample's share of the batch's loss."""
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
    # benchmark: a step's shapes are those of the step before, so that looking for the fastest convolutions pays
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        with torch.autocast(team.device.partition(":")[0], torch.bfloat16, enabled=bf16):
            restored = state.network(sample.inputs.contiguous(memory_format=torch.channels_last))
        loss, weight = loss_and_weight(restored, sample, phase.loss)
        loss = loss / team.summed(weight)
        state.network.zero_grad(set_to_none=True)
        loss.backward()
    team.sum_gradients(state.network.parameters())
    nn.utils.clip_grad_norm_(state.network.parameters(), CLIP)
    for optimizer in state.optimizers:
        optimizer.step()
    # a young average follows quickly, so that the random start is forgotten
    keep = min(recipe.average, (state.step + 1) / (state.step + 10))
    get_ema_multi_avg_fn(keep)(list(state.averaged.values()), list(state.network.state_dict().values()), 0)
    state.step += 1
    state.phases[phase.loss] = state.phases.get(phase.loss, 0) + 1
    return loss.detach()
