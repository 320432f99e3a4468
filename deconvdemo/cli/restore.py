"""`denoise`, `upscale`, `inpaint`: restoring files and folders. Their options come from the tasks' controls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from deconvdemo.cli.options import add_engine_options, restorer
from deconvdemo.errors import ControlError, DeconvdemoError
from deconvdemo.settings import Settings
from deconvdemo.tasks import TASKS, Control, Task

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
            verb.add_argument(
                f"--{control.name}", default=control.default, metavar=_metavar(control), help=_help(control)
            )
        add_engine_options(verb)
        verb.set_defaults(run=lambda options, settings, task=task: _run(task, options, settings))


def _metavar(control: Control) -> str:
    if control.choices:
        return "|".join(map(str, control.choices))
    return f"auto|{control.name.upper()}" if control.automatic else control.name.upper()


def _help(control: Control) -> str:
    default = "estimated" if control.default is None else f"{control.default:g}"
    return f"{control.meaning} {control.expected()[0].upper()}{control.expected()[1:]} (default: {default})"


def _run(task: Task, options: argparse.Namespace, settings: Settings) -> int:
    controls = task.checked({control.name: getattr(options, control.name) for control in task.controls})
    inputs = options.input if isinstance(options.input, list) else [options.input]
    pairs = _pairs(inputs, options.output)
    if task.needs_mask and len(pairs) > 1:
        raise ControlError("one mask goes with one photo: give a photo, not a folder")
    engine = restorer(options, settings)
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
    restoration = _with_bar(source.name, engine.steps(task.name, source, mask, **controls))
    if target.suffix == "":  # a folder was given: what came in decides the format
        target = target.with_name(target.name + restoration.photo.suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and source.exists() and target.samefile(source):
        raise ControlError(f"{target} is the photo itself: name another -o")
    restoration.save(target)
    print(f"{source} → {target}: {restoration.summary()}")
    for note in restoration.notes:
        print(f"  note: {note}")


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
    """Each photo and where its result goes. A target without a suffix gets that of the format that came in."""
    photos: list[tuple[Path, Path]] = []
    for given in inputs:
        if given.is_dir():
            inside = [(file, file.relative_to(given)) for file in sorted(given.rglob("*")) if _is_photo(file)]
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
    targets = [(source, output / relative.with_suffix("")) for source, relative in photos]
    # two photos of one name and different suffixes (a.png, a.jpg) keep the suffix in the name
    stems = [target for _, target in targets]
    return [
        (source, target if stems.count(target) == 1 else target.with_name(source.name.replace(".", "-")))
        for source, target in targets
    ]


WRITTEN = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
PHOTO_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".heif"}


def _is_photo(file: Path) -> bool:
    return file.suffix.lower() in PHOTO_SUFFIXES and file.is_file()
