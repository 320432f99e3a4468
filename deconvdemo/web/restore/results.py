"""Recent results on disk: what the viewer shows, what is downloaded, and what a flag is made of.

A result is a folder named by its restoration_id, which cannot be guessed: whoever has it may see it, nobody else. The
folders outlive a restart, so that a result can still be flagged, and the oldest go when their time or the room is over.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from deconvdemo.engine.restoration import Restoration
from deconvdemo.errors import FeedbackError, PhotoError
from deconvdemo.image.lossless import lossless, lossless_suffix
from deconvdemo.image.photo import Photo
from deconvdemo.image.writing import encode_photo
from deconvdemo.image.written_formats import download_suffix
from deconvdemo.redaction import for_strangers
from deconvdemo.web.components.painter import mask_file
from deconvdemo.web.server.ages import Ages

_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_STEM = 120  # bytes; file systems take 255 for the whole name
HALF_WRITTEN = 600.0  # seconds after which a folder whose writing has not ended is one that nobody writes
URL = "results"  # relative, so that it holds behind a proxy's prefix, too


def _stem(name: str) -> str:
    """Of a download: what the visitor called their file, as far as any disk takes it."""
    stem = re.sub(r"[^\w.-]+", "-", Path(name).stem).encode()[:_LONGEST_STEM].decode(errors="ignore").strip("-.")
    return stem or "photo"


@dataclass(frozen=True)
class Kept:
    """One result on disk; names are of files in its folder."""

    restoration_id: str
    task: str
    controls: dict[str, Any]
    checkpoint: dict[str, str]
    width: int  # of the restored photo
    height: int
    observed: str
    restored: str
    mask: str | None
    download: str

    def url(self, name: str) -> str:
        return f"{URL}/{self.restoration_id}/{name}"


class Results:
    """The results kept in `folder`, for at most `hours` and in at most `megabytes`. Safe to use from many threads."""

    def __init__(self, folder: Path, hours: float, megabytes: int, ages: Ages | None = None):
        self.folder, self.hours, self.megabytes = folder, hours, megabytes
        self.ages = ages or Ages(hours)
        self._pruning, self._lying = threading.Lock(), threading.Lock()
        self._files: WeakKeyDictionary[Photo, Path] = WeakKeyDictionary()  # of photos in memory

    def keep(self, restoration: Restoration, name: str = "photo") -> Kept:
        """Writes a restoration's files; `name` is what the visitor called theirs. PhotoError if the disk is full."""
        observed, restored = restoration.observed, restoration.photo
        kept = Kept(
            restoration.restoration_id,
            restoration.task,
            restoration.controls,
            for_strangers(restoration.checkpoint),
            restored.width,
            restored.height,
            observed=f"observed{lossless_suffix(observed)}",
            restored=f"restored{lossless_suffix(restored)}",
            mask=None if restoration.mask is None else "mask.png",
            download=f"{_stem(name)}-{restoration.task}{download_suffix(restored)}",
        )
        contents: dict[str, Callable[[], bytes]] = {
            kept.observed: lambda: self.lossless(observed),
            kept.restored: lambda: lossless(restored),
            kept.download: lambda: encode_photo(restored),
        }
        if (mask := restoration.mask) is not None:
            contents["mask.png"] = lambda: mask_file(mask)
        self.lies_in(observed, self._write(kept.restoration_id, contents, json.dumps(asdict(kept))) / kept.observed)
        return kept

    def keep_mask(self, holes: np.ndarray, name: str = "photo") -> Path:
        """Writes a mask that was found on the visitor's photo of this name; returns the PNG's place."""
        file = f"{_stem(name)}-mask.png"
        return self._write(uuid.uuid4().hex, {file: lambda: mask_file(holes)}, None) / file

    def keep_files(self, contents: dict[str, Callable[[], bytes]]) -> Path:
        """Writes files, by name, into a folder of their own, whose name is its key."""
        return self._write(uuid.uuid4().hex, contents, None)

    def show(self, photo: Photo) -> str:
        """Writes an uploaded photo for the page to show, which any browser can, and returns its URL."""
        key, name = uuid.uuid4().hex, f"observed{lossless_suffix(photo)}"
        self.lies_in(photo, self._write(key, {name: lambda: self.lossless(photo)}, None) / name)
        return f"{URL}/{key}/{name}"

    def lossless(self, photo: Photo) -> bytes:
        """Every pixel of a photo, encoded once: after that it is read from where it lies."""
        with self._lying:
            file = self._files.get(photo)
        with suppress(OSError):
            if file is not None:
                return file.read_bytes()
        return lossless(photo)

    def lies_in(self, photo: Photo, file: Path) -> None:
        """Every pixel of this photo is in this file, for as long as both are there."""
        with self._lying:
            self._files[photo] = file

    def get(self, restoration_id: str) -> Kept:
        """Raises FeedbackError for a result that is not, or no longer, there."""
        facts = self.folder / restoration_id / "facts.json"
        if not _ID.fullmatch(restoration_id) or self.over(restoration_id) or not facts.is_file():
            raise FeedbackError(
                f"there is no result {restoration_id[:40]!r}: results are kept for {self.hours:g} hours at most, "
                "so restore the photo again"
            )
        return Kept(**json.loads(facts.read_text()))

    def over(self, key: str) -> bool:
        """Whether a result's time is over, or it is not there; then it goes."""
        over = self.ages.over(self.folder / key)
        if over:
            shutil.rmtree(self.folder / key, ignore_errors=True)
        return over

    def file_over(self, path: Path) -> bool:
        """Whether a file is one of a result whose time is over. False for files elsewhere."""
        file, folder = Path(os.path.abspath(path)), Path(os.path.abspath(self.folder))
        return file.is_relative_to(folder) and file != folder and self.over(file.relative_to(folder).parts[0])

    def read(self, kept: Kept, name: str) -> bytes:
        try:
            if self.over(kept.restoration_id):
                raise FileNotFoundError(kept.restoration_id)
            return (self.folder / kept.restoration_id / name).read_bytes()
        except OSError as error:
            raise FeedbackError("this result is no longer kept: restore the photo again") from error

    def path(self, kept: Kept, name: str) -> Path:
        return self.folder / kept.restoration_id / name

    def route(self) -> Route:
        """Serves the files under /results, to whoever knows their ids."""

        def serve(request: Request) -> Response:
            key, name = request.path_params["key"], request.path_params["name"]
            file = self.folder / key / name
            known = _ID.fullmatch(key) and "/" not in name and not name.startswith(".") and not self.over(key)
            if not known or not file.is_file():
                return PlainTextResponse("this result is no longer kept: restore the photo again", 404)
            # private: a shared cache must not hold a visitor's photo; and no cache for longer than we do
            left = int(min(3600, self.ages.left(self.folder / key)))
            headers = {"Cache-Control": f"private, max-age={left}", "X-Content-Type-Options": "nosniff"}
            return FileResponse(file, headers=headers, content_disposition_type="inline")

        return Route(f"/{URL}/{{key}}/{{name}}", serve)

    def _write(self, key: str, contents: dict[str, Callable[[], bytes]], facts: str | None) -> Path:
        self.sweep()
        target, partial = self.folder / key, self.folder / f".{key}"
        try:
            partial.mkdir(parents=True)
            with ThreadPoolExecutor(len(contents)) as pool:  # encoders let go of the interpreter
                encoded = list(pool.map(lambda make: make(), contents.values()))
            for name, data in zip(contents, encoded, strict=True):
                (partial / name).write_bytes(data)
            if facts is not None:
                (partial / "facts.json").write_text(facts)
            partial.rename(target)
            self.ages.age(target)  # it begins now
            return target
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise PhotoError(
                f"the result could not be kept on this server ({error.strerror}): try again in a while"
            ) from error

    def sweep(self) -> None:
        """Removes what is too old, what a killed process left half written, then the oldest until the rest fits."""
        if not self.folder.is_dir() or not self._pruning.acquire(blocking=False):
            return
        try:
            items = [item for item in self.folder.iterdir() if item.is_dir()]
            folders = sorted(((self.ages.age(item), item) for item in items), reverse=True)
            sizes = {item: sum(file.stat().st_size for file in item.iterdir()) for _, item in folders}
            room = self.megabytes * 1e6 - sum(sizes.values())
            for age, item in folders:
                most = min(HALF_WRITTEN, self.ages.seconds) if item.name.startswith(".") else self.ages.seconds
                if age > most or room < 0:
                    room += sizes[item]
                    shutil.rmtree(item, ignore_errors=True)
        except FileNotFoundError:
            pass  # another process prunes the same folder
        finally:
            self._pruning.release()
