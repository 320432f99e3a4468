"""`promote`: the gate between a candidate and the visitors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from deconvdemo.cli.options import compute_on
from deconvdemo.cli.pushing import add_push_option, destination, push_after
from deconvdemo.errors import CheckpointError, ControlError
from deconvdemo.settings import Settings

if TYPE_CHECKING:
    from deconvdemo.checkpoints.header import Header
    from deconvdemo.feedback.events.records import Pair


def add_verbs(verbs) -> None:
    summary = "Let a candidate serve, if it is measurably better."
    what = (
        "Compares a candidate with the weights that serve, on validation images and on accepted flags that were kept "
        "from training; if it is better there and nowhere worse, it takes their place. Else nothing changes."
    )
    verb = verbs.add_parser("promote", help=summary, description=what)
    verb.add_argument("file", type=Path, metavar="FILE", help="the candidate's .safetensors file")
    verb.add_argument(
        "--dev", type=Path, nargs="+", default=[], metavar="DIR", help="folders of clean images to measure on"
    )
    verb.add_argument("--into", type=Path, metavar="DIR", help="the folder of weights that serve (default: bundled)")
    add_push_option(verb)
    only = verb.add_mutually_exclusive_group()
    only.add_argument("--dry-run", action="store_true", help="judge, and change nothing")
    only.add_argument(
        "--shadow", action="store_true", help="let it stand in duels first: it serves nobody, and --dev is not needed"
    )
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    verb.set_defaults(run=_promote)


def _promote(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.checkpoint import load_checkpoint
    from deconvdemo.checkpoints.index import bundled_folder
    from deconvdemo.checkpoints.promotion import promote, shadow
    from deconvdemo.checkpoints.serving import Weights
    from deconvdemo.errors import DeviceError, FeedbackError
    from deconvdemo.evaluation.acceptance import Report, judge
    from deconvdemo.feedback.review.pairs import objections, snapshot
    from deconvdemo.feedback.review.ranking import direct, less_liked
    from deconvdemo.feedback.store.store import FeedbackStore

    folder, repo = options.into or bundled_folder(), destination(options.push, settings)
    candidate = load_checkpoint(options.file)
    served = Weights(folder).load(candidate.name)
    store, header = FeedbackStore.of(settings), candidate.header
    learned = _learned_from(header, options.file)
    against = objections(store, learned, header.task, settings.verdicts_needed)
    if header.recipe.get("flags") and not learned:
        against.append(f"{options.file} does not say which flags it learned from")
    if options.shadow:
        if against:
            raise CheckpointError(f"{options.file} stays out of the duels: {against[0]}")
        shadow(options.file, folder)
        print(f"{candidate.name} {candidate.sha256[:12]} stands in duels in {folder}, and serves nobody yet")
        push_after(folder, repo)
        return 0
    if not options.dev:
        raise ControlError("--dev is missing: name folders of clean images to measure on")
    won, duels = direct(store, header.task, candidate.sha256, served.sha256)
    against += less_liked(won, duels)
    held_out: Sequence[Pair] = ()
    with suppress(FeedbackError):
        held_out = snapshot(store, header.task, header.scale, settings.verdicts_needed, held_out=True).pairs
    compute = compute_on(options, settings)
    say = lambda text: print(text, file=sys.stderr)
    try:
        report = judge(served, candidate, options.dev, held_out, compute, against, say)
    except DeviceError as error:
        report = Report(served.sha256, candidate.sha256, (), (0.0, 0.0), (f"it cannot be measured: {error}",))
    print(report.table())
    if duels:
        print(f"in {duels} duels with what serves it was chosen {won:g} times")
    if not report.passed:
        return 1
    if not options.dry_run:
        facts = {"flags": header.recipe.get("flags"), "learned": learned, "found": report.facts()}
        promote(options.file, folder, facts)
        print(f"{candidate.name} {candidate.sha256[:12]} serves in {folder}")
        push_after(folder, repo)
    return 0


def _learned_from(header: Header, file: Path) -> list[str]:
    """The flags that the candidate's run named in its header; none for weights that were made without."""
    learned = header.recipe.get("learned") or []
    if not isinstance(learned, list) or not all(isinstance(flag_id, str) for flag_id in learned):
        raise CheckpointError(f"{file} has a header that does not name the flags it learned from: fine-tune it anew")
    return learned
