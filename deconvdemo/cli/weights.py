"""`weights`: which weights there are, fetching others, publishing them, and going back."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deconvdemo.cli.pushing import REPO, add_push_option, destination, print_pushed, push_after
from deconvdemo.settings import Settings

if TYPE_CHECKING:
    from deconvdemo.checkpoints.index import Entry


def add_verbs(verbs) -> None:
    summary = "List the weights that serve, fetch others from the Hub, publish or roll back."
    verb = verbs.add_parser("weights", help=summary, description=summary)
    actions = verb.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the weights that serve", description="Lists the weights that serve.")
    listing.add_argument("--weights", metavar="PATH|hf://…", help="list these instead of the bundled ones")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=_list)
    pulling = actions.add_parser("pull", help="fetch weights", description="Fetches and verifies weights from the Hub.")
    pulling.add_argument("spec", metavar="hf://OWNER/REPO[@REVISION][/FILE]", help="all of a repository, or one file")
    pulling.add_argument("--json", action="store_true", help="print JSON")
    pulling.set_defaults(run=_pull)
    showing = actions.add_parser(
        "show",
        help="what a weights file says of itself",
        description="Prints a header as JSON, and, of weights that were promoted, their lines of the history.",
    )
    showing.add_argument("name", metavar="NAME|FILE", help="denoise, denoise-photo, upscale-x2, …, or a file")
    showing.add_argument("--weights", metavar="PATH|hf://…", help="of these instead of the bundled ones")
    showing.set_defaults(run=_show)
    what = (
        "Writes weights between two files: what was trained on for something new, and what it started from. A mean "
        "often has what the one learned without what it forgot."
    )
    mixing = actions.add_parser("mix", help="weights between two files", description=what)
    mixing.add_argument("tuned", type=Path, metavar="FILE", help="the weights that were trained on")
    mixing.add_argument("parent", type=Path, metavar="PARENT", help="the weights that they started from")
    mixing.add_argument("--share", type=float, default=0.7, help="of FILE in the mean, 0 to 1 (default: 0.7)")
    mixing.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="the .safetensors file to write")
    mixing.set_defaults(run=_mix)
    what = (
        "Publishes a folder of weights to a model repository on the Hub, in one commit: the files that are new, the "
        "index, the history and a model card. Demos that follow the repository change over."
    )
    pushing = actions.add_parser("push", help="publish to the Hub", description=what)
    pushing.add_argument("repo", nargs="?", default="", metavar="OWNER/REPO", help=REPO)
    pushing.add_argument(
        "--from", "--into", dest="folder", type=Path, metavar="DIR", help="the folder of weights (default: bundled)"
    )
    pushing.add_argument("--private", action="store_true", help="a repository that is made now is private")
    pushing.add_argument(
        "--replace", action="store_true", help="also if the repository has what the folder lacks, or another card"
    )
    pushing.add_argument("--dry-run", action="store_true", help="tell what would be uploaded, and change nothing")
    pushing.set_defaults(run=_push)
    for action, helps, what, run in (
        (
            "withdraw", "take a candidate out of the duels",
            "Takes a candidate out of the duels, which `promote --shadow` had put there.", _withdraw,
        ),
        (
            "rollback", "undo a promotion",
            "Undoes the last promotion: what served before serves again.", _rollback,
        ),
    ):  # fmt: skip
        undoing = actions.add_parser(action, help=helps, description=what)
        undoing.add_argument("name", metavar="NAME", help="denoise, denoise-photo, upscale-x2, …")
        undoing.add_argument("--into", type=Path, metavar="DIR", help="the folder of weights (default: bundled)")
        add_push_option(undoing)
        undoing.set_defaults(run=run)


def _list(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.serving import Weights

    rows = Weights(spec=options.weights).list()
    _print(rows, options.json)
    return 1 if any(row.problem for row in rows) else 0


def _pull(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.serving import pull

    _print(pull(options.spec), options.json)
    return 0


def _show(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.checkpoint import load_checkpoint
    from deconvdemo.checkpoints.serving import Weights

    history: list[dict] = []
    if options.name.endswith(".safetensors"):
        checkpoint = load_checkpoint(options.name)
    else:
        weights = Weights(spec=options.weights)
        checkpoint = weights.load(options.name)
        history = [line for line in weights.history() if line["sha256"] == checkpoint.sha256]
    facts = {"name": checkpoint.name, "source": checkpoint.source, "sha256": checkpoint.sha256}
    told = {**facts, **vars(checkpoint.header), **({"history": history} if history else {})}
    print(json.dumps(told, indent=2, ensure_ascii=False))
    return 0


def _mix(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.checkpoint import load_checkpoint, save_checkpoint
    from deconvdemo.checkpoints.mixing import mixed

    header, tensors = mixed(load_checkpoint(options.tuned), load_checkpoint(options.parent), options.share)
    sha256 = save_checkpoint(options.out, header, tensors)
    print(f"{header.name} {sha256[:12]}: {options.out}; `deconvdemo evaluate` tells what it reaches")
    return 0


def _withdraw(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.promotion import withdraw

    return _undo(withdraw, "stands in no duels in {} any more", options, settings)


def _rollback(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.promotion import rollback

    return _undo(rollback, "serves again in {}", options, settings)


def _undo(change: Callable[[Path, str], Entry], words: str, options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.index import bundled_folder

    folder, repo = options.into or bundled_folder(), destination(options.push, settings)
    entry = change(folder, options.name)
    print(f"{options.name} {entry.sha256[:12]} {words.format(folder)}")
    push_after(folder, repo)
    return 0


def _push(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.index import bundled_folder
    from deconvdemo.release.push import push

    folder, repo = options.folder or bundled_folder(), destination(options.repo, settings)
    print_pushed(repo, push(folder, repo, options.private, options.replace, options.dry_run), options.dry_run)
    return 0


def _print(rows, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**vars(row), "measured": dict(row.measured)} for row in rows], indent=2))
        return
    for row in rows:
        if row.problem:
            print(f"{row.name}: {row.problem}")
            continue
        note = f" ({row.note})" if row.note else ""
        variant = f" (--variant {row.variant})" if row.variant else ""
        print(f"{row.name}{variant}: {row.source}{note}, sha256 {row.sha256[:12]}, {row.size / 1e6:.1f} MB")
        print(f"  {row.file}")
        for what, value in row.measured.items():
            print(f"  {what}: {value:.2f}")
