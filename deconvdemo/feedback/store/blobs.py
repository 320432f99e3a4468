"""Image bytes as files named by their own sha256: written whole or not at all, and the same bytes once.

In a folder of this machine (temporary file → fsync → rename), or through fsspec in a bucket (s3://, hf://, …), whose
objects appear whole by themselves.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from deconvdemo.digests import sha256_of
from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.imagefile import image_extension

log = logging.getLogger(__name__)

STALE_SECONDS = 3600  # a temporary file this old belongs to a process that was killed


class DamagedBlobError(FeedbackError):
    """Stored bytes that are missing, or no longer what their name says."""


class BucketError(OSError):
    """What a bucket's client raised, in one sentence."""


def blob_name(data: bytes) -> str:
    return f"{sha256_of(data)}.{image_extension(data)}"


class Blobs(Protocol):
    """Where images are. A name appears only when its bytes are safe, and never changes them."""

    def open(self) -> None:
        """Makes what must be there, and removes what killed processes left half written."""

    def try_to_write(self) -> None:
        """Raises what writing an image would raise."""

    def staged(self, images: dict[str, bytes]) -> Any:
        """A context in which the named bytes are safe, but perhaps not under their names yet."""

    def keep(self, staged: Any) -> None:
        """Makes sure that the staged bytes are under their names, durably, also if someone has removed them."""

    def read(self, name: str) -> bytes:
        """Raises DamagedBlobError: missing, or not what the name says."""

    def size(self, name: str) -> int:
        """In bytes; 0 if it is missing."""

    def remove(self, name: str) -> None:
        """Also if it is not there."""

    def names(self, older_than: float) -> Iterator[str]:
        """The names of blobs that are older than that many seconds."""


class LocalBlobs:
    """`folder/ab/abcd….png`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.incoming = folder / "incoming"

    def open(self) -> None:
        make_folder(self.incoming)
        for left in self.incoming.iterdir():
            with suppress(FileNotFoundError):  # a living process's, which has just taken it away
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    left.unlink()

    def try_to_write(self) -> None:
        file = self.incoming / uuid4().hex
        try:
            file.write_bytes(bytes(4096))
        finally:
            file.unlink(missing_ok=True)

    @contextmanager
    def staged(self, images: dict[str, bytes]) -> Iterator[dict[str, Path]]:
        """Name → a temporary file whose bytes are on the disk; what was not kept is removed at the end."""
        files: dict[str, Path] = {}
        try:
            for name, data in images.items():
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
        for name, file in staged.items():
            path = self.path(name)
            make_folder(path.parent)
            os.replace(file, path)  # also over an equal blob: that repairs one which the disk has damaged
            sync(path.parent)

    def read(self, name: str) -> bytes:
        try:
            data = self.path(name).read_bytes()
        except FileNotFoundError:
            data = None
        return _verified(name, data)

    def size(self, name: str) -> int:
        return total_size([self.path(name)])

    def remove(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)

    def names(self, older_than: float) -> Iterator[str]:
        for file in self.folder.glob("??/*"):
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > older_than:
                    yield file.name

    def path(self, name: str) -> Path:
        return self.folder / name[:2] / name


class RemoteBlobs:
    """`url/ab/abcd….png` in a bucket. An upload that is repeated writes the same bytes."""

    def __init__(self, url: str):
        self.url = url.rstrip("/")
        self._fs: Any = None
        self._root = ""

    def open(self) -> None:
        import fsspec

        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            log.error("DECONVDEMO_BLOBS_URL cannot be opened", exc_info=error)  # a URL may hold a password
            raise FeedbackError(
                "DECONVDEMO_BLOBS_URL cannot be opened: correct it, or install what its scheme needs (see the log)"
            ) from error

    def try_to_write(self) -> None:
        pass  # a bucket that is asked at every look would cost money; what it refuses is told when a flag comes

    @contextmanager
    def staged(self, images: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
        for name, data in images.items():
            self._put(name, data)
        yield images

    def keep(self, staged: dict[str, bytes]) -> None:
        for name, data in staged.items():
            if self.size(name) != len(data):
                self._put(name, data)

    def read(self, name: str) -> bytes:
        with self._answers():
            try:
                data = self._fs.cat_file(self.path(name))
            except FileNotFoundError:
                data = None
        return _verified(name, data)

    def size(self, name: str) -> int:
        with self._answers():
            try:
                self._fs.invalidate_cache(self.path(name))
                return self._fs.info(self.path(name))["size"]
            except FileNotFoundError:
                return 0

    def remove(self, name: str) -> None:
        with self._answers(), suppress(FileNotFoundError):
            self._fs.rm_file(self.path(name))

    def names(self, older_than: float) -> Iterator[str]:
        with self._answers():
            self._fs.invalidate_cache()
            for path in self._fs.find(self._root):
                if time.time() - self._fs.modified(path).timestamp() > older_than:
                    yield path.rpartition("/")[2]

    def path(self, name: str) -> str:
        return f"{self._root}/{name[:2]}/{name}"

    def _put(self, name: str, data: bytes) -> None:
        with self._answers():
            self._fs.pipe_file(self.path(name), data)

    @contextmanager
    def _answers(self) -> Iterator[None]:
        # every file system has errors of its own: what they have in common is that no image was stored or read
        try:
            yield
        except Exception as error:
            raise BucketError(
                f"the bucket of DECONVDEMO_BLOBS_URL does not do its part ({type(error).__name__})"
            ) from error


def _verified(name: str, data: bytes | None) -> bytes:
    if data is None:
        raise DamagedBlobError(f"its image {name} is missing: bring it back from a backup")
    if sha256_of(data) != name.partition(".")[0]:
        raise DamagedBlobError(
            f"its image {name} is damaged: bring it back from a backup, or flag the same image again"
        )
    return data


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
