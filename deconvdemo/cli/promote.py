"""`promote`: the gate between a candidate and the visitors."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deconvdemo.cli.flags import add_flags_option, flags_of
from deconvdemo.cli.pushing import add_push_option, destination, push_after
from deconvdemo.engine.options import compute_on
from deconvdemo.errors import ControlError
from deconvdemo.settings import Settings


def add_verbs(verbs) -> None:
    summary = "Let a candidate serve, if it is measurably better."
    what = (
        "Compares a candidate with the weights that serve, on validation images and on accepted flags that were kept "
        "from training; if it is better there and nowhere worse, it takes their place. Else nothing changes."
    )
    verb = verbs.add_parser("promote", help=summary, description=what)
    verb.add_argument("file", type=Path, metavar="FILE", help="the candidate's .safetensors file")
    verb.add_argument(
        "--dev",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders of clean images to measure on: 29 different ones, or more",
    )
    verb.add_argument("--into", type=Path, metavar="DIR", help="the folder of weights that serve (default: bundled)")
    add_flags_option(verb)
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
    from deconvdemo.checkpoints.index import bundled_folder
    from deconvdemo.evaluation.promoting import promote, stand_in_duels

    folder, repo = options.into or bundled_folder(), destination(options.push, settings)
    if not options.dev and not options.shadow:
        raise ControlError("--dev is missing: name folders of clean images to measure on")
    needed = settings.verdicts_needed
    if options.shadow:
        with flags_of(options, settings) as store:
            candidate = stand_in_duels(options.file, folder, store, needed)
        print(f"{candidate.name} {candidate.sha256[:12]} stands in duels in {folder}, and serves nobody yet")
        push_after(folder, repo)
        return 0
    compute = compute_on(options, settings)
    say = lambda text: print(text, file=sys.stderr)
    with flags_of(options, settings) as store:
        found = promote(options.file, folder, options.dev, store, compute, needed, options.dry_run, say)
    print(found.report.table())
    if found.duels:
        print(f"in {found.duels} duels with what serves it was chosen {found.won:g} times")
    if found.serves:
        print(f"{found.candidate.name} {found.candidate.sha256[:12]} serves in {folder}")
        push_after(folder, repo)
    return 0 if found.report.passed else 1
