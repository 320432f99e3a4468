"""`denoise`, `upscale`, `inpaint`: restoring files and folders. Their options come from the tasks' controls."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from deconvdemo.cli.options import add_engine_options, restorer
from deconvdemo.errors import ControlError, DeconvdemoError, PhotoError
from deconvdemo.settings import Settings
from deconvdemo.tasks import STANDARD, TASKS, Control, Number, Switch, Task

if TYPE_CHECKING:
    from deconvdemo.engine.restorer import Restoration


def add_verbs(verbs) -> None:
    for task in TASKS.values():
        verb = verbs.add_parser(task.name, help=task.promise, description=task.promise)
        several = {} if task.needs_mask else {"nargs": "+"}
        verb.add_argument("input", type=Path, metavar="INPUT", help="photo, or folder of photos", **several)
        verb.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file or folder")
        if task.needs_mask:
            verb.add_argument("--mask", type=Path, required=True, help="image of the photo's size, white = fill in")
        for control in task.controls:
            # no default: what is not given is left to the task
            value = (
                {"action": "store_true", "default": None}
                if isinstance(control, Switch)
                else {"metavar": _metavar(control)}
            )
            verb.add_argument(f"--{control.name}", help=_help(control), **value)
        add_engine_options(verb)
        verb.set_defaults(run=lambda options, settings, task=task: _run(task, options, settings))


def _metavar(control: Control) -> str:
    if not isinstance(control, Number):
        return "NAME"
    if control.choices:
        return "|".join(map(str, control.choices))
    return f"auto|{control.name.upper()}" if control.automatic else control.name.upper()


def _help(control: Control) -> str:
    if isinstance(control, Switch):
        return control.meaning
    if not isinstance(control, Number):  # which there are, the weights tell: reading them would make help slow
        return f"{control.meaning} `deconvdemo weights list` tells which there are (default: {STANDARD})"
    default = "auto" if control.default is None else f"{control.default:g}"
    return f"{control.meaning} {control.expected()[0].upper()}{control.expected()[1:]} (default: {default})"


def _run(task: Task, options: argparse.Namespace, settings: Settings) -> int:
    inputs = options.input if isinstance(options.input, list) else [options.input]
    pairs = _pairs(inputs, options.output)
    if task.needs_mask and len(pairs) > 1:
        raise ControlError("one mask goes with one photo: give a photo, not a folder")
    engine = restorer(options, settings)
    given = {control.name: getattr(options, control.name) for control in task.controls}
    controls = engine.task(task.name).checked({name: value for name, value in given.items() if value is not None})
    failures = 0
    for source, target in pairs:
        try:
            _restore_one(engine, task, source, target, getattr(options, "mask", None), controls)
        except ControlError:
            raise
        except DeconvdemoError as error:
            if len(pairs) == 1:
                raise
            # the others are still worth having
            failures += 1
            print(f"deconvdemo: {error}", file=sys.stderr)
    if failures:
        print(f"deconvdemo: {failures} of {len(pairs)} photos failed", file=sys.stderr)
    return 1 if failures else 0


def _restore_one(engine, task: Task, source: Path, target: Path, mask: Path | None, controls: dict) -> None:
    _refuse_overwriting(source, target)
    restoration = _with_bar(source.name, engine.steps(task.name, source, mask, **controls))
    if target.name.endswith(AS_IT_CAME):
        target = target.with_name(target.name.removesuffix(AS_IT_CAME) + restoration.photo.suffix)
        _refuse_overwriting(source, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PhotoError(f"{target.parent} cannot be made a folder ({error.strerror}): name another -o") from None
    restoration.save(target)
    print(f"{source} → {target}: {restoration.summary()}")
    for note in restoration.notes:
        print(f"  note: {note}")


def _refuse_overwriting(source: Path, target: Path) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise ControlError(f"{target} is the photo itself: name another -o")


def _with_bar(label: str, steps: Iterator) -> Restoration:
    """Runs `steps` to their end under a progress bar (none where stderr is not a terminal)."""
    from tqdm import tqdm

    from deconvdemo.engine.restorer import Restoration

    with tqdm(desc=label, unit="tile", disable=None, leave=False) as bar:
        for step in steps:
            if isinstance(step, Restoration):
                return step
            bar.total = step.total
            bar.update(step.done - bar.n)
    raise AssertionError("steps() ends with a Restoration")


def _pairs(inputs: list[Path], output: Path) -> list[tuple[Path, Path]]:
    """Each photo and where its result goes: a file, or a name in a folder that ends in AS_IT_CAME."""
    photos: list[tuple[Path, Path]] = []
    for given in inputs:
        if given.is_dir():
            inside = [(file, file.relative_to(given)) for file in sorted(given.rglob("*")) if _is_photo(file)]
            if output.resolve() == given.resolve():
                raise ControlError(f"{output} is the folder of the photos themselves: name another -o")
            if given.resolve() in output.resolve().parents:  # results of an earlier run are not photos to restore
                inside = [pair for pair in inside if output.resolve() not in pair[0].resolve().parents]
            if not inside:
                raise ControlError(f"{given} holds no photos: expected {', '.join(sorted(PHOTO_SUFFIXES))} files")
            photos += inside
        else:
            photos.append((given, Path(given.name)))
    to_one_file = output.suffix.lower() in WRITTEN and not output.is_dir()
    if to_one_file and (len(photos) > 1 or inputs[0].is_dir()):
        raise ControlError(f"{output} is one file, but there are {len(photos)} photos: give a folder")
    if to_one_file:
        return [(photos[0][0], output)]
    if output.suffix and not output.is_dir():
        raise ControlError(f"{output} has no suffix that can be written: use one of {', '.join(WRITTEN)}, or a folder")
    named = [(source, output / relative.parent, relative.stem) for source, relative in photos]
    times = Counter((folder, stem) for _, folder, stem in named)
    pairs, taken = [], set()
    for source, folder, stem in named:
        if times[folder, stem] > 1:  # a.png and a.jpg: each keeps its suffix in its name
            stem = source.name.replace(".", "-")
        numbered = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
        target = folder / next(name for name in numbered if folder / name not in taken)
        taken.add(target)
        pairs.append((source, target.with_name(target.name + AS_IT_CAME)))
    return pairs


AS_IT_CAME = ".*"  # in a target's name, in place of the suffix of the format that came in
WRITTEN = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
PHOTO_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif"}


def _is_photo(file: Path) -> bool:
    return file.suffix.lower() in PHOTO_SUFFIXES and file.is_file()
