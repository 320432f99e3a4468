"""What a run of training is: on what, for how long, and from where on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.training.data.batches import Batches
from deconvdemo.training.data.blocks import Blocks
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.flagged import Flagged
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.data.resident import Resident
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.run.state import State
from deconvdemo.training.run.writer import Output, RunWriter


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


@dataclass(frozen=True)
class Run:
    """What is trained, on what and for how long, where it begins, and who takes the steps.

    `flagged` are photos that people flagged, for a share of the batches. `start_from` takes the weights of another
    checkpoint that fit; `resume` goes on from a run's `.state.safetensors`, to the bit where the budget is in steps and
    the machine the same. `team` is what `processes` gives: its first process writes. With `resident` the corpus is in
    the device's memory and batches are drawn there, for one process and without flags. `how` is one of step.HOW. A run
    that begins solves the last layer on `solving` batches before its first step (see `least_squares`).
    """

    recipe: Recipe
    corpus: Corpus
    budget: Budget
    flagged: Flagged | None = None
    start_from: Path | Checkpoint | None = None
    resume: Path | None = None
    team: OneProcess = field(default_factory=lambda: OneProcess("cpu"))
    bf16: bool = True
    resident: bool = False
    how: str = "eager"
    solving: int = 0

    def batches(self) -> Batches | Blocks:
        recipe, flagged = self.recipe, self.flagged.for_recipe(self.recipe) if self.flagged else None
        corpus = self.corpus.large_enough(recipe.patch * recipe.scale)
        if self.resident:
            return Blocks(recipe, Resident.of(corpus, self.team.device), self.team.device)
        return Batches(recipe, corpus, self.team, flagged)

    def state(self, say: Callable[[str], None]) -> State:
        """That of the first step to take."""
        state = State.fresh(self.recipe, self.team.device)
        if self.flagged:
            state.flags, state.flag_ids = self.flagged.name, tuple(pair.flag_id for pair in self.flagged.pairs)
        if self.start_from is not None:
            state.start_from(self.start_from, say)
        if self.resume is not None:
            state.load(self.resume, self.recipe)
        return state

    def writer(self, output: Output, state: State) -> RunWriter | None:
        """None for all processes but one."""
        precision = "bf16" if self.bf16 else "fp32"
        facts = {"device": self.team.device, "precision": precision, "processes": self.team.count, "step_is": self.how}
        return RunWriter(self.recipe, state, output, facts) if self.team.is_first else None
