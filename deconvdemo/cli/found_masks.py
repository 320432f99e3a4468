"""`inpaint --find-scratches`: the mask of each photo is what a network finds there, instead of a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconvdemo.cli.console import shown
from deconvdemo.cli.targets import OverwriteGuard, Target
from deconvdemo.errors import ControlError, PhotoError
from deconvdemo.tasks import Task
from deconvdemo.tasks.helpers import Finder, finder_for

if TYPE_CHECKING:
    from deconvdemo.engine.restorer import Restorer
    from deconvdemo.image.photo import Photo

NOTHING = "without scratches"


class NothingFoundError(PhotoError):
    """There is nothing to fill in: the photo needs no result."""


def add_mask_options(verb: argparse.ArgumentParser, task: Task) -> None:
    """Where the holes are: a file says it, or they are found."""
    masks = verb.add_mutually_exclusive_group(required=True)
    masks.add_argument("--mask", type=Path, help="image of the photo's size, white = fill in")
    helper = finder_for(task.name)
    if helper is None:
        return
    told = helper.sensitivity
    words = "in place of --mask: what is damaged is found by a network, in each of any number of photos"
    masks.add_argument(_option(helper), dest="finding", action="store_true", help=words)
    words = f"{told.meaning} {told.expected()[0].upper()}{told.expected()[1:]} (default: {told.default:g})"
    verb.add_argument("--sensitivity", metavar="SENSITIVITY", help=f"with {_option(helper)}: {words}")
    verb.add_argument(
        "--save-mask", type=Path, metavar="DIR",
        help=f"with {_option(helper)}: write each mask into this folder, too, as a PNG of the photo's name",
    )  # fmt: skip


def require_finding(options: argparse.Namespace, task: Task) -> None:
    """Raises ControlError for options that mean nothing with a mask that is given."""
    helper = finder_for(task.name)
    for name in ("sensitivity", "save_mask"):
        if helper and getattr(options, name, None) is not None and not options.finding:
            raise ControlError(f"--{name.replace('_', '-')} goes with {_option(helper)}: the mask is given here")


class FoundMasks:
    """The masks of one command's photos."""

    def __init__(self, options: argparse.Namespace, guard: OverwriteGuard):
        self.sensitivity, self.folder, self.guard = options.sensitivity, options.save_mask, guard

    def of(self, engine: Restorer, photo: Photo, source: Path, target: Target) -> Any:
        """(H, W) bool, said and written as asked for. Raises NothingFoundError where nothing is marked."""
        import numpy as np

        from deconvdemo.image.photo import Photo
        from deconvdemo.image.writing import write_photo

        found = engine.found(photo, self.sensitivity)
        if not found.mask.any():
            raise NothingFoundError(f"{source.name}: {found.sentence()}")
        if self.folder:
            path = self.folder / f"{target.path.stem if not target.as_it_came else target.path.name}.png"
            if not self.guard.is_free(path, source):
                raise PhotoError(
                    f"{path} is there already and stays as it is: name another --save-mask, or --overwrite"
                )
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_photo(Photo(found.mask[..., None].astype(np.uint8) * np.uint8(255)), path)
            except OSError as error:
                raise PhotoError(f"{path} cannot be written ({error.strerror}): name another --save-mask") from error
        print(f"{shown(source)}: {100 * found.share:.2g} % is marked{f', in {shown(path)}' if self.folder else ''}")
        return found.mask


def _option(helper: Finder) -> str:
    return f"--{helper.endpoint.replace('_', '-')}"
