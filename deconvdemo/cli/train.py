"""`train`: making better networks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deconvdemo.errors import ControlError
from deconvdemo.settings import Settings
from deconvdemo.tasks import STANDARD, TASKS
from deconvdemo.tasks.upscale import SCALES

LOSSES = ("l1", "charbonnier", "mse")


def add_verbs(verbs) -> None:
    summary = "Train a network on folders of photographs."
    verb = verbs.add_parser("train", help=summary, description=summary)
    verb.add_argument("task", choices=list(TASKS), metavar="TASK", help=", ".join(TASKS))
    verb.add_argument(
        "--images", type=Path, nargs="+", required=True, metavar="DIR", help="folders of clean photographs"
    )
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
    verb.add_argument("--scale", type=int, choices=SCALES, default=2, help="upscale: which scale (default: 2)")
    verb.add_argument("--variant", default=STANDARD, metavar="NAME", help=f"which recipe (default: {STANDARD})")
    verb.add_argument("--minutes", type=float, help="how long to train, instead of steps; earlier runs are counted in")
    verb.add_argument(
        "--steps", type=int, help="how many steps, earlier runs counted in (default: the recipe's)"
    )
    verb.add_argument("--resume", type=Path, metavar="FILE", help="go on from this .state.safetensors file")
    verb.add_argument("--start-from", type=Path, metavar="FILE", help="begin with the weights of this checkpoint")
    verb.add_argument("--dev", type=Path, metavar="DIR", help="clean images to measure on at every checkpoint")
    verb.add_argument("--data", action="append", metavar="TEXT", help="a source and its licence, for the header")
    verb.add_argument("--rate", type=float, help="learning rate (default: the recipe's)")
    verb.add_argument("--batch", type=int, help="patches a step (default: the recipe's)")
    verb.add_argument("--patch", type=int, help="side of a patch of the network's input (default: the recipe's)")
    verb.add_argument("--loss", choices=LOSSES, help="one loss from start to end (default: the recipe's phases)")
    verb.add_argument("--optimizer", choices=("adam", "muon"), help="(default: the recipe's)")
    verb.add_argument("--seed", type=int, help="(default: 0)")
    verb.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    verb.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    verb.set_defaults(run=_train)


def _train(options: argparse.Namespace, settings: Settings) -> int:
    from dataclasses import replace

    from deconvdemo.engine.device import choose
    from deconvdemo.training.corpus import Corpus
    from deconvdemo.training.fit import Budget, fit
    from deconvdemo.training.recipes import Phase

    changed = {key: getattr(options, key) for key in ("rate", "batch", "patch", "optimizer", "seed")}
    recipe = replace(_recipe(options), **{key: value for key, value in changed.items() if value is not None})
    if options.loss:
        recipe = replace(recipe, phases=(Phase(1.0, options.loss),))
    budget = Budget(minutes=options.minutes) if options.minutes else Budget(steps=options.steps or recipe.steps)
    compute = choose(options.device, options.precision)
    if options.out.suffix != ".safetensors":
        raise ControlError(f"--out is {options.out}, but weights are .safetensors files: name one")
    say = lambda text: print(text, file=sys.stderr)
    corpus = Corpus.open(options.images, settings.data_dir / "corpus", say)
    say(f"{len(corpus)} images, {corpus.megapixels:.1f} MP; {recipe.name} on {compute.device} {compute.precision}")
    fit(
        recipe,
        corpus,
        options.out,
        budget,
        data=options.data or [f"{folder.name} (see the person who trained this)" for folder in options.images],
        resume=options.resume,
        start_from=options.start_from,
        device=compute.device,
        bf16=compute.precision == "bf16",
        measure=_measure(options, recipe, compute) if options.dev else None,
        say=say,
    )
    index = options.out.parent / "index.json"
    if index.exists():  # a folder of weights that serve: what index.json promises must be what is there
        from deconvdemo.weights_index import add_to_index

        say(f"{index}: {add_to_index(options.out)} is served by {options.out.name}")
    return 0


def _recipe(options: argparse.Namespace):
    """The recipe that was asked for. Raises ControlError, with those there are for the task, if there is none."""
    from deconvdemo.training.recipes import RECIPES

    task = TASKS[options.task]
    name = task.weights({"scale": options.scale, "variant": options.variant})
    if name not in RECIPES:
        there_are = sorted({recipe.name for recipe in RECIPES.values() if recipe.task == task.name})
        raise ControlError(f"there is no recipe for {name}: choose among {', '.join(there_are)}")
    return RECIPES[name]


def _measure(options: argparse.Namespace, recipe, compute):
    """What to measure at every checkpoint: the network under training on the --dev images, as `evaluate` would."""
    from deconvdemo.training.measure import measured

    return lambda network: measured(network, recipe, options.dev, compute)
