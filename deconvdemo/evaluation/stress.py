"""The bundled stress set: drawn pictures, degraded as the task degrades and as they are, that a candidate may not harm.

They are like photos in what is hard: fine, regular, flat. Nobody has to bring them, and nobody can leave them out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.degradations.holes import random_masks
from deconvdemo.evaluation.protocols import CLEAN, IN_HOLES, Case
from deconvdemo.image.drawn import drawn_pictures
from deconvdemo.tasks import TASKS, Task

DRAWN = "drawn pictures"
SEED = 2026  # training draws others


def stress_cases(checkpoint: Checkpoint) -> Iterator[Case]:
    """Every picture at every setting of the task's protocol, and without any where the task must keep clean ones."""
    header = checkpoint.header
    task = TASKS[header.task]
    axes = {
        name: (header.scale,) if name == "scale" else axis.values for name, axis in task.axes(header.variant).items()
    }
    for number, (name, clean) in enumerate(drawn_pictures(SEED)):
        for values in itertools.product(*axes.values()):
            made = task.degraded(clean, dict(zip(axes, values, strict=True)), number, _holes(task, clean, number))
            score = _judged(task, made.clean, task.scale(made.controls), made.mask)
            yield Case(name, made.setting, made.observed, made.controls, score, made.mask, made.file)
        if task.keeps_clean:
            yield Case(name, CLEAN, clean, {}, _judged(task, clean, 1, None))


def _holes(task: Task, clean: np.ndarray, number: int) -> np.ndarray | None:
    if not task.needs_mask:
        return None
    height, width = clean.shape[:2]
    return random_masks(np.random.default_rng([SEED, number]), 1, max(height, width))[0][:height, :width] > 0


def _judged(
    task: Task, clean: np.ndarray, scale: int, holes: np.ndarray | None
) -> Callable[[np.ndarray], dict[str, float]]:
    measure = "PSNR" if holes is None else IN_HOLES
    return lambda restored: {measure: task.psnr(restored, clean, scale, holes)}
