"""From a candidate's file to what serves: it takes the place if the gate lets it, and else nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deconvdemo.checkpoints import promotion
from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint
from deconvdemo.checkpoints.header import Header
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.compute import Compute
from deconvdemo.errors import CheckpointError, DeviceError, FeedbackError
from deconvdemo.evaluation.acceptance import Report, judge
from deconvdemo.evaluation.lineage import note
from deconvdemo.feedback.events.records import Pair
from deconvdemo.feedback.review.pairs import objections, snapshot
from deconvdemo.feedback.review.ranking import direct, less_liked
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.tasks import TASKS


@dataclass(frozen=True)
class Promotion:
    """What became of a candidate, and why."""

    candidate: Checkpoint
    report: Report
    won: float  # of the duels with what serves
    duels: int
    serves: bool


def promote(
    file: Path,
    folder: Path,
    sets: Sequence[Path],
    store: FeedbackStore,
    compute_on: Compute,
    needed: int = 1,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Promotion:
    """Judges a candidate on `sets`, folders of clean images, and on held-back flags; what passes serves in `folder`.

    `needed` is how many reviewers a verdict takes. `dry_run`: nothing changes. Raises CheckpointError and ControlError.
    """
    candidate, against = _candidate(file, store, needed)
    served = Weights(folder).load(candidate.name)
    header = candidate.header
    won, duels = direct(store, header.task, candidate.sha256, served.sha256)
    against += less_liked(won, duels)
    try:
        held_out: Sequence[Pair] = snapshot(store, header.task, header.scale, needed, held_out=True).pairs
    except FeedbackError:
        held_out = ()
    try:
        report = judge(served, candidate, sets, held_out, compute_on, against, say)
    except DeviceError as error:
        report = Report(served.sha256, candidate.sha256, (), (0.0, 0.0), (f"it cannot be measured: {error}",))
    serves = report.passed and not dry_run
    if serves:
        note(store, served)  # before its file may go
        promotion.promote(file, folder, report.history())
        note(store, candidate)
    return Promotion(candidate, report, won, duels, serves)


def stand_in_duels(file: Path, folder: Path, store: FeedbackStore, needed: int = 1) -> Checkpoint:
    """Lets a candidate meet, in duels, what serves in `folder`. CheckpointError where its flags speak against it."""
    _, against = _candidate(file, store, needed)
    if against:
        raise CheckpointError(f"{file} stays out of the duels: {against[0]}")
    return promotion.shadow(file, folder)


def _candidate(file: Path, store: FeedbackStore, needed: int) -> tuple[Checkpoint, list[str]]:
    """A candidate, and what the flags that it learned from have against it."""
    candidate = load_checkpoint(file)
    header = candidate.header
    if header.task not in TASKS:
        raise CheckpointError(
            f"{file} is for {header.name}, which restores nothing, so the gate cannot judge it: "
            "train it into the folder that serves, whose index takes it up"
        )
    learned = _learned_from(header, file)
    against = objections(store, learned, header.task, needed)
    if header.recipe.get("flags") and not learned:
        against.append(f"{file} does not say which flags it learned from")
    return candidate, against


def _learned_from(header: Header, file: Path) -> list[str]:
    """The flags that the candidate's run named in its header; none for weights that were made without."""
    learned = header.recipe.get("learned") or []
    if not isinstance(learned, list) or not all(isinstance(flag_id, str) for flag_id in learned):
        raise CheckpointError(f"{file} has a header that does not name the flags it learned from: fine-tune it anew")
    return learned
