"""`finetune`: what people flagged makes the next weights."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from deconvdemo.cli.corpus import IMAGES, described
from deconvdemo.cli.options import compute_on
from deconvdemo.errors import ControlError
from deconvdemo.settings import Settings
from deconvdemo.tasks import STANDARD, TASKS
from deconvdemo.tasks.upscale import SCALES

CAUTION = 0.25  # times the learning rate of the network's own recipe: the expert begins with what it knows already


def add_verbs(verbs) -> None:
    summary = "Fine-tune the served weights on accepted flags."
    what = (
        "Starts from the weights that serve: an expert beside them learns from accepted flags, and a gate, with "
        "photographs against forgetting, where the expert counts. "
        "Flags that the gate judges by are kept back. The result is a candidate: `deconvdemo promote` decides."
    )
    verb = verbs.add_parser("finetune", help=summary, description=what)
    verb.add_argument("task", choices=list(TASKS), metavar="TASK", help=", ".join(TASKS))
    verb.add_argument("--images", nargs="+", required=True, metavar="PLACE", help=IMAGES)
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
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
    verb.add_argument("--data", action="append", metavar="TEXT", help="a source and its licence, for the header")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    verb.set_defaults(run=_finetune)


def _finetune(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.checkpoints.serving import Weights
    from deconvdemo.evaluation.measure import measured
    from deconvdemo.feedback.events.records import PAIRS
    from deconvdemo.feedback.review.pairs import snapshot
    from deconvdemo.feedback.store.store import FeedbackStore
    from deconvdemo.training.data.corpus import Corpus
    from deconvdemo.training.data.flagged import Flagged
    from deconvdemo.training.data.processes import processes
    from deconvdemo.training.run.expert import with_expert
    from deconvdemo.training.run.fit import Budget, fit
    from deconvdemo.training.run.router_training import learn_gate

    _check(options)
    weights = Weights(spec=options.weights)
    parent = weights.load(TASKS[options.task].weights({"scale": options.scale, "variant": options.variant}))
    start = with_expert(parent, weights.load, options.seed or 0)
    recipe = _recipe(options, start)
    compute = compute_on(options, settings)
    team = processes(compute.device)
    say = (lambda text: print(text, file=sys.stderr)) if team.is_first else (lambda text: None)
    with team.one_first():
        found = snapshot(FeedbackStore.of(settings), options.task, recipe.scale, settings.verdicts_needed)
        corpus = Corpus.open(options.images, settings.data_dir / "corpus", say, recipe.reduced)
    for sentence in found.skipped:
        say(f"left out: {sentence}")
    counts = ", ".join(f"{number} {PAIRS[kind]}" for kind, number in found.pairs.counts.items())
    used = found.revision or found.name
    say(f"{found.name}: {counts}; {len(corpus)} images; {recipe.name} from {parent.sha256[:12]}")
    dataset = {"repo": settings.feedback_repo} if found.revision and settings.feedback_repo else {}
    about = {
        "parent": parent.sha256,
        "flags": {"from": used, **dataset, **found.pairs.counts, "share": options.share},
        "learned": found.pairs.flag_ids,
    }
    flags = f"flags of visitors, {used} (CC BY 4.0)"
    flagged = Flagged(found.pairs, options.share, found.name)
    fit(
        recipe,
        corpus,
        options.out,
        Budget(steps=options.steps),
        data=list(dict.fromkeys([flags, *described(corpus, options.data), *parent.header.data])),
        resume=options.resume,
        start_from=None if options.resume else learn_gate(start, recipe, corpus, flagged, team),
        bf16=compute.precision == "bf16",
        team=team,
        measure=(lambda network: measured(network, recipe.header, options.dev, compute)) if options.dev else None,
        flagged=flagged,
        about=about,
        say=say,
    )
    team.close()
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.out.suffix != ".safetensors":
        raise ControlError(f"--out is {options.out}, but weights are .safetensors files: name one")
    if (options.out.parent / "index.json").exists():
        raise ControlError(
            f"--out is in {options.out.parent}, whose weights serve: a candidate goes elsewhere until it is promoted"
        )
    if not 0 < options.share <= 1:
        raise ControlError(f"--share is {options.share:g}, but it must be above 0 and at most 1")
    if options.steps < 1:
        raise ControlError(f"--steps is {options.steps}, but it must be 1 or more")


def _recipe(options: argparse.Namespace, start: Any):
    """The network's own recipe, gentler, for the network with its expert."""
    from deconvdemo.training.recipes import RECIPES, Phase
    from deconvdemo.training.run.expert import without_expert

    header, network = start.header, without_expert(start)
    known = RECIPES.get(header.name)
    if known is None or known.network != network:
        raise ControlError(f"there is no recipe for {header.name} of {network}: it cannot be fine-tuned")
    changed = {name: getattr(options, name) for name in ("batch", "patch", "seed")}
    changed |= {"rate": options.rate or CAUTION * known.rate, "starts_from": ""}
    changed |= {"network": header.network, "config": header.config}
    changed |= {"steps": options.steps, "phases": (Phase(0.7), Phase(0.3, "mse"))}
    return replace(known, **{name: value for name, value in changed.items() if value is not None})
