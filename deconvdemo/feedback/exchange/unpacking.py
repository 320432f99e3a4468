"""A ZIP file that *Take away* gave, unpacked as long as it is read."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from deconvdemo.bounded import clipped
from deconvdemo.errors import ControlError, DatasetError
from deconvdemo.hub.inside import relative_parts

MOST_FILES = 200_000


@contextmanager
def unpacked(file: Path) -> Iterator[Path]:
    """The one folder in it. ControlError for another kind of ZIP file.

    Ours store their files as they are: nothing grows by being unpacked, and nothing leads out of the folder.
    """
    with TemporaryDirectory() as name, zipfile.ZipFile(file) as archive:
        folder, listed = Path(name), [info for info in archive.infolist() if not info.is_dir()]
        within = sum(info.file_size for info in listed) <= file.stat().st_size and len(listed) <= MOST_FILES
        if not within or any(info.compress_type != zipfile.ZIP_STORED for info in listed):
            raise ControlError(f"{file} is not a ZIP file of this program's: unpack it, and import its folder")
        for info in listed:
            try:
                target = folder.joinpath(*relative_parts(info.filename))
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, target.open("xb") as copy:
                    shutil.copyfileobj(source, copy)
            except (DatasetError, OSError, zipfile.BadZipFile) as error:
                raise ControlError(f"{file} cannot be unpacked at {clipped(info.filename)!r}: {error}") from error
        tops = list(folder.iterdir())
        yield tops[0] if len(tops) == 1 and tops[0].is_dir() else folder
