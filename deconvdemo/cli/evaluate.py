"""`evaluate`: how good the networks are, and the classical methods beside them."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from deconvdemo.engine.options import add_engine_options, restorer
from deconvdemo.errors import ControlError, DeconvdemoError
from deconvdemo.settings import Settings
from deconvdemo.tasks import AUTO, PHOTO, STANDARD, TASKS, Task
from deconvdemo.tasks.declared import Axis
from deconvdemo.tasks.helpers import FINDERS
from deconvdemo.tasks.wild import SEVERITIES


def add_verbs(verbs) -> None:
    summary = "Measure a network, or a classical method, on a folder of images; or all networks on all sets."
    verb = verbs.add_parser("evaluate", help=summary, description=summary)
    named = [*TASKS, *FINDERS]
    verb.add_argument("task", choices=named, nargs="?", metavar="TASK", help=f"{', '.join(named)}; or --all, or --wild")
    verb.add_argument(
        "--images", type=Path, metavar="DIR",
        help="clean images; for inpaint with a *_mask beside each; pairs of *_clean with *_noisy, or with *_lr_x2, "
        "*_lr_x3, *_lr_x4 to enlarge. With --all: a folder of such folders, named set5, cbsd68, inpaint, polyu, …",
    )  # fmt: skip
    for name, (task, axis) in _axes().items():
        default = _between(axis).join(f"{value:g}" if isinstance(value, float) else str(value) for value in axis.values)
        verb.add_argument(f"--{name}", default=default, help=f"{task}: {axis.words} (default: {default})")
    verb.add_argument(
        "--variant", metavar="NAME",
        help="which of the task's networks, or auto, as the demo chooses; `deconvdemo weights list` tells which there "
        f"are (default: {STANDARD})",
    )  # fmt: skip
    verb.add_argument(
        "--photo", action="store_true",
        help=f"{', '.join(name for name, task in TASKS.items() if 'photo' in task.protocols)}: degrade the images as "
        "people's photos are, by a camera's noise and JPEG, as the photo networks are measured",
    )  # fmt: skip
    verb.add_argument(
        "--method", action="append", metavar="network|classical:NAME",
        help="what to measure; may be repeated (default: the network and the quick classical methods; with --all, all)",
    )  # fmt: skip
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.add_argument("--out", type=Path, metavar="FILE", help="write into this file what would be printed")
    group = verb.add_argument_group("what the first click gives")
    group.add_argument(
        "--wild", action="store_true",
        help="on photos as people's are (a camera's noise and noise reduction, softness, sharpening, others' resizing, "
        "JPEG once or twice): the default, every network and the classical methods beside doing nothing, on average "
        f"and for the worst photo. For TASK, or for {', '.join(_wild_tasks())}. --images: clean photos, pairs as they "
        "are, or folders of such, named cbsd68, polyu, wild",
    )  # fmt: skip
    severities = ",".join(SEVERITIES)
    group.add_argument("--severity", default=severities, help=f"what clean photos go through (default: {severities})")
    group.add_argument("--first", type=int, metavar="N", help="only the first N images of each folder, by name")
    group = verb.add_argument_group("all networks")
    group.add_argument(
        "--all", action="store_true",
        help="what every network costs and, on every set in --images, reaches (takes minutes; without --images, costs)",
    )  # fmt: skip
    group.add_argument(
        "--timings", action=argparse.BooleanOptionalAction, default=True,
        help="whether to time the networks, which needs an otherwise idle machine",
    )  # fmt: skip
    group.add_argument(
        "--update-headers", action="store_true", help="write the figures into the weights files, where they differ"
    )
    add_engine_options(verb)
    verb.set_defaults(run=_run)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    if options.wild:
        _check_wild(options)
    elif bool(options.task) == options.all:
        raise ControlError(f"name one task ({', '.join(TASKS)}), or say --all")
    elif options.first is not None:
        raise ControlError("--first goes with --wild: by the literature's protocols whole sets are measured")
    if options.photo and options.all:
        raise ControlError("--photo goes with one task: --all measures each network by its own protocol")
    if options.variant and options.all:
        raise ControlError("--variant goes with one task: --all measures every network")
    if (options.task or options.wild) and not options.images:
        raise ControlError("--images is missing: name a folder of clean images")
    if options.out and not options.out.parent.is_dir():
        raise ControlError(f"--out is {options.out}, but there is no folder {options.out.parent}: make it first")
    text = (_wild if options.wild else _all if options.all else _one)(options, settings)
    if not options.out:
        print(text)
        return 0
    from deconvdemo.atomic import WriteError, write_atomically

    try:
        write_atomically(options.out, f"{text}\n".encode())
    except WriteError as error:
        raise DeconvdemoError(str(error)) from error
    return 0


def _one(options: argparse.Namespace, settings: Settings) -> str:
    """One task on one folder."""
    if options.task in FINDERS:
        return _helper(options, settings)
    from deconvdemo.evaluation import evaluate
    from deconvdemo.evaluation.protocols import cases, require_photo_protocol

    # methods that need scikit-image are measured when they are asked for
    quick = [f"classical:{method.name}" for method in TASKS[options.task].baselines if method.quick]
    methods = [_method(method) for method in options.method or ["network", *quick]]
    engine = restorer(options, settings)
    variant = engine.task(options.task).variant
    # the literature's protocols measure one network, not the choice among them
    default = STANDARD if variant.default == AUTO else variant.default
    chosen = {"variant": default if options.variant is None else variant.checked(options.variant)}
    if options.photo:
        require_photo_protocol(options.task)
    found = cases(options.task, options.images, _values(options), PHOTO if options.photo else STANDARD)
    scores = []
    for name in methods:
        if name == NETWORK:
            restore = evaluate.network_method(options.task, engine, **chosen)
        else:
            restore = evaluate.classical_method(options.task, name)
        scores += evaluate.evaluate(name, restore, found)
    return _json([vars(score) for score in scores]) if options.json else _table(scores)


def _helper(options: argparse.Namespace, settings: Settings) -> str:
    """What a network finds that helps a task: on one folder, by a protocol of its own."""
    from deconvdemo.evaluation.scratches import evaluate

    if options.variant or options.photo or options.method:
        raise ControlError(
            f"{options.task} has one network and one protocol: leave out --variant, --photo and --method"
        )
    scores = evaluate(restorer(options, settings).find_scratches, options.images)
    return _json([vars(score) for score in scores]) if options.json else _table(scores)


def _all(options: argparse.Namespace, settings: Settings) -> str:
    """Every network and every classical method, on every set."""
    from deconvdemo.evaluation.report import ReportPlan, compare_headers, report
    from deconvdemo.evaluation.tables import tables

    if options.update_headers and (options.device or options.precision):
        raise ControlError(
            "a header says what evaluate prints by itself: --update-headers goes without --precision or --device"
        )
    engine = restorer(options, settings)
    plan = ReportPlan(
        options.images,
        _values(options),
        None if options.method is None else [_method(method) for method in options.method],
        options.timings,
        options.tile,
    )
    say = lambda text: print(f"deconvdemo: {text}", file=sys.stderr)
    found = report(engine.weights, engine.compute_on, plan, say)
    compare_headers(engine.weights, found, options.update_headers, say)
    return _json(found) if options.json else tables(found)


def _wild(options: argparse.Namespace, settings: Settings) -> str:
    """Photos as people's are."""
    from deconvdemo.evaluation.wild import WildPlan, wild
    from deconvdemo.evaluation.wild_tables import wild_tables

    plan = WildPlan(
        options.images,
        [options.task] if options.task else (),
        {"scale": _values(options)["scale"], "severity": options.severity.split(",")},
        None if options.method is None else [_method(method) for method in options.method],
        options.first,
    )
    plan.checked()
    found = wild(restorer(options, settings), plan, lambda text: print(f"deconvdemo: {text}", file=sys.stderr))
    return _json(found) if options.json else wild_tables(found)


def _check_wild(options: argparse.Namespace) -> None:
    """Raises ControlError for what does not go with --wild."""
    for name in ("all", "photo", "variant", "update_headers"):
        if getattr(options, name):
            raise ControlError(
                f"--{name.replace('_', '-')} does not go with --wild, which measures the default and every network of "
                "the task on photos of its own: leave one of them out"
            )
    if options.first is not None and options.first < 1:
        raise ControlError(f"--first is {options.first}, but it must be 1 or more")


def _wild_tasks() -> list[str]:
    return [name for name, task in TASKS.items() if task.wild]


NETWORK = "network"


def _method(text: str) -> str:
    """ "network", or the name after "classical:"."""
    kind, _, name = text.partition(":")
    if text == NETWORK:
        return NETWORK
    if kind == "classical":
        return name
    raise ControlError(f"method {text!r} is not known: give network or classical:NAME")


def _json(value: Any) -> str:
    """JSON has no infinity: a perfect result's PSNR is null."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(scores) -> str:
    from deconvdemo.evaluation.evaluate import printed

    columns = list(dict.fromkeys(name for score in scores for name in score.measured))
    settings = list(dict.fromkeys(score.setting for score in scores))
    lines = [
        f"{'setting':<17}{'method':<16}{'images':>7}" + "".join(f"{name:>15}" for name in columns) + f"{'s/MP':>9}"
    ]
    for score in sorted(scores, key=lambda score: settings.index(score.setting)):
        told = [printed(name, score.measured[name]) if name in score.measured else "–" for name in columns]
        values = "".join(f"{one:>15}" for one in told)
        lines.append(
            f"{score.setting:<17}{score.method:<16}{score.images:>7}{values}{score.seconds_per_megapixel:>9.2f}"
        )
    return "\n".join(lines)


def _axes() -> dict[str, tuple[str, Axis]]:
    """What the standard networks' protocols vary: name → the task that has it first, and its values."""
    found: dict[str, tuple[str, Axis]] = {}
    for task in TASKS.values():
        for name, axis in task.axes().items():
            found.setdefault(name, (task.name, axis))
    return found


def _values(options: argparse.Namespace) -> dict[str, list[Any]]:
    """name → the values that were asked for, of the same kind as the axis's own."""
    return {name: _listed(TASKS[task], name, getattr(options, name), axis) for name, (task, axis) in _axes().items()}


def _between(axis: Axis) -> str:
    """What stands between its values: words have commas in them."""
    return ";" if isinstance(axis.values[0], str) else ","


def _listed(task: Task, name: str, text: str, axis: Axis) -> list[Any]:
    parts = text.split(_between(axis))
    if isinstance(axis.values[0], str):
        control = next(control for control in task.controls if control.name == name)
        return [control.checked(control.here(part.strip())) for part in parts]
    try:
        return [type(axis.values[0])(part) for part in parts]
    except ValueError:
        raise ControlError(f"--{name} is {text!r}, but it takes numbers with commas between them") from None
