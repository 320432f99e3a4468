"""`train`: making better networks."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

from deconvdemo.cli.corpus import IMAGES
from deconvdemo.engine.options import compute_on
from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.settings import Settings
from deconvdemo.tasks import STANDARD, TASKS, TRAINED
from deconvdemo.tasks.helpers import FINDERS, GENERATE, HELPERS, JUDGE
from deconvdemo.tasks.upscale import SCALES

LOSSES = ("l1", "charbonnier", "mse", "bce-dice")
ABOVE_ZERO = ("minutes", "rate")
LEAST = {"steps": 1, "batch": 1, "patch": 8, "seed": 0, "solve_last": 0, "measure_every": 0.0}


def add_verbs(verbs) -> None:
    summary = "Train a network on photographs."
    verb = verbs.add_parser("train", help=summary, description=summary)
    verb.add_argument(
        "task",
        metavar="TASK",
        help=f"{', '.join([*TRAINED, *HELPERS])}; or a network's name, such as upscale-x3 or denoise-photo",
    )
    verb.add_argument("--images", nargs="+", required=True, metavar="PLACE", help=IMAGES)
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .safetensors file to write")
    verb.add_argument("--scale", type=int, choices=SCALES, default=2, help="upscale: which scale (default: 2)")
    verb.add_argument("--variant", default=STANDARD, metavar="NAME", help=f"which recipe (default: {STANDARD})")
    length = verb.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="how long to train, earlier runs counted in, instead of steps")
    length.add_argument("--steps", type=int, help="how many steps, earlier runs counted in (default: the recipe's)")
    verb.add_argument("--resume", type=Path, metavar="FILE", help="go on from this .state.safetensors file")
    verb.add_argument(
        "--start-from",
        type=Path,
        metavar="FILE",
        help="begin with the weights of this checkpoint, or of none (default: the recipe's)",
    )
    verb.add_argument(
        "--solve-last",
        type=int,
        metavar="BATCHES",
        help="upscale: find the last deconvolution by least squares on so many batches before the first step, as for "
        "weights of another scale (default: 0, as it is)",
    )
    verb.add_argument("--dev", type=Path, metavar="DIR", help="clean images to measure on while it trains")
    verb.add_argument(
        "--measure-every", type=float, default=15.0, metavar="MINUTES",
        help="at the checkpoint when so many minutes are over, and at the end (default: 15)",
    )  # fmt: skip
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
    from deconvdemo.training.data.corpus import Corpus
    from deconvdemo.training.data.processes import processes
    from deconvdemo.training.run.fit import fit
    from deconvdemo.training.run.plan import Budget, Run
    from deconvdemo.training.run.writer import Output

    _check(options)
    if options.task in (JUDGE, GENERATE):
        _require_plain(options)
        return (_judge if options.task == JUDGE else _decoder)(options, settings)
    recipe = _changed(_recipe(options), options)
    budget = Budget(minutes=options.minutes) if options.minutes else Budget(steps=options.steps or recipe.steps)
    compute = compute_on(options, settings)
    team = processes(compute.device)
    bf16 = compute.precision == "bf16"
    say = (lambda text: print(text, file=sys.stderr)) if team.is_first else (lambda text: None)
    if options.dev and team.is_first:
        _check_dev(options.dev, recipe)
    with team.one_first():
        corpus = Corpus.open(options.images, settings.data_dir / "corpus", say, recipe.reduced)
    several = f", {team.count} processes" if team.count > 1 else ""
    say(
        f"{len(corpus)} images, {corpus.megapixels:.1f} MP; {recipe.name} "
        f"on {compute.device} {'bf16' if bf16 else 'fp32'}{several}"
    )
    run = Run(
        recipe,
        corpus,
        budget,
        start_from=None if options.resume else _start(options, recipe),
        resume=options.resume,
        team=team,
        bf16=bf16,
        resident=team.device == "cuda",  # one process on one GPU
        solving=options.solve_last or 0,
    )
    output = Output(
        options.out,
        corpus.described(options.data),
        measure=_measure(options, recipe, compute) if options.dev else None,
        measure_every=60 * options.measure_every,
    )
    fit(run, output, say)
    if team.is_first:
        _indexed(options.out, say)
    team.close()
    return 0


def _require_plain(options: argparse.Namespace) -> None:
    """Raises ControlError for what is an option of recipes alone."""
    what = "the judge is fitted in one go, to --steps patches"
    if options.task == GENERATE:
        what = "the decoder is trained for --steps, and goes on by itself where it was stopped"
    foreign = ("minutes", "dev", "start_from", "resume", "solve_last", "batch", "patch", "rate", "optimizer", "loss")
    for name in foreign:
        if getattr(options, name) is not None:
            raise ControlError(f"--{name.replace('_', '-')} says nothing here: {what}")


def _decoder(options: argparse.Namespace, settings: Settings) -> int:
    """What draws pictures of noise, measured on photographs that it was not trained on."""
    from deconvdemo.training.data.corpus import unnamed
    from deconvdemo.training.data.small_crops import small_crops
    from deconvdemo.training.run.decoder_fitting import STEPS, train_decoder

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    crops, held_out = small_crops(options.images, say, options.seed or 0)
    data = options.data or [unnamed(place) for place in options.images]
    measured = train_decoder(
        crops, options.out, data, say, options.steps or STEPS, options.seed or 0, measure=_likeness_to(held_out)
    )
    say(f"{options.out}: {measured}")
    _indexed(options.out, say)
    return 0


def _likeness_to(held_out):
    """What a decoder's header tells of its pictures."""
    from deconvdemo.evaluation.generated import drawn_by, likeness

    def measure(network) -> dict[str, float]:
        found = likeness("generated", drawn_by(network), held_out)
        return {"spectrum, dB from photos": found.spectrum, "patches, deviations from photos": found.patches}

    return measure


def _judge(options: argparse.Namespace, settings: Settings) -> int:
    """The judge is fitted in one go, to `--steps` patches."""
    from deconvdemo.training.data.corpus import Corpus
    from deconvdemo.training.run.judge_fitting import PATCHES, REDUCED, train_judge

    say = lambda text: print(text, file=sys.stderr)
    corpus = Corpus.open(options.images, settings.data_dir / "corpus", say, REDUCED)
    patches, seed = options.steps or PATCHES, options.seed or 0
    say(f"{options.out}: {train_judge(corpus, options.out, corpus.described(options.data), patches, seed)}")
    _indexed(options.out, say)
    return 0


def _indexed(file: Path, say: Callable[[str], None]) -> None:
    """In a folder of weights that serve, what the index promises must be what is there."""
    if (index := file.parent / "index.json").exists():
        from deconvdemo.checkpoints.index import add_to_index

        say(f"{index}: {add_to_index(file)} is served by {file.name}")


def _check(options: argparse.Namespace) -> None:
    """Raises ControlError for a number or a file name that cannot be meant."""
    for name in (*ABOVE_ZERO, *LEAST):
        value = getattr(options, name)
        good = value is None or (0 < value < math.inf if name in ABOVE_ZERO else LEAST[name] <= value < math.inf)
        if not good:
            expected = "a number above 0" if name in ABOVE_ZERO else f"{LEAST[name]:g} or more"
            raise ControlError(f"--{name.replace('_', '-')} is {value:g}, but it must be {expected}")
    require_precision(options)
    if options.out.suffix != ".safetensors":
        raise ControlError(f"--out is {options.out}, but weights are .safetensors files: name one")


def require_precision(options: argparse.Namespace) -> None:
    """Raises ControlError for a format in which networks only serve."""
    if options.precision not in ("auto", "fp32", "bf16"):
        raise ControlError(f"--precision is {options.precision!r}, but networks are trained in fp32 or bf16")


def _check_dev(folder: Path, recipe) -> None:
    """Raises ControlError or TrainingError, before anything is trained, for images that could not be measured on."""
    from deconvdemo.evaluation.protocols import each_case, other_task
    from deconvdemo.evaluation.scratches import marked_photos

    if recipe.task in FINDERS:
        next(marked_photos(folder))
        return
    ending, task = other_task(recipe.task, folder)
    if task:
        raise ControlError(f"--dev is {folder}, whose files *{ending} are for {task}, not for {recipe.task}")
    for _ in each_case(recipe.task, folder, {"scale": (recipe.scale,)}, recipe.variant):
        pass


def _changed(recipe, options: argparse.Namespace):
    """The recipe with what the options change of it."""
    from dataclasses import replace

    from deconvdemo.training.recipes import Phase

    changed = {key: getattr(options, key) for key in ("rate", "batch", "patch", "optimizer", "seed")}
    recipe = replace(recipe, **{key: value for key, value in changed.items() if value is not None})
    return replace(recipe, phases=(Phase(1.0, options.loss),)) if options.loss else recipe


def _start(options: argparse.Namespace, recipe) -> Path | None:
    """The checkpoint to begin with: what was asked for, or the recipe's, from --out's folder or the bundled weights."""
    from deconvdemo.checkpoints.index import bundled_folder

    if options.start_from:
        return None if str(options.start_from) == "none" else options.start_from
    if not recipe.starts_from:
        return None
    file = f"{recipe.starts_from}.safetensors"
    for folder in (options.out.parent, bundled_folder()):
        if (folder / file).exists():
            return folder / file
    raise TrainingError(
        f"{recipe.name} begins with the weights of {recipe.starts_from}, but there is no {options.out.parent / file}: "
        f"train {recipe.starts_from} first, or say --start-from none"
    )


def _recipe(options: argparse.Namespace):
    """The recipe that was asked for. Raises ControlError, with those there are for the task, if there is none."""
    from deconvdemo.training.recipes import RECIPES

    task = TASKS.get(options.task)
    if task and not task.trains:
        raise ControlError(f"{task.name} has no network of its own: it asks that of {task.weights({})}, train that")
    name = task.weights({"scale": options.scale, "variant": options.variant}) if task else options.task
    if name not in RECIPES:
        there_are = sorted(recipe.name for recipe in RECIPES.values() if not task or recipe.task == task.name)
        raise ControlError(f"there is no recipe for {name}: choose among {', '.join(there_are)}")
    return RECIPES[name]


def _measure(options: argparse.Namespace, recipe, compute):
    """What to measure at every checkpoint: the network under training on the --dev images, as `evaluate` would."""
    from deconvdemo.evaluation.measure import measured

    return lambda network: measured(network, recipe.header, options.dev, compute)
