"""`finetune`: what people flagged makes the next weights."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from deconvdemo.cli.corpus import IMAGES
from deconvdemo.cli.flags import add_flags_option, flags_of
from deconvdemo.engine.options import compute_on
from deconvdemo.settings import Settings
from deconvdemo.tasks import STANDARD, TRAINED
from deconvdemo.tasks.upscale import SCALES


def add_verbs(verbs) -> None:
    summary = "Fine-tune the served weights on accepted flags."
    what = (
        "Starts from the weights that serve: an expert beside them learns from accepted flags, and a gate, with "
        "photographs against forgetting, where the expert counts. "
        "Flags that the gate judges by are kept back. The result is a candidate: `deconvdemo promote` decides."
    )
    verb = verbs.add_parser("finetune", help=summary, description=what)
    verb.add_argument("task", choices=TRAINED, metavar="TASK", help=", ".join(TRAINED))
    verb.add_argument("--images", nargs="+", required=True, metavar="PLACE", help=IMAGES)
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
    add_flags_option(verb)
    verb.add_argument("--scale", type=int, choices=SCALES, default=2, help="upscale: which scale (default: 2)")
    verb.add_argument("--variant", default=STANDARD, metavar="NAME", help=f"which network (default: {STANDARD})")
    verb.add_argument("--weights", metavar="PATH|hf://…", help="start from these instead of the bundled ones")
    verb.add_argument("--share", type=float, default=0.5, help="of the batches that are flags (default: 0.5)")
    verb.add_argument("--steps", type=int, default=1000, help="(default: 1000)")
    verb.add_argument("--rate", type=float, help="learning rate (default: a quarter of the recipe's)")
    verb.add_argument("--batch", type=int, help="patches a step (default: the recipe's)")
    verb.add_argument("--patch", type=int, help="side of a patch of the network's input (default: the recipe's)")
    verb.add_argument("--seed", type=int, help="(default: 0)")
    verb.add_argument("--resume", type=Path, metavar="FILE", help="go on from this .state.safetensors file")
    verb.add_argument("--dev", type=Path, metavar="DIR", help="clean images to measure on while it trains")
    verb.add_argument(
        "--data", action="append", default=[], metavar="TEXT", help="a source and its licence, for the header"
    )
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    verb.set_defaults(run=_finetune)


def _finetune(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.serving import Weights
    from deconvdemo.evaluation.measure import measured
    from deconvdemo.feedback.review.pairs import Snapshot, snapshot
    from deconvdemo.training.run.finetune import FinetunePlan, finetune

    plan = FinetunePlan(**{field.name: getattr(options, field.name) for field in fields(FinetunePlan)})

    def accepted(scale: int) -> Snapshot:
        with flags_of(options, settings) as store:
            return snapshot(store, plan.task, scale, settings.verdicts_needed)

    say = lambda text: print(text, file=sys.stderr)
    weights, compute, cache = Weights(spec=options.weights), compute_on(options, settings), settings.data_dir / "corpus"
    measure = (lambda network, header: measured(network, header, options.dev, compute)) if options.dev else None
    finetune(plan, weights, accepted, compute, cache, settings.feedback_repo, say, measure)
    return 0
