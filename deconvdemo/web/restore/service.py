"""What a tab's events work with: photos opened, controls estimated, masks laid on photos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deconvdemo.engine.admission import Asker, Seat
from deconvdemo.engine.restoration import Progress, Restoration
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import DeconvdemoError, PhotoError
from deconvdemo.image.alpha import visible
from deconvdemo.image.apart import STRANGERS
from deconvdemo.image.photo import Photo
from deconvdemo.tasks import AUTO, Task
from deconvdemo.tasks.helpers import Finder, finder_for
from deconvdemo.web.components.painter import mask_from_painter, painting
from deconvdemo.web.components.previews import preview
from deconvdemo.web.restore.flagging import Flagging
from deconvdemo.web.restore.open_photos import OpenPhotos
from deconvdemo.web.restore.results import Kept
from deconvdemo.web.server.leaving import asker


@dataclass(frozen=True)
class RestoreService:
    """One task, the restorer that does it, and the places where photos are open and results and flags are kept."""

    task: Task
    restorer: Restorer
    flagging: Flagging
    photos: OpenPhotos = field(default_factory=OpenPhotos)

    @property
    def helper(self) -> Finder | None:
        """What finds this task's mask, where there are weights for it."""
        helper = finder_for(self.task.name)
        try:
            return helper if helper and helper.name in self.restorer.weights.names() else None
        except DeconvdemoError:  # the foot of the page says what is wrong with them
            return None

    def open(self, path: str | None, session: str | None) -> Photo:
        """The photo of a page's `session`. Raises PhotoError, in one sentence, for what is none."""
        return self.photos.open((session, self.task.name), _present(path), self.restorer.max_pixels)

    def close(self, session: str | None) -> None:
        """The page has no photo any more."""
        self.photos.close((session, self.task.name))

    def preview(self, path: str, photo: Photo) -> str:
        """The file that a page shows in the photo's place."""
        results = self.flagging.results
        shown = preview(path, photo, results.lossless)
        if shown != path:
            results.lies_in(photo, Path(shown))
        return shown

    def estimates(self, photo: Photo) -> dict[str, Any]:
        """The automatic controls, estimated from this photo for the networks that do not judge them by themselves."""
        for variant, option in self.task.variant.options.items():
            defaults = {control.name: control.default for control in self.task.controls}
            found = (*option.judges, *self.task.found_by_auto)
            left_open = [name for name, default in defaults.items() if default is None and name not in found]
            if left_open:
                # what is not asked for here, such as a blur, is as usual: nothing else is looked for
                asked = {**defaults, **self.task.usual, **dict.fromkeys(left_open), "variant": variant}
                settled = self.task.settled(photo.pixels, asked, visible(photo.alpha))
                return {name: settled[name] for name in left_open}
        return {}

    def saw(self, photo: Photo, variant: str = AUTO) -> str:
        """What is found out of a photo for a network, or all of them; empty where nothing is left to that."""
        task, asked = self.restorer.task(self.task.name), {"variant": variant}
        if variant != AUTO and task.served:
            # at a scale that there are weights for; for none the page was built with others
            asked = next((choices for choices in task.served if choices["variant"] == variant), {})
        return self.restorer.settled(task, task.checked(asked), photo)[1] if asked else ""

    def painting(self, photo: Photo, mask: str | Path | np.ndarray | None = None) -> dict[str, Any]:
        """The painter's value: the photo, and on it the holes of a mask, of a file or (H, W) bool."""
        holes = mask if isinstance(mask, np.ndarray) else None
        if mask is not None and holes is None:
            holes, _ = STRANGERS.read_mask(mask, photo.height, photo.width, self.restorer.max_pixels, photo)
        return painting(self.flagging.results.show(photo), photo.width, photo.height, holes, self.task.limit)

    def steps(
        self, path: str | None, session: str | None, painted: dict[str, Any] | None, controls: dict[str, Any]
    ) -> Iterator[Progress | Restoration]:
        """Progress before and after each tile, and the restoration last; work stops when this is closed."""
        photo, mask = self.open(path, session), mask_from_painter(painted, self.flagging.max_pixels)
        yield from self.restorer.steps(self.task.name, photo, mask, **controls)

    def seat(self, path: str | None, controls: dict[str, Any], asker: Asker) -> AbstractContextManager[Seat]:
        """A seat for restoring this photo with these controls: to be waited for. BusyError where too many wait."""
        file, scale = _present(path), self.task.scale(self.restorer.task(self.task.name).checked(controls))
        cost = self.restorer.cost(file, scale=scale, by_turns=self.task.by_turns)
        return self.restorer.admission.asking(cost, asker.who)

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
