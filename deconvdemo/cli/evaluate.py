"""`evaluate`: how good the networks are, and the classical methods beside them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from deconvdemo.cli.options import add_engine_options, restorer
from deconvdemo.errors import ControlError
from deconvdemo.settings import Settings
from deconvdemo.tasks import TASKS


def add_verbs(verbs) -> None:
    summary = "Measure a network, or a classical method, on a folder of images."
    verb = verbs.add_parser("evaluate", help=summary, description=summary)
    verb.add_argument("task", choices=list(TASKS), metavar="TASK", help=", ".join(TASKS))
    verb.add_argument(
        "--images", type=Path, required=True, metavar="DIR",
        help="clean images; for inpaint with a *_mask beside each; *_noisy and *_clean pairs for real noise",
    )  # fmt: skip
    verb.add_argument("--sigma", default="15,25,50", help="denoise: noise levels (default: 15,25,50)")
    verb.add_argument("--scale", default="2,3,4", help="upscale: scales (default: 2,3,4)")
    verb.add_argument(
        "--method", action="append", metavar="network|classical:NAME",
        help="what to measure; may be repeated (default: the network and the quick classical methods)",
    )  # fmt: skip
    verb.add_argument("--json", action="store_true", help="print JSON")
    add_engine_options(verb)
    verb.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.training import evaluate
    from deconvdemo.training.protocols import cases

    found = cases(
        options.task,
        options.images,
        _numbers("sigma", options.sigma, float),
        _numbers("scale", options.scale, int),
    )
    scores = []
    for method in options.method or ["network", *QUICK[options.task]]:
        kind, _, name = method.partition(":")
        if method == "network":
            restore = evaluate.network_method(options.task, restorer(options, settings))
        elif kind == "classical":
            restore = evaluate.classical_method(options.task, name)
        else:
            raise ControlError(f"method {method!r} is not known: give network or classical:NAME")
        scores += evaluate.evaluate(name or method, restore, found)
    if options.json:
        print(json.dumps([vars(score) for score in scores], indent=2))
    else:
        _print_table(scores)
    return 0


# biharmonic takes minutes and scikit-image: it is measured when it is asked for
QUICK = {
    "denoise": ["classical:nothing", "classical:nlm"],
    "upscale": ["classical:bicubic", "classical:lanczos"],
    "inpaint": ["classical:telea", "classical:navier-stokes"],
}


def _print_table(scores) -> None:
    columns = list(scores[0].measured)
    print(f"{'setting':<12}{'method':<16}{'images':>7}" + "".join(f"{name:>15}" for name in columns) + f"{'s/MP':>9}")
    for score in sorted(scores, key=lambda score: [row.setting for row in scores].index(score.setting)):
        values = "".join(
            f"{score.measured[name]:>15.4f}" if "SSIM" in name else f"{score.measured[name]:>15.2f}" for name in columns
        )
        print(f"{score.setting:<12}{score.method:<16}{score.images:>7}{values}{score.seconds_per_megapixel:>9.2f}")


def _numbers(name: str, text: str, kind):
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ControlError(f"--{name} is {text!r}, but it takes numbers with commas between them") from None
