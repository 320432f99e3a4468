"""Acceptance: a candidate takes the served weights' place only if it is measurably better and nothing is worse (law 9).

Both restore the same images with the same noise. What counts is the difference on each image: its mean, a 95 % interval
and a paired t-test (Student 1908), for each validation set and for the accepted flags that were kept from training,
which are restored with what their visitors had set; and, of every picture that nobody flagged, that it loses next to
nothing (law 9b). Then come the gate to an expert by itself, the laws, and the time it takes.
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
from deconvdemo.evaluation.comparison import FEWEST_FLAGS, FLAGS, HARM, Comparison
from deconvdemo.evaluation.measure import restoring
from deconvdemo.evaluation.openings import Openings, opening_of
from deconvdemo.evaluation.protocols import IN_HOLES, Case
from deconvdemo.evaluation.stress import DRAWN, stress_cases
from deconvdemo.evaluation.variety import too_few
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
    openings: Openings = field(default_factory=Openings)  # of a gate to an expert, where nothing was flagged

    @property
    def passed(self) -> bool:
        return not self.refusals

    def facts(self) -> list[dict[str, Any]]:
        """The comparisons for the history, JSON-able."""
        return [one.facts() for one in self.comparisons]

    def history(self) -> dict[str, Any]:
        """What a line of the history keeps of it."""
        openings = {"openings": self.openings.facts()} if self.openings.shares else {}
        return {"found": self.facts(), **openings}

    def table(self) -> str:
        """For a person: served | candidate | difference | verdict."""
        head = f"{'':34} {'served':>8} {'candidate':>9} {'difference':>10} {'95 %':>16} {'p':>6} {'worst':>6}  verdict"
        lines = [head]
        for one in self.comparisons:
            low, high = one.interval
            between = f"{low:+.2f} to {high:+.2f}" if math.isfinite(low) else "–"
            verdict = "refused" if one.refusal() or one.harm() else "good"
            lines.append(
                f"{one.where:34.34} {np.mean(one.served):8.2f} {np.mean(one.candidate):9.2f} "
                f"{one.mean:+10.2f} {between:>16} {one.p_value:6.3f} {one.differences.min():+6.2f}  {verdict}"
            )
        if self.comparisons:
            lines.append(f"{'seconds a megapixel':34} {self.seconds[0]:8.2f} {self.seconds[1]:9.2f}")
        judged = [one for one in self.comparisons if one.images != FLAGS]
        if judged:
            harmed = sum(one.losing for one in judged)
            lines.append(
                f"single pictures: {harmed} of {sum(len(one.served) for one in judged)} lose more than {HARM} dB"
            )
            lines.append(self.openings.told())
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
    if few := too_few(sets):
        return Report(served.sha256, candidate.sha256, (), (0.0, 0.0), (few,))
    found: list[Comparison] = []
    openings = Openings()
    timed: Case | None = None
    for folder in sets:
        say(f"measuring on {folder.name}")
        cases = list(validation_cases(candidate, folder))
        found += _compared(folder.name, cases, served, candidate, compute_on, openings)
        timed = timed or cases[0]
    say(f"measuring on {DRAWN}")
    found += _compared(DRAWN, list(stress_cases(candidate)), served, candidate, compute_on, openings)
    flags = [case for number, pair in enumerate(held_out) if (case := flag_case(pair, candidate, number))]
    say(f"measuring on {len(flags)} held-back flags")
    of_flags = _compared(FLAGS, flags, served, candidate, compute_on)
    if not of_flags:
        refusals.append(f"no held-back flag can be judged by: {FEWEST_FLAGS} accepted ones with a target are needed")
    refusals += [reason for one in (*found, *of_flags) for reason in (one.refusal(), one.harm()) if reason]
    refusals += [reason] if (reason := openings.refusal()) else []
    refusals += broken_laws(candidate, compute_on)
    seconds = _seconds((served, candidate), timed, compute_on) if timed else (0.0, 0.0)
    if seconds[1] > SLOWER * seconds[0]:
        refusals.append(f"it takes {seconds[1] / seconds[0]:.2f} times as long, {SLOWER} at most are allowed")
    return Report(served.sha256, candidate.sha256, (*found, *of_flags), seconds, tuple(refusals), openings)


def _compared(
    images: str,
    cases: Sequence[Case],
    served: Checkpoint,
    candidate: Checkpoint,
    compute_on: Compute,
    openings: Openings | None = None,
) -> list[Comparison]:
    """The two on each case, by setting; where the candidate's gate opens goes into `openings`."""
    both = [restoring(checkpoint, compute_on) for checkpoint in (served, candidate)]
    opening = None if openings is None else opening_of(candidate)
    rows: dict[str, list[tuple[float, float, str]]] = {}
    for case in cases:
        before, now = (case.score(to_depth(restore(case), np.uint8)) for restore in both)
        measure = IN_HOLES if IN_HOLES in before else "PSNR"
        row = (min(before[measure], LARGEST), min(now[measure], LARGEST), case.image)
        rows.setdefault(case.setting, []).append(row)
        if openings is not None and opening is not None:
            openings.add(f"{case.image} in {images} {case.setting}".strip(), opening(case))
    made = {setting: [*zip(*found, strict=True)] for setting, found in rows.items()}
    # the flags' ids stay out of the history, which an erasure does not reach
    return [
        Comparison(images, setting, before, now, () if images == FLAGS else names)
        for setting, (before, now, names) in made.items()
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
