"""Where each photo's result goes, and what it may not replace there."""

from __future__ import annotations

import contextlib
import itertools
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deconvdemo.cli.photos import form_of
from deconvdemo.errors import ControlError, PhotoError

THERE = "there already"


class TakenError(ControlError):
    """A result that would take the place of one of the photos, or of a folder."""


@dataclass(frozen=True)
class Target:
    """A file; or a name in a folder (`as_it_came`), whose suffix is that of the format that came in."""

    path: Path
    as_it_came: bool = False

    def named(self, suffix: str) -> Path:
        # not with_suffix: my.photo.v2 has a suffix of its own
        return self.path.with_name(self.path.name + suffix) if self.as_it_came else self.path

    def expected(self, source: Path) -> Path | None:
        """What it will be called by the first bytes of its photo. None for what is no photo.

        A result that its photo's format cannot hold is a PNG: it has its name only when it is there.
        """
        if not self.as_it_came:
            return self.path
        import numpy as np

        from deconvdemo.image.photo import Photo
        from deconvdemo.image.written_formats import download_suffix

        form = form_of(source)
        return self.named(download_suffix(Photo(np.zeros((1, 1, 3), np.uint8), format=form))) if form else None


def targets(photos: list[tuple[Path, Path]], output: Path, one_file: bool) -> list[tuple[Path, Target]]:
    """Each photo and its target. `one_file`: there is but one photo, and no folder, so that -o may name a file.

    No two targets differ only in case, or in how their accents are written: that is one file on many disks.
    """
    from deconvdemo.image.written_formats import FORMATS

    if output.suffix and not output.is_dir():
        if output.suffix.lower() not in FORMATS:
            raise ControlError(
                f"{output} has no suffix that can be written: use one of {', '.join(FORMATS)}, or a folder"
            )
        if not one_file:
            raise ControlError(f"{output} is one file, but a folder or several photos are given: give a folder")
        return [(source, Target(output)) for source, _ in photos]
    named = [(source, output / relative.parent, relative.stem) for source, relative in photos]
    times = Counter(_on_any_disk(folder / stem) for _, folder, stem in named)
    found, taken = [], set()
    for source, folder, stem in named:
        if times[_on_any_disk(folder / stem)] > 1:  # a.png and a.jpg: each keeps its suffix in its name
            stem = source.name.replace(".", "-")
        numbered = (folder / (stem if number == 1 else f"{stem}-{number}") for number in itertools.count(1))
        path = next(path for path in numbered if _on_any_disk(path) not in taken)
        taken.add(_on_any_disk(path))
        found.append((source, Target(path, as_it_came=True)))
    return found


def _on_any_disk(path: Path) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", str(path)).casefold())


class OverwriteGuard:
    """Keeps what is there: no result ever takes the place of a photo (or mask) that was given, and of another file
    only if `overwrite` says so."""

    def __init__(self, inputs: Iterable[Path], overwrite: bool):
        self.overwrite = overwrite
        self._inputs = {identity for path in inputs for identity in _identities(path)}

    def is_free(self, target: Path, source: Path) -> bool:
        """False for a file that is there and stays. Raises TakenError for one of the photos, or a folder."""
        if not os.path.lexists(target):
            return True
        there = _identities(target)
        if self._inputs & there:
            which = "the photo itself" if there & _identities(source) else "another one of the photos given"
            raise TakenError(f"{target} is {which}: name another -o")
        if target.is_dir():
            raise TakenError(f"{target} is a folder, but the result is to be a file of that name: name another -o")
        return self.overwrite


def _identities(path: Path) -> set[tuple[int, int]]:
    """Of a file, and of a link to it."""
    found = set()
    for look in (os.stat, os.lstat):
        with contextlib.suppress(OSError):
            status = look(path)
            found.add((status.st_dev, status.st_ino))
    return found


def require_writable(target: Path) -> None:
    """Refuses a folder that cannot be written to, before work is spent on what goes there."""
    folder = target.parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise PhotoError(f"{target.parent} cannot be made a folder, {folder} is a file: name another -o")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PhotoError(f"{target} cannot be written, {folder} is read-only: name another -o")
