"""What every request passes before the demo's pages see it, and what goes when its time is over: put together here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import route_utils
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from deconvdemo.settings import Settings
from deconvdemo.web.components.photo_input import PhotoInput
from deconvdemo.web.restore.open_photos import OpenPhotos
from deconvdemo.web.restore.results import Results
from deconvdemo.web.server.ages import Sweeper
from deconvdemo.web.server.bodies import Bodies, BodyLimits
from deconvdemo.web.server.leaving import Listening
from deconvdemo.web.server.starting import UPLOADS
from deconvdemo.web.server.uploads import FilesAlone, UploadDoor, Uploads

_SESSION = re.compile(r"[\w.-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Doors:
    """Of one demo; `prefix` is where a proxy shows it."""

    limits: BodyLimits
    uploads: Uploads
    results: Results
    sweeper: Sweeper

    @classmethod
    def of(cls, settings: Settings, blocks: gr.Blocks, results: Results, photos: OpenPhotos) -> Doors:
        route_utils.GradioMultiPartParser = FilesAlone
        ages, folder = results.ages, Path(get_upload_folder()).absolute()
        # another folder may be other programs', too: there, what this demo has put into it is all that is ours
        ours = folder == (Path.cwd() / settings.data_dir / UPLOADS).absolute()
        uploads = Uploads(folder, ages, settings.uploads_mb, None if ours else lambda: _known(blocks))
        blocks._queue.push = _bounded(blocks._queue.push)
        for block in blocks.blocks.values():
            if isinstance(block, PhotoInput):
                block.over = uploads.over
        limits = BodyLimits.of_demo(settings.max_upload_mb)
        sweeps = (uploads.sweep, results.sweep, photos.sweep, lambda: _forget_gone(blocks))
        return cls(limits, uploads, results, Sweeper(ages, sweeps))

    def middleware(self, prefix: str) -> list[Middleware]:
        most = self.limits.on("/gradio_api/upload").most
        return [
            Middleware(Bodies, limits=self.limits, prefix=prefix),
            Middleware(UploadDoor, uploads=self.uploads, over=self.over, most=most, prefix=prefix),
            Middleware(Listening),
        ]

    def over(self, path: Path) -> bool:
        """Whether a file that Gradio would serve is one of ours whose time is over."""
        return self.uploads.over(path) or self.results.file_over(path)


def _bounded(push: Any) -> Any:
    """Gradio's queue keeps what it is sent for as long as a job waits, and a session's name, of any length, beyond."""

    async def bounded(body: Any, request: Any, username: str | None) -> Any:
        if body.session_hash is not None and not _SESSION.fullmatch(body.session_hash):
            return False, "a session is a word of 64 letters and digits at most", "error"
        result = await push(body=body, request=request, username=username)
        request._body = b""  # what it says is in `body`
        vars(request).pop("_json", None)
        return result

    return bounded


def _forget_gone(blocks: gr.Blocks) -> None:
    """Gradio remembers the name of every file, so that it may delete it in the end."""
    for files in (blocks.upload_file_set, *blocks.temp_file_sets):
        files.difference_update([file for file in [*files] if not os.path.lexists(file)])


def _known(blocks: gr.Blocks) -> Iterable[Path]:
    return [Path(file) for files in (blocks.upload_file_set, *blocks.temp_file_sets) for file in [*files]]
