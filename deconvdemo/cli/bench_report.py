"""`bench-report`: photos harmed on purpose, restored by every method, as one page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deconvdemo.cli.console import shown
from deconvdemo.engine.options import add_engine_options, restorer
from deconvdemo.errors import ControlError, DeconvdemoError
from deconvdemo.settings import Settings

FIRST = 12


def add_verbs(verbs) -> None:
    summary = "Harm clean photos on purpose, restore them by every method, and write one page of what came of it."
    verb = verbs.add_parser("bench-report", help=summary, description=summary)
    verb.add_argument(
        "input", nargs="+", metavar="INPUT",
        help="clean photos: files, folders, parquet files, or hf://datasets/owner/name[@revision][:split[:column]]",
    )  # fmt: skip
    verb.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the .html file to write")
    verb.add_argument(
        "--damage", action="append", metavar="NAME",
        help='such as "denoise sigma 25" or "upscale x2 jpeg 75"; may be repeated, and "list" prints them all '
        "(default: for each task the middle one of its protocol)",
    )  # fmt: skip
    verb.add_argument("--first", type=int, default=FIRST, metavar="N", help=f"so many photos (default: {FIRST})")
    verb.add_argument("--thorough", action="store_true", help="also the classical methods that are slow")
    verb.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    add_engine_options(verb)
    verb.set_defaults(run=_run)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.evaluation.bench.damages import benched_tasks, damage_named, damages, usual
    from deconvdemo.evaluation.bench.report import MORE
    from deconvdemo.evaluation.bench.several import MOST, measured

    engine = restorer(options, settings)
    tasks = benched_tasks(engine)
    if options.damage and "list" in options.damage:
        print("\n".join(f"{one.name:<28}{one.words}" for one in damages(tasks).values()))
        return 0
    _check(options, MOST)
    chosen = [damage_named(name, tasks) for name in options.damage or ()] or usual(tasks)
    say = lambda words: print(f"deconvdemo: {shown(words)}", file=sys.stderr)
    found = measured(engine, _images(options.input, options.output), chosen, options.first, say, options.thorough)
    _write(options.output, found, engine)
    print(f"{shown(options.output)}: {found.images} photos, {len(found.problems)} left out")
    if found.more:
        print(f"deconvdemo: {MORE}", file=sys.stderr)
    return 0


def _check(options: argparse.Namespace, most: int) -> None:
    out = options.output
    if out.suffix.lower() not in (".html", ".htm"):
        raise ControlError(f"--output is {out}, but the report is a web page: name a file that ends in .html")
    if out.exists() and not options.overwrite:
        raise ControlError(f"{out} is there already: name another -o, or give --overwrite to replace it")
    if not 1 <= options.first <= most:
        raise ControlError(f"--first is {options.first}, but it must be from 1 to {most}")


def _images(inputs: list[str], output: Path) -> Iterator[tuple[str, Any]]:
    """(name, file or its content, or why it is neither) of each photo, in the order of the inputs."""
    from deconvdemo.cli.photos import find
    from deconvdemo.hub.datasets import HubDataset, LocalDataset

    for text in inputs:
        if text.startswith("hf://"):
            yield from HubDataset.parse(text).images()
        elif dataset := LocalDataset.at(text):
            yield from dataset.images()
        else:
            yield from ((str(place), file) for file, place in find([Path(text)], output).photos)


def _write(out: Path, found, engine) -> None:
    from deconvdemo.atomic import WriteError, write_atomically
    from deconvdemo.evaluation.bench.report import page

    try:
        write_atomically(out, page(found, engine).encode())
    except WriteError as error:
        raise DeconvdemoError(f"{error}: name another -o") from error
