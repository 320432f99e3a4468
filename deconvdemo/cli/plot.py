"""`plot`: how training went."""

from __future__ import annotations

import argparse
from pathlib import Path

from deconvdemo.settings import Settings


def add_verbs(verbs) -> None:
    summary = "Draw the logs of training runs: PSNR on the development images, loss and learning rate."
    verb = verbs.add_parser("plot", help=summary, description=summary)
    verb.add_argument("logs", type=Path, nargs="+", metavar="LOG", help="the .log.jsonl files that `train` writes")
    verb.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="an .svg, .png or .pdf (default: beside the first log)"
    )
    verb.set_defaults(run=_run)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.training.run.curves import plot

    out = options.out or options.logs[0].with_suffix(".svg")
    plot(options.logs, out)
    print(out)
    return 0
