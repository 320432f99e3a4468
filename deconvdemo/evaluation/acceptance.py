"""Acceptance: a candidate takes the served weights' place only if it is measurably better and nothing is worse (law 9).

Both restore the same images with the same noise. What counts is the difference on each image: its mean, a 95 % interval
and a paired t-test (Student 1908), for each validation set and for the accepted flags that were kept from training,
which are restored with what their visitors had set. Then come the laws, and the time it takes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.evaluation.acceptance_cases import flag_case, validation_cases
from deconvdemo.evaluation.candidate_laws import broken_laws, usual_controls
from deconvdemo.evaluation.comparison import FEWEST_FLAGS, FLAGS, Comparison
from deconvdemo.evaluation.measure import restoring
from deconvdemo.evaluation.protocols import IN_HOLES, Case
from deconvdemo.feedback.events.records import Pair
from deconvdemo.image.pixels import to_depth

TIMED = 512  # pixels a side, at most, of the photo that is timed
SLOWER = 1.25  # times as long as the served weights
LARGEST = 45.0  # dB that count: nobody sees what is beyond, and a perfect result's infinity has no mean


@dataclass(frozen=True)
class Report:
    """What the gate found. `refusals` has a sentence for each reason; none: the candidate may serve."""

    served: str  # sha256
    candidate: str
    comparisons: tuple[Comparison, ...]
    seconds: tuple[float, ...]  # a megapixel of the result, of both
    refusals: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return not self.refusals

    def facts(self) -> list[dict[str, Any]]:
        """The comparisons for the history, JSON-able: `mean` is that of the difference, in dB, as is its interval."""
        return [
            {
                "images": one.images,
                "setting": one.setting,
                "served": round(float(np.mean(one.served)), 4),
                "candidate": round(float(np.mean(one.candidate)), 4),
                "mean": round(one.mean, 4),
                "interval": [round(end, 4) for end in one.interval] if math.isfinite(one.interval[0]) else None,
            }
            for one in self.comparisons
        ]

    def table(self) -> str:
        """For a person: served | candidate | difference | verdict."""
        head = f"{'':34} {'served':>8} {'candidate':>9} {'difference':>10} {'95 %':>16} {'p':>6}  verdict"
        lines = [head]
        for one in self.comparisons:
            low, high = one.interval
            between = f"{low:+.2f} to {high:+.2f}" if math.isfinite(low) else "–"
            verdict = "refused" if one.refusal() else "good"
            lines.append(
                f"{f'{one.images} {one.setting}':34.34} {np.mean(one.served):8.2f} {np.mean(one.candidate):9.2f} "
                f"{one.mean:+10.2f} {between:>16} {one.p_value:6.3f}  {verdict}"
            )
        lines.append(f"{'seconds a megapixel':34} {self.seconds[0]:8.2f} {self.seconds[1]:9.2f}")
        lines += [f"refused: {reason}" for reason in self.refusals] or ["passed"]
        return "\n".join(lines)


def judge(
    served: Checkpoint,
    candidate: Checkpoint,
    sets: Sequence[Path],
    held_out: Iterable[Pair],
    compute_on: Compute,
    objections: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Compares two checkpoints of one name. `objections` are reasons from elsewhere, such as what it was trained on."""
    refusals = list(objections)
    if candidate.name != served.name:
        refusals.append(f"it is {candidate.name}, but {served.name} is to be replaced")
    parent = candidate.header.recipe.get("parent")
    if parent and parent != served.sha256:
        refusals.append(f"it was made from {str(parent)[:12]}, but {served.sha256[:12]} serves now: fine-tune anew")
    if candidate.sha256 == served.sha256:
        refusals.append("these weights serve already")
    if refusals:
        return Report(served.sha256, candidate.sha256, (), (0.0, 0.0), tuple(refusals))
    found: list[Comparison] = []
    timed: Case | None = None
    for folder in sets:
        say(f"measuring on {folder.name}")
        cases = list(validation_cases(candidate, folder))
        found += _compared(folder.name, cases, served, candidate, compute_on)
        timed = timed or cases[0]
    flags = [case for number, pair in enumerate(held_out) if (case := flag_case(pair, candidate, number))]
    say(f"measuring on {len(flags)} held-back flags")
    of_flags = _compared(FLAGS, flags, served, candidate, compute_on)
    if not of_flags:
        refusals.append(f"no held-back flag can be judged by: {FEWEST_FLAGS} accepted ones with a target are needed")
    refusals += [reason for one in (*found, *of_flags) if (reason := one.refusal())]
    refusals += broken_laws(candidate, compute_on)
    seconds = _seconds((served, candidate), timed, compute_on) if timed else (0.0, 0.0)
    if seconds[1] > SLOWER * seconds[0]:
        refusals.append(f"it takes {seconds[1] / seconds[0]:.2f} times as long, {SLOWER} at most are allowed")
    return Report(served.sha256, candidate.sha256, (*found, *of_flags), seconds, tuple(refusals))


def _compared(
    images: str, cases: Sequence[Case], served: Checkpoint, candidate: Checkpoint, compute_on: Compute
) -> list[Comparison]:
    """The two on each case, by setting."""
    both = [restoring(checkpoint, compute_on) for checkpoint in (served, candidate)]
    rows: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        scores = [case.score(to_depth(restore(case), np.uint8)) for restore in both]
        measure = IN_HOLES if IN_HOLES in scores[0] else "PSNR"
        pair = tuple(min(score[measure], LARGEST) for score in scores)
        rows.setdefault(case.setting, []).append(pair)  # type: ignore[arg-type]
    return [
        Comparison(images, setting, tuple(a for a, _ in found), tuple(b for _, b in found))
        for setting, found in rows.items()
    ]


def _seconds(checkpoints: Sequence[Checkpoint], case: Case, compute_on: Compute) -> tuple[float, ...]:
    """Seconds a megapixel of each one's result: the best of some, taken in turn: a busy machine is busy for all."""
    photo = case.observed[:TIMED, :TIMED]
    mask = None if case.mask is None else case.mask[:TIMED, :TIMED]
    restorers = [Restorer.of(checkpoint, compute_on) for checkpoint in checkpoints]
    best = [math.inf] * len(restorers)
    for _ in range(6):  # the first warms up
        for place, (restorer, checkpoint) in enumerate(zip(restorers, checkpoints, strict=True)):
            begun = time.perf_counter()
            restorer.restore(checkpoint.header.task, photo, mask, **{**usual_controls(checkpoint), **case.controls})
            best[place] = min(best[place], time.perf_counter() - begun)
    megapixels = photo.shape[0] * photo.shape[1] * checkpoints[0].header.scale ** 2 / 1e6
    return tuple(seconds / megapixels for seconds in best)
