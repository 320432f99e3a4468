"""What a tab's events work with: photos opened, controls estimated, masks laid on photos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image

from deconvdemo.engine.admission import Asker, Seat
from deconvdemo.engine.restorer import Progress, Restoration, Restorer
from deconvdemo.errors import PhotoError
from deconvdemo.image.alpha import visible
from deconvdemo.image.apart import STRANGERS
from deconvdemo.image.photo import Photo
from deconvdemo.tasks import Task
from deconvdemo.web.components.painter import mask_from_painter, painting
from deconvdemo.web.restore.flagging import Flagging
from deconvdemo.web.restore.results import Kept
from deconvdemo.web.server.leaving import asker


@dataclass(frozen=True)
class RestoreService:
    """One task, the restorer that does it, and the place where results and flags are kept."""

    task: Task
    restorer: Restorer
    flagging: Flagging

    def open(self, path: str | None) -> Photo:
        """Raises PhotoError, in one sentence, for what is no photo."""
        return STRANGERS.open(_present(path), self.restorer.max_pixels)

    def estimates(self, photo: Photo) -> dict[str, Any]:
        """The automatic controls, estimated from this photo for the networks that do not judge them by themselves."""
        for variant, option in self.task.variant.options.items():
            defaults = {control.name: control.default for control in self.task.controls}
            left_open = [name for name, default in defaults.items() if default is None and name not in option.judges]
            if left_open:
                settled = self.task.settled(photo.pixels, {**defaults, "variant": variant}, visible(photo.alpha))
                return {name: settled[name] for name in left_open}
        return {}

    def painting(self, photo: Photo, mask: str | Path | None = None) -> dict[str, Any]:
        """The painter's value: the photo, and on it the holes of a mask file."""
        holes = None
        if mask is not None:
            painted, _ = STRANGERS.read_mask(mask, photo.height, photo.width, self.restorer.max_pixels, photo)
            holes = PIL.Image.fromarray(painted)
        return painting(self.flagging.results.show(photo), photo.width, photo.height, holes)

    def steps(
        self, path: str | None, painted: dict[str, Any] | None, controls: dict[str, Any]
    ) -> Iterator[Progress | Restoration]:
        """Progress before and after each tile, and the restoration last; work stops when this is closed."""
        source, mask = _present(path), mask_from_painter(painted, self.flagging.max_pixels)
        yield from self.restorer.steps(self.task.name, source, mask, **controls)

    def seat(self, path: str | None, controls: dict[str, Any], asker: Asker) -> AbstractContextManager[Seat]:
        """A seat for restoring this photo with these controls: to be waited for. BusyError where too many wait."""
        file, scale = _present(path), self.task.scale(self.restorer.task(self.task.name).checked(controls))
        return self.restorer.admission.asking(self.restorer.cost(file, scale=scale), asker.who)

    def asker(self) -> Asker:
        """Whom Gradio has called this thread for."""
        return asker(self.flagging.behind_proxy)

    def place(self, *files: str | Path | None) -> AbstractContextManager[None]:
        """A place to open these files in, for whom Gradio has called this thread for."""
        return self.restorer.place(*files, asker=self.asker())

    def keep(self, restoration: Restoration, path: str | None) -> Kept:
        return self.flagging.results.keep(restoration, Path(_present(path)).name)


def _present(path: str | None) -> str:
    if path is None:
        raise PhotoError("there is no photo yet: drop one, paste one, or try an example")
    return path
