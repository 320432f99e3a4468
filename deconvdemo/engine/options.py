"""Weights, device, precision and tiles as verbs of the command line ask for them, and the Restorer these describe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from deconvdemo.settings import Settings

if TYPE_CHECKING:
    from deconvdemo.image.apart import Pool


def add_engine_options(verb: argparse.ArgumentParser) -> None:
    """Which weights, and what they run on."""
    group = verb.add_argument_group("weights and machine")
    group.add_argument("--weights", metavar="PATH|hf://OWNER/REPO[@REVISION][/FILE]", help="default: the bundled ones")
    group.add_argument("--device", help="auto, cpu, cuda or mps (default: auto)")
    group.add_argument("--precision", help="auto, fp32, bf16 or fp16 (default: what is fastest here)")
    group.add_argument("--tile", default="auto", metavar="auto|N", help="side of a tile in pixels (default: auto)")


def kept_in(settings: Settings) -> Path | None:
    """Where it is kept what was measured of this machine; None: the user's cache.

    The data folder, unless nobody asked for one: restoring a photo leaves no folder where a person happens to stand.
    """
    asked_for = settings.data_dir != Settings().data_dir
    return settings.data_dir if asked_for or settings.data_dir.is_dir() else None


def compute_on(options: argparse.Namespace, settings: Settings):
    """The device and precision that these options ask for, with no more threads than this process has cores."""
    from deconvdemo.engine.device import choose
    from deconvdemo.engine.processor import use_allotted_cores

    use_allotted_cores()
    return choose(options.device, options.precision, kept_in(settings))


def restorer(
    options: argparse.Namespace,
    settings: Settings,
    weights_repo: str = "",
    folder: Path | None = None,
    opener: Pool | None = None,
):
    """The Restorer that these options and settings describe; `weights_repo` is fetched only when it is told to.

    `folder` is where to keep what was measured of this machine, if `kept_in` shall not tell; `opener` reads the photos.
    """
    from deconvdemo.checkpoints.serving import Weights
    from deconvdemo.engine.processor import use_allotted_cores
    from deconvdemo.engine.restorer import Restorer
    from deconvdemo.image.apart import OWN_FILES

    use_allotted_cores()
    opener = opener or OWN_FILES
    opener.warm()  # while the weights are loaded
    return Restorer.load(
        Weights(spec=options.weights, repo=weights_repo),
        device=options.device or settings.device,
        precision=options.precision or settings.precision,
        tile=options.tile,
        max_pixels=settings.max_pixels,
        folder=folder or kept_in(settings),
        opener=opener,
    )
