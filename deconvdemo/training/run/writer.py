"""What a run leaves on the disk: its state to resume from, its log, and in the end the weights."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from deconvdemo.checkpoints.checkpoint import Header, save_checkpoint
from deconvdemo.checkpoints.header import today
from deconvdemo.errors import TrainingError
from deconvdemo.training.recipes import Phase, Recipe
from deconvdemo.training.run.log import Log
from deconvdemo.training.run.state import State

LOG_EVERY = 60.0  # seconds


@dataclass(frozen=True)
class Output:
    """What a run leaves: weights in `file`, and beside it its state, written every so many seconds, and its log.

    The header names the `data`, and has `about` in its recipe. What `measure` finds of the averaged network goes there
    too, and into the log at a checkpoint when the last time was `measure_every` seconds ago.
    """

    file: Path
    data: Sequence[str] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    measure: Callable[[nn.Module], dict[str, float]] | None = None
    measure_every: float = 0.0
    checkpoint_every: float = 300.0
    weights_each_time: bool = False  # with each state, for who cannot wait for the end
    operations: float = 0.0  # of a step on one patch
    ceiling: float = 0.0  # operations a second that the device is able to; 0: nobody asked

    @property
    def state_file(self) -> Path:
        """What `resume` goes on from."""
        return self.file.with_suffix(".state.safetensors")


@dataclass
class RunWriter:
    """Writes what one run leaves; `facts` go into every line of its log.

    Raises TrainingError where the output is a folder or in one that cannot be written.
    """

    recipe: Recipe
    state: State
    output: Output
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_writable(self.output.file)
        self._log = Log(self.output.file.with_suffix(".log.jsonl"), self.state.step)
        self._saved = self._logged = time.monotonic()
        self._measured = -math.inf
        self._step, self._seconds = self.state.step, self.state.seconds  # of the last line
        self._losses: list[float] = []  # since the last line
        self.mean_loss: float | None = None  # as the last line has it

    def keep(self, phase: Phase, rate: float, loss: float) -> bool:
        """After a step, or a few, of this mean loss: writes what is due; True if anything was."""
        self._losses.append(loss)
        now = time.monotonic()
        if now - self._saved > self.output.checkpoint_every:
            self.checkpoint(phase, rate, measuring=now - self._measured >= self.output.measure_every)
        elif now - self._logged > LOG_EVERY:
            self.line(phase, rate)
        else:
            return False
        return True

    def checkpoint(self, phase: Phase, rate: float, measuring: bool = True) -> dict[str, float]:
        """The state, first, and a line with what the averaged network reaches, which is returned."""
        self.state.save(self.output.state_file, self.recipe)
        if self.output.weights_each_time:
            self.result({})
        measure = self.output.measure
        measured = measure(self.state.averaged_network()) if measure and measuring else {}
        self.line(phase, rate, measured)
        self._saved = time.monotonic()
        self._measured = self._saved if measured else self._measured
        return measured

    def line(self, phase: Phase, rate: float, measured: Mapping[str, float] | None = None) -> None:
        """A line of the log, about the steps since the last one."""
        state = self.state
        images, seconds = (state.step - self._step) * self.recipe.batch, state.seconds - self._seconds
        self.mean_loss = float(np.mean(self._losses)) if self._losses else None
        speed = images / seconds if seconds else None
        number = next(number for number, one in enumerate(self.recipe.phases, 1) if one is phase)
        self._log.write(
            {
                "step": state.step,
                "minutes": round(state.seconds / 60, 2),
                "phase": number,
                "phase_loss": phase.loss,
                "rate": rate,
                "loss": self.mean_loss,
                "images_per_second": round(speed, 2) if speed else None,
                **self._against_the_ceiling(speed),
                **self.facts,
                **(measured or {}),
            }
        )
        self._step, self._seconds, self._logged, self._losses = state.step, state.seconds, time.monotonic(), []

    def _against_the_ceiling(self, speed: float | None) -> dict[str, float]:
        if not speed or not self.output.ceiling:
            return {}
        reached = speed * self.output.operations
        return {"teraflops": round(reached / 1e12, 4), "of_ceiling": round(reached / self.output.ceiling, 4)}

    def result(self, measured: Mapping[str, float]) -> None:
        """Writes the averaged weights, with a header that says how they came to be."""
        state = self.state
        header = Header(
            network=self.recipe.network,
            config=self.recipe.config,
            task=self.recipe.task,
            scale=self.recipe.scale,
            variant=self.recipe.variant,
            data=list(self.output.data),
            recipe={
                **self.recipe.described(),
                "loss": ", ".join(f"{loss} {steps} steps" for loss, steps in state.phases.items()),
                "steps": state.step,
                "minutes": round(state.seconds / 60, 1),
                **({"started from": state.parent} if state.parent else {}),
                **({"last layer solved on batches": state.solved} if state.solved else {}),
                **self.output.about,
            },
            measured=dict(measured),
            created=today(),
        )
        save_checkpoint(self.output.file, header, state.averaged)


def _check_writable(out: Path) -> None:
    if out.is_dir():
        raise TrainingError(f"{out} is a folder: name the .safetensors file to write")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise TrainingError(f"the folder of {out} cannot be written ({error.strerror}): name another place") from error
