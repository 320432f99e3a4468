"""`denoise`, `upscale`, `inpaint`, `deblur`: restoring files and folders, with options from the tasks' controls."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconvdemo.cli.batch import Tally
from deconvdemo.cli.console import shown
from deconvdemo.cli.found_masks import NOTHING, FoundMasks, NothingFoundError, add_mask_options, require_finding
from deconvdemo.cli.photos import find
from deconvdemo.cli.targets import THERE, OverwriteGuard, TakenError, Target, require_writable, targets
from deconvdemo.engine.options import add_engine_options, restorer
from deconvdemo.errors import ControlError, DeconvdemoError, PhotoError
from deconvdemo.settings import Settings
from deconvdemo.tasks import AUTO, TASKS, Choice, Control, Number, Switch, Task

if TYPE_CHECKING:
    from deconvdemo.engine.restoration import Restoration


def add_verbs(verbs) -> None:
    for task in TASKS.values():
        verb = verbs.add_parser(task.name, help=task.promise, description=task.promise)
        verb.add_argument("input", type=Path, metavar="INPUT", help="photo, or folder of photos", nargs="+")
        verb.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file or folder")
        if task.needs_mask:
            add_mask_options(verb, task)
        for control in task.controls:
            # no default: what is not given is left to the task
            value = (
                {"action": "store_true", "default": None}
                if isinstance(control, Switch)
                else {"metavar": _metavar(control)}
            )
            verb.add_argument(f"--{control.name}", help=_help(control), **value)
        there = verb.add_mutually_exclusive_group()
        words = "leave out photos whose result is there already: so a stopped run goes on"
        there.add_argument("--skip-existing", action="store_true", help=words)
        words = "replace files that are there already (default: they stay; the photos given are never replaced)"
        there.add_argument("--overwrite", action="store_true", help=words)
        add_engine_options(verb)
        verb.set_defaults(run=lambda options, settings, task=task: _run(task, options, settings))


def _metavar(control: Control) -> str:
    if not isinstance(control, Number):
        return "NAME" if isinstance(control, Choice) else control.name.upper()
    if control.choices:
        return "|".join(map(str, control.choices))
    return f"auto|{control.name.upper()}" if control.automatic else control.name.upper()


def _help(control: Control) -> str:
    if isinstance(control, Switch):
        return control.meaning
    if isinstance(control, Choice):  # which there are, the weights tell: reading them would make help slow
        return f"{control.meaning} `deconvdemo weights list` tells which there are (default: auto)"
    default = control.default if isinstance(control.default, str) else AUTO
    if isinstance(control, Number) and control.default is not None:
        default = f"{control.default:g}"
    return f"{control.meaning} {control.expected()[0].upper()}{control.expected()[1:]} (default: {default})"


def _run(task: Task, options: argparse.Namespace, settings: Settings) -> int:
    inputs, mask = options.input, getattr(options, "mask", None)
    require_finding(options, task)
    found = find(inputs, options.output)
    one_file = len(found.photos) == 1 and not any(map(os.path.isdir, inputs))
    if mask and not one_file:
        raise ControlError("one mask goes with one photo: give a photo, not a folder")
    tally = Tally(len(found.photos), options.skip_existing, skipped=found.passed, failed=found.failed)
    if not found.photos and not found.failed:
        from deconvdemo.image.recognition import TAKEN

        among = f" ({tally.line()})" if found.passed else ""
        raise ControlError(f"{inputs[0]} holds no photos{among}: give {TAKEN} files")
    pairs = targets(found.photos, options.output, one_file)
    guard = OverwriteGuard([source for source, _ in pairs] + ([mask] if mask else []), options.overwrite)
    work = _Work(task, options, settings, mask, guard)
    return _one(work, *pairs[0]) if one_file and len(inputs) == 1 else _batch(work, pairs, tally)


def _one(work: _Work, source: Path, target: Target) -> int:
    try:
        there = work.kept(source, target) or work.restored(source, target)
    except NothingFoundError as error:
        print(f"{shown(str(error))}; nothing was written")
        return 0
    if there and not work.options.skip_existing:
        raise PhotoError(
            f"{there} is there already and stays as it is: name another -o, or give --overwrite to replace it "
            "(or --skip-existing to be content with it)"
        )
    if there:
        print(f"{shown(source)}: skipped, {shown(there)} is {THERE}")
    return 0


def _batch(work: _Work, pairs: list[tuple[Path, Target]], tally: Tally) -> int:
    """Each photo for itself: the others are still worth having. Only what concerns them all ends it: a wrong call,
    weights that cannot be had, a person, or a full disk."""
    for _, sentence in tally.failed:  # folders that cannot be read
        _tell(sentence)
    stopped = ""
    try:
        for source, target in pairs:
            there, error = _tried(work.kept, source, target)
            if not there and not error:
                work.prepare()
                there, error = _tried(work.restored, source, target)
            if isinstance(error, NothingFoundError):
                tally.skipped.append((source, NOTHING))
            elif error:
                known = isinstance(error, DeconvdemoError)
                if work.options.debug and not known:
                    raise error
                sentence = str(error) if known else f"unexpected {type(error).__name__}: {error}"
                sentence = _with_place(source, sentence)
                tally.failed.append((source, sentence))
                _tell(sentence)
                if getattr(error.__cause__, "errno", None) in _FULL:  # each of the others would be computed in vain
                    stopped = (
                        "stopped, the disk is full: make room, then the same command with --skip-existing goes on; "
                    )
                    break
            elif there:
                tally.skipped.append((source, THERE))
            else:
                tally.done += 1
    except KeyboardInterrupt:
        _tell(f"stopped, {tally.done} of {tally.total} photos are done: the same command with --skip-existing goes on")
        return 130
    if stopped or not tally.is_well:
        _tell(stopped + tally.line())
        return 1
    print(tally.line())
    return 0


def _with_place(source: Path, sentence: str) -> str:
    """A sentence about a photo, with its path: of a name alone there may be one in each folder."""
    if str(source) in sentence:
        return sentence
    return (
        f"{source}{sentence.removeprefix(source.name)}" if sentence.startswith(source.name) else f"{source}: {sentence}"
    )


def _tell(sentence: str) -> None:
    print(f"deconvdemo: {shown(sentence)}", file=sys.stderr)


def _tried(step: Callable[..., Path | None], source: Path, target: Target) -> tuple[Path | None, Exception | None]:
    """What a step gives, or what went wrong with this one photo."""
    try:
        return step(source, target), None
    except TakenError as error:
        return None, error
    except ControlError:  # a wrong call, for each photo alike
        raise
    except Exception as error:  # noqa: BLE001 - also a mistake of ours, which one photo in a thousand meets
        return None, error


_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no quota's number


class _Work:
    """One command's work on each photo. The engine is loaded when there is a photo to restore."""

    def __init__(
        self, task: Task, options: argparse.Namespace, settings: Settings, mask: Path | None, guard: OverwriteGuard
    ):
        self.task, self.options, self.settings, self.mask, self.guard = task, options, settings, mask, guard
        self.found = FoundMasks(options, guard) if getattr(options, "finding", False) else None

    def kept(self, source: Path, target: Target) -> Path | None:
        """What is there already, and stays, in the place of this photo's result. A look, before any work."""
        expected = target.expected(source)
        if expected and not self.guard.is_free(expected, source):
            return expected
        require_writable(expected or target.path)
        return None

    def prepare(self) -> None:
        """Raises what is wrong with the call or the weights, and so with every photo."""
        _ = self._ready

    @cached_property
    def _ready(self):
        engine = restorer(self.options, self.settings)
        given = {control.name: getattr(self.options, control.name) for control in self.task.controls}
        named = {name: value for name, value in given.items() if value is not None}
        return engine, engine.task(self.task.name).checked(self.task.here(named))

    def restored(self, source: Path, target: Target) -> Path | None:
        """Restores a photo into its target, and says so; or gives what is there already, and stays."""
        from deconvdemo.image.written_formats import download_suffix, lost_in

        engine, controls = self._ready
        photo: Any = source
        mask: Any = self.mask
        if self.found:
            photo = engine.opener.open(source, engine.max_pixels)
            mask = self.found.of(engine, photo, source, target)
        steps = engine.steps(self.task.name, photo, mask, **controls)
        restoration = _with_bar(shown(source.name), steps)
        path = target.named(download_suffix(restoration.photo))
        if not self.guard.is_free(path, source):
            return path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PhotoError(f"{path.parent} cannot be made a folder ({error.strerror}): name another -o") from error
        restoration.save(path)
        print(f"{shown(source)} → {shown(path)}: {restoration.summary()}")
        for note in (*restoration.notes, *lost_in(restoration.photo, path.suffix)):
            print(f"  note: {shown(note)}")
        return None


def _with_bar(label: str, steps: Iterator) -> Restoration:
    """Runs `steps` to their end under a progress bar (none where stderr is not a terminal)."""
    from tqdm import tqdm

    from deconvdemo.engine.restoration import Restoration

    with tqdm(desc=label, unit="tile", disable=not sys.stderr.isatty(), leave=False) as bar:
        for step in steps:
            if isinstance(step, Restoration):
                return step
            bar.total = step.total
            bar.update(step.done - bar.n)
    raise AssertionError("steps() ends with a Restoration")
