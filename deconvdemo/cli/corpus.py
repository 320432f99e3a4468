"""`corpus`: the images that networks are trained on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deconvdemo.errors import ControlError
from deconvdemo.settings import Settings

IMAGES = (
    "folders of photographs, packed corpora, parquet files, or hf://datasets/owner/name[@revision][:split[:column]]"
)


def add_verbs(verbs) -> None:
    summary = "The images that networks are trained on."
    inner = verbs.add_parser("corpus", help=summary, description=summary)
    verb = inner.add_subparsers(metavar="VERB", required=True).add_parser(
        "pack",
        help="pack crops into one file of a given size, for a machine without the images",
        description="Pack crops, chosen at random and without overlap, into one file that `train --images FILE` takes.",
    )
    verb.add_argument("--images", nargs="+", required=True, metavar="PLACE", help=IMAGES)
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
    verb.add_argument(
        "--megabytes", type=float, default=60.0, help="the file's largest size, in 10⁶ bytes (default: 60)"
    )
    verb.add_argument("--patch", type=int, default=192, help="side of a crop in pixels (default: 192)")
    verb.add_argument(
        "--quality", type=int, metavar="Q", help="crops as JPEG of this quality, 93 to 100 (default: without loss)"
    )
    verb.add_argument("--seed", type=int, default=0, help="another seed gives other crops (default: 0)")
    verb.add_argument("--data", action="append", metavar="TEXT", help="a source and its licence, kept in the file")
    verb.set_defaults(run=_pack)


def _pack(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.training.data.corpus import Corpus
    from deconvdemo.training.data.pack import FINE, pack

    if options.out.suffix != ".safetensors":
        raise ControlError(f"--out is {options.out}, but a packed corpus is a .safetensors file: name one")
    if not options.megabytes > 0 or options.patch < 16 or options.seed < 0:
        raise ControlError("--megabytes must be above 0, --patch 16 or more and --seed 0 or more")
    if options.quality is not None and not FINE <= options.quality <= 100:
        raise ControlError(f"--quality is {options.quality}, but crops are JPEG of {FINE} to 100, or without loss")
    say = lambda text: print(text, file=sys.stderr)
    corpus = Corpus.open(options.images, settings.data_dir / "corpus", say)
    described = corpus.described(options.data)
    pack(corpus, options.out, options.megabytes, options.patch, options.seed, described, options.quality, say)
    return 0
