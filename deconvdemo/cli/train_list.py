"""`train-list`: several networks in order of need, on a machine that is there for a while."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from deconvdemo.cli.corpus import IMAGES
from deconvdemo.cli.train import require_precision
from deconvdemo.engine.options import compute_on
from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.settings import Settings

HOW = ("auto", "eager", "graph", "compiled")


def add_verbs(verbs) -> None:
    summary = "Train several networks in order of need, for a given time, and go on another time."
    verb = verbs.add_parser(
        "train-list",
        help=summary,
        description=f"{summary} Each has its share of --total minutes; the same command goes on with what is in --out.",
    )
    verb.add_argument(
        "--list", metavar="NAME,…", help="networks in this order (default: all, those that are needed most first)"
    )
    verb.add_argument("--images", nargs="+", required=True, metavar="PLACE", help=IMAGES)
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="for weights, states and logs")
    verb.add_argument("--minutes", type=float, required=True, help="how long to train now")
    verb.add_argument(
        "--total", type=float, help="how long in all, with the times before and after (default: --minutes)"
    )
    verb.add_argument("--data", action="append", metavar="TEXT", help="a source and its licence, for the headers")
    verb.add_argument("--batch", type=int, help="patches a step (default: by network and device)")
    verb.add_argument("--patch", type=int, help="side of a patch of the network's input (default: likewise)")
    verb.add_argument(
        "--steps-are", choices=HOW, default="auto",
        help="taken one operation after another, recorded and replayed (CUDA), or compiled (default: auto)",
    )  # fmt: skip
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    verb.set_defaults(run=_train_list)


def _train_list(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.training.needs import needs
    from deconvdemo.training.run.in_turn import Turns, train_in_turn

    total = options.minutes if options.total is None else options.total
    for name, value in (("minutes", options.minutes), ("total", total)):
        if not 0 < value < math.inf:
            raise ControlError(f"--{name} is {value:g}, but it must be a number above 0")
    for name, value, least in (("batch", options.batch, 1), ("patch", options.patch, 8)):
        if value is not None and value < least:
            raise ControlError(f"--{name} is {value}, but it must be {least} or more")
    require_precision(options)
    if options.out.suffix == ".safetensors" or options.out.is_file():
        raise ControlError(f"--out is {options.out}, but several networks are written: name a folder")
    if (options.out / "index.json").exists():
        raise ControlError(f"--out is {options.out}, whose weights serve: what is trained goes elsewhere at first")
    wanted = needs([name.strip() for name in options.list.split(",") if name.strip()] if options.list else None)
    compute = compute_on(options, settings)
    how = options.steps_are
    if how == "auto":
        how = "graph" if compute.device.startswith("cuda") else "eager"
    turns = Turns(
        wanted,
        options.images,
        options.out,
        options.minutes,
        max(total, options.minutes),
        how,
        options.data or (),
        options.batch,
        options.patch,
    )
    say = lambda text: print(text, file=sys.stderr, flush=True)
    failed = train_in_turn(turns, compute, settings.data_dir / "corpus", say)
    if failed:
        raise TrainingError(f"{len(failed)} of {len(wanted)} networks were not trained: {failed[0]}")
    return 0
