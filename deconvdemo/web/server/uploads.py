"""What visitors upload: how much of it there may be together, for how long, and who may still read it.

Gradio keeps uploads, and copies of what it hands out, in one folder, and forgets those of a process that was killed.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from gradio import route_utils
from gradio.routes import file_upload_statuses
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from deconvdemo.web.server.ages import GONE, Ages
from deconvdemo.web.server.bodies import Refused, refuse

FULL = (
    "there is no room for another upload right now: try again in a while; the example photos work, and so does a "
    "photo that is open already"
)
MOST_FILES = 20_000  # in the folder: it is looked through before each upload
IN_USE = 900.0  # seconds for which an upload stays although there is no room for others
_UPLOAD_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_FORGOTTEN_AFTER = 60.0  # seconds for which an upload's progress can still be asked for
_FILE = re.compile(r"(?:/gradio_api)?/file[=/](?P<path>.+)", re.DOTALL)


class Uploads:
    """The files in Gradio's `folder`, in at most `megabytes`; `files` gives those that are this demo's."""

    def __init__(self, folder: Path, ages: Ages, megabytes: float, files: Callable[[], Iterable[Path]] | None = None):
        self.folder, self.ages, self.megabytes = folder, ages, megabytes
        self._files = files or self._all
        self._lock = threading.Lock()
        self._arriving = 0  # bytes that uploads under way may still bring

    def sweep(self) -> None:
        for file in self._files():
            if self.ages.over(file):
                self._remove(file)

    def over(self, path: str | os.PathLike) -> bool:
        """Whether a file of the folder is too old to be read; then it goes. False for files elsewhere."""
        file = Path(os.path.abspath(path))
        if not file.is_relative_to(self.folder) or not self.ages.over(file):
            return False
        self._remove(file)
        return True

    def begin(self, size: int) -> None:
        """Before an upload of at most `size` bytes. Refused where they would be too many."""
        with self._lock:
            found = []
            for file in self._files():
                with suppress(OSError):  # it goes right now
                    found.append((self.ages.age(file), file.stat().st_size, file))
            room = self.megabytes * 1e6 - self._arriving - size - sum(size for _, size, _ in found)
            count = len(found)
            for age, freed, file in sorted(found, reverse=True):
                if (room >= 0 and count < MOST_FILES) or age < IN_USE:
                    break
                self._remove(file)
                room, count = room + freed, count - 1
            if room < 0 or count >= MOST_FILES:
                raise Refused(507, FULL)
            self._arriving += size

    def end(self, size: int) -> None:
        with self._lock:
            self._arriving -= size

    def _all(self) -> Iterable[Path]:
        return (Path(folder) / name for folder, _, names in os.walk(self.folder) for name in names)

    def _remove(self, file: Path) -> None:
        with suppress(OSError):
            file.unlink()
            if file.parent != self.folder:
                file.parent.rmdir()  # if nothing else is in it


class UploadDoor:
    """ASGI middleware: uploads find room or a sentence, and what is too old is read no more, by whatever address."""

    def __init__(self, app: ASGIApp, uploads: Uploads, over: Callable[[Path], bool], most: int, prefix: str = ""):
        self.app, self.uploads, self.over, self.most, self.prefix = app, uploads, over, most, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"].removeprefix(self.prefix)
        upload_id = ""
        try:
            upload_id = _upload_id(scope)
            served = _FILE.fullmatch(path)
            if served is not None and await run_in_threadpool(self.over, Path(served["path"])):
                raise Refused(404, GONE)
            if path.rstrip("/") != "/gradio_api/upload" or scope["method"] != "POST":
                await self.app(scope, receive, send)
            else:
                await self._upload(scope, receive, send)
        except Refused as refused:
            await refuse(refused, receive, send)
        finally:
            if upload_id:
                asyncio.get_running_loop().call_later(_FORGOTTEN_AFTER, _forget, upload_id)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        stated = dict(scope["headers"]).get(b"content-length", b"")
        size = min(self.most, int(stated)) if stated.isdigit() and len(stated) < 16 else self.most
        await run_in_threadpool(self.uploads.begin, size)
        try:
            await self.app(scope, receive, send)
        finally:
            self.uploads.end(size)


class FilesAlone(route_utils.GradioMultiPartParser):
    """Gradio's parser of uploads, which takes any number of fields into memory, and leaves half a file behind when its
    visitor leaves. An upload has files, few of them, and no fields.
    """

    def __init__(self, *args: Any, **options: Any):
        # how large it may be, `bodies.py` has said in words before
        super().__init__(*args, **{**options, "max_files": 10, "max_file_size": math.inf})

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is None:
            raise MultiPartException("an upload has files alone: send none of other fields")

    async def parse(self) -> Any:
        try:
            return await super().parse()
        except ClientDisconnect:
            for file in self._files_to_close_on_error:
                file.close()
                Path(file.name).unlink(missing_ok=True)
            raise


def _upload_id(scope: Scope) -> str:
    """The word by which a page asks how far its upload is. Gradio remembers any, of any length, for ever."""
    given = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("upload_id", [])
    if any(not _UPLOAD_ID.fullmatch(one) for one in given):
        raise Refused(400, "an upload_id is a word of 64 letters and digits at most")
    return given[-1] if given else ""


def _forget(upload_id: str) -> None:
    file_upload_statuses.stop_tracking(upload_id)
    file_upload_statuses._signals.pop(upload_id, None)
