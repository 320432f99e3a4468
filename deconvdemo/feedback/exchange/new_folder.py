"""A folder that is there only once it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.store.blobs import make_folder

PARTIAL = ".partial-"  # what an export writes until it is complete


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, with `images/` in it; it takes the name `folder` when the block ends well.

    Raises FeedbackError for a folder that is not new or empty, or a disk that is full.
    """
    folder = Path(folder).absolute()
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FeedbackError(f"{folder} has something in it: choose a new or empty folder")
        make_folder(folder.parent)
        partial = folder.parent / f"{PARTIAL}{folder.name}"
        shutil.rmtree(partial, ignore_errors=True)  # an earlier, killed export's
        try:
            (partial / "images").mkdir(parents=True)
            yield partial
            os.replace(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise FeedbackError(
            f"{folder} cannot be written ({error.strerror or error}): make room, or choose another folder"
        ) from error
