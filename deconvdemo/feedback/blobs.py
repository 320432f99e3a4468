"""Image bytes as files named by their own sha256: written whole or not at all, and the same bytes once."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.imagefile import image_extension

STALE_SECONDS = 3600  # a temporary file this old belongs to a process that was killed


class DamagedBlobError(FeedbackError):
    """Stored bytes that are missing, or no longer what their name says."""


def blob_name(data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}.{image_extension(data)}"


class Blobs:
    """`folder/ab/abcd….png`. A name appears only when its bytes are on the disk, and never changes them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.incoming = folder / "incoming"

    def open(self) -> None:
        """Makes the folders and removes what killed processes left half written."""
        make_folder(self.incoming)
        for left in self.incoming.iterdir():
            with suppress(FileNotFoundError):  # a living process's, which has just taken it away
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    left.unlink()

    @contextmanager
    def staged(self, images: Iterable[bytes]) -> Iterator[dict[str, Path]]:
        """Name → a temporary file whose bytes are on the disk; what was not kept is removed at the end."""
        files: dict[str, Path] = {}
        try:
            for data in images:
                name = blob_name(data)
                if name in files:  # a mask and a region may be the same picture
                    continue
                file = files[name] = self.incoming / uuid4().hex
                with open(file, "xb") as out:
                    out.write(data)
                    out.flush()
                    os.fsync(out.fileno())
            yield files
        finally:
            for file in files.values():
                file.unlink(missing_ok=True)

    def keep(self, staged: dict[str, Path]) -> None:
        """Gives the staged files their names, durably."""
        for name, file in staged.items():
            path = self.path(name)
            make_folder(path.parent)
            os.replace(file, path)  # also over an equal blob: that repairs one which the disk has damaged
            sync(path.parent)

    def read(self, name: str) -> bytes:
        try:
            data = self.path(name).read_bytes()
        except FileNotFoundError:
            raise DamagedBlobError(f"its image {name} is missing: bring it back from a backup") from None
        if hashlib.sha256(data).hexdigest() != name.partition(".")[0]:
            raise DamagedBlobError(
                f"its image {name} is damaged: bring it back from a backup, or flag the same image again"
            )
        return data

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def bytes_on_disk(self) -> int:
        return total_size(self.folder.glob("??/*"))

    def path(self, name: str) -> Path:
        return self.folder / name[:2] / name


def total_size(files: Iterable[Path]) -> int:
    """In bytes, of those files that are still there."""
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def make_folder(folder: Path) -> None:
    """Like mkdir -p, and the new names survive a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Waits until a file's bytes, or the names in a folder, are on the disk; a file's sync covers no name."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
