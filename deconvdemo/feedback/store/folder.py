"""Where feedback lies must stay what it was: one folder of images for all processes of a database, and there still."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from sqlalchemy import Engine, select, update

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.store.tables import about, blobs


class MovedError(OSError):
    """What was open was moved or removed."""

    def __init__(self) -> None:
        super().__init__(errno.ESTALE, "the data folder is not what it was when the demo opened it: bring it back")


class Place:
    """What must stay as it was when this was made: a file of this disk, and a folder, which may be another machine's
    (some of those number their files anew now and then)."""

    def __init__(self, file: Path | None = None, folder: Path | None = None):
        self._file, self._known, self._folder = file, _identity(file), folder

    def require(self) -> None:
        """MovedError if one is gone, or another file in its place: a database that is open still would go on."""
        if _identity(self._file) != self._known or (self._folder and not self._folder.is_dir()):
            raise MovedError


def _identity(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_dev, found.st_ino) if found else None


def require_same_folder(engine: Engine, folder: Path) -> None:
    """Raises FeedbackError if the database's images are in another folder than this one: rows here would name images
    that only another machine has. The first folder that comes with an empty database is the one."""
    mine = _name_of(folder)
    with engine.execution_options(write=True).begin() as connection:
        connection.execute(update(about).where(about.c.images_folder.is_(None)).values(images_folder=mine))
        theirs = connection.execute(select(about.c.images_folder)).scalar_one()
        if theirs == mine:
            return
        if connection.execute(select(blobs.c.name).limit(1)).first() is None:
            connection.execute(update(about).values(images_folder=mine))
            return
    raise FeedbackError(
        "the database of DECONVDEMO_DATABASE_URL has its images in another folder than this one's: let all its "
        "processes have the same DECONVDEMO_DATA_DIR, or one bucket by DECONVDEMO_BLOBS_URL"
    )


def _name_of(folder: Path) -> str:
    """What a folder is known by: a word in a file of it, the same for all who mount it."""
    file = folder / "name"
    if not file.exists():
        partial = folder / f"name.{secrets.token_hex(8)}"
        partial.write_text(secrets.token_hex(16))
        try:
            os.link(partial, file)
        except FileExistsError:  # another process was quicker
            pass
        finally:
            partial.unlink()
    return file.read_text()
