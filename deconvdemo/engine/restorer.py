"""The Restorer: a photo and controls in, a restored photo and an account of how it was made out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine import cleaning
from deconvdemo.engine import device as devices
from deconvdemo.engine.admission import Admission, Asker, expected_bytes
from deconvdemo.engine.by_turns import LARGEST_BLOCK, TURNING, by_turns
from deconvdemo.engine.feeding import require_fed, require_known
from deconvdemo.engine.judging import Judgements
from deconvdemo.engine.large_holes import middle_filled
from deconvdemo.engine.restoration import Progress, Restoration
from deconvdemo.engine.scratches import Found, find
from deconvdemo.engine.tile_by_tile import SMALLEST_TILE, tile_by_tile
from deconvdemo.engine.work import Work
from deconvdemo.engine.worker import giving_way
from deconvdemo.errors import ControlError, PhotoError
from deconvdemo.image.alpha import visible
from deconvdemo.image.apart import OWN_FILES, Pool
from deconvdemo.image.mask_reading import coverage
from deconvdemo.image.photo import Photo
from deconvdemo.tasks import AUTO, Task, task_named
from deconvdemo.tasks.harm import Harm
from deconvdemo.tasks.helpers import JUDGE, SCRATCHES


class Restorer:
    """Restores photos with the weights it was given. Safe to use from many threads."""

    def __init__(
        self,
        weights: Weights,
        compute_on: devices.Compute,
        tile: str | int = "auto",
        max_pixels: int | None = None,
        opener: Pool = OWN_FILES,
    ):
        self.weights = weights
        self.compute_on = compute_on
        self.tile = _checked_tile(tile)
        self.max_pixels = max_pixels
        self.opener = opener
        self.admission = Admission()  # for those who serve many at once; `restore` and `steps` ask nobody
        self._judgements = Judgements()
        self._serving: dict[str, tuple[Checkpoint, nn.Module]] = {}
        self._loading = threading.Lock()

    @classmethod
    def load(
        cls,
        weights: str | Path | Weights | None = None,
        device: str = "auto",
        precision: str = "auto",
        tile: str | int = "auto",
        max_pixels: int | None = None,
        folder: Path | None = None,
        opener: Pool = OWN_FILES,
    ) -> Restorer:
        """Bundled weights, or those of a file, a folder or `hf://owner/repo[@revision][/file]`.

        `tile` is a side in pixels of the observed photo, or "auto"; photos and results of more than `max_pixels` are
        refused. In `folder`, or the user's cache, it is kept what was measured to be fastest on this machine.
        `opener` reads files, in a process apart: `apart.STRANGERS` for a server's visitors.
        Raises CheckpointError, DeviceError, ControlError.
        """
        if not isinstance(weights, Weights):
            weights = Weights(spec=None if weights is None else str(weights))
        return cls(weights, devices.choose(device, precision, folder), tile, max_pixels, opener)

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        compute_on: devices.Compute,
        tile: str | int = "auto",
        max_pixels: int | None = None,
        opener: Pool = OWN_FILES,
    ) -> Restorer:
        """One that has this checkpoint alone, whatever serves elsewhere."""
        return cls(Weights.of(checkpoint), compute_on, tile, max_pixels, opener)

    def swap(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Serves these from the next restoration on; those under way end with the weights they began with."""
        built = {name: (checkpoint, self._network(checkpoint)) for name, checkpoint in checkpoints.items()}
        with self._loading:
            self._serving = {**self._serving, **built}

    def task(self, name: str) -> Task:
        """The task of this name with the variants that there are weights for. ControlError for an unknown name."""
        asked_for = self.weights.asked_for()
        require_known(asked_for)
        return task_named(name).offering(self.weights.names(), asked_for)

    def restore(self, task: str, photo: Any, mask: Any = None, **controls: Any) -> Restoration:
        """Restores a photo: a path, bytes, a Pillow image, or a uint8, uint16 or float array (H, W, C).

        `controls` are the task's (`TASKS[task].controls`): sigma in 8-bit grey levels, scale, strength in [0, 1],
        variant ("auto", which chooses by what the photo is, or one of the task's networks), kernel (an array, words
        such as "motion:15,30", or the path of a picture or .npy file), …
        Raises PhotoError and ControlError before any work starts, and DeviceError where this machine cannot do it.

        >>> Restorer.load().restore("upscale", "cat.png", scale=2).save("cat-large.png")  # doctest: +SKIP
        """
        *_, restoration = self.steps(task, photo, mask, **task_named(task).here(controls))
        assert isinstance(restoration, Restoration)
        return restoration

    def find_scratches(self, photo: Any, sensitivity: float | None = None) -> np.ndarray:
        """A mask of what is damaged in an old photo, (H, W) bool, for `restore("inpaint", photo, mask)`.

        `sensitivity` is from 0 to 1: higher finds fainter marks, and more of what is none. Raises as `restore` does.

        >>> mask = Restorer.load().find_scratches("grandparents.jpg")  # doctest: +SKIP
        """
        return self.found(photo, sensitivity).mask

    def found(self, photo: Any, sensitivity: float | None = None) -> Found:
        """As `find_scratches`, with what to say of it. `photo` may also be a Photo that is open already."""
        control = SCRATCHES.sensitivity
        sensitivity = control.checked(control.default if sensitivity is None else sensitivity)
        opened = self.opener.open(photo, self.max_pixels)
        _, network = self._served(SCRATCHES.name)
        return find(opened, network, self.compute_on, float(sensitivity or 0))

    def cost(self, *files: Any, scale: int = 1, by_turns: bool = False) -> int:
        """What these photos and masks, as paths or bytes, take in memory while they are worked on."""
        cost = expected_bytes(files, scale, self.max_pixels)
        return cost + min(LARGEST_BLOCK, TURNING * cost) if by_turns else cost

    @contextmanager
    def place(self, *files: Any, scale: int = 1, asker: Asker | None = None, by_turns: bool = False) -> Iterator[None]:
        """Waits for a place to work on these photos and masks in: BusyError where too many wait already."""
        with self.admission.place(self.cost(*files, scale=scale, by_turns=by_turns), asker):
            yield

    def steps(self, task: str, photo: Any, mask: Any = None, **controls: Any) -> Iterator[Progress | Restoration]:
        """As `restore`, yielding Progress before the first and after each tile, and the Restoration last.

        Closing the iterator stops the work at the next tile.
        """
        work = self._prepared(task, photo, mask, controls)
        yield from middle_filled(work, self.tile)
        started = time.monotonic()
        yield from cleaning.cleaned_first(work)
        tiles = yield from (by_turns if work.task.by_turns else tile_by_tile)(work, self.tile)
        yield Restoration(
            photo=work.photo.with_pixels(work.result, work.wraps),
            observed=work.photo,
            mask=work.mask,
            task=task,
            controls=dict(work.controls),
            checkpoint={name: getattr(work.checkpoint, name) for name in ("name", "sha256", "source")},
            seconds=time.monotonic() - started,
            tiles=tiles,
            device=self.compute_on.device,
            precision=self.compute_on.precision,
            notes=(*work.photo.notes, *work.notes),
            saw=work.saw,
        )

    def _prepared(self, name: str, source: Any, mask_source: Any, given: Mapping[str, Any]) -> Work:
        """Everything that can be refused is refused here, before work starts."""
        task = self.task(name)
        controls = task.checked(given)
        photo = self.opener.open(source, self.max_pixels)
        scale = task.scale(controls)
        result_pixels = photo.height * photo.width * scale**2
        if self.max_pixels and result_pixels > self.max_pixels:
            raise PhotoError(
                f"×{scale} of {photo.width}×{photo.height} is {result_pixels / 1e6:.1f} MP, but at most "
                f"{self.max_pixels / 1e6:g} MP are made here: choose a smaller scale or photo"
            )
        mask: np.ndarray | None = None
        notes: tuple[str, ...] = ()
        if mask_source is not None:
            mask, notes = self.opener.read_mask(mask_source, photo.height, photo.width, self.max_pixels, photo)
            notes += coverage(mask)
        weight = task.hole_weight(mask, controls)
        seen = visible(photo.alpha)
        controls, saw = self.settled(task, controls, photo)
        controls, refused = cleaning.possible(task, controls, self.weights.names())
        checkpoint, network = self._served(task.weights(controls))
        if weight is not None and seen is not None and (unseen := (~seen & (weight > 0)).sum()):
            share = max(1, round(100 * unseen / (weight > 0).sum()))
            notes += (f"{share} % of what was filled in is transparent in the photo, and stays so",)
        work = Work(
            task, controls, photo, mask, weight, seen, network, checkpoint, self.compute_on, notes=[*notes], saw=saw
        )
        work.notes += refused
        if task.cleaning(controls) and task.strength(controls):
            cleaner, cleaning_network = self._served(cleaning.CLEANER)
            work.cleaner = cleaning.cleaner(work, cleaner, cleaning_network, self.judged(photo))
        return work

    def settled(self, task: Task, controls: dict[str, Any], photo: Photo) -> tuple[dict[str, Any], str]:
        """As `chosen`, with every automatic control estimated, too."""
        asked, saw = self.chosen(task, controls, photo)
        controls = task.settled(photo.pixels, asked, visible(photo.alpha))
        return controls, saw or task.found(asked, controls)

    def chosen(self, task: Task, controls: dict[str, Any], photo: Photo) -> tuple[dict[str, Any], str]:
        """Checked `controls` of one of `self.task`'s with a network in the place of AUTO, and in words what it was
        chosen by: empty where there was no choice, or nothing to choose by."""
        if controls["variant"] != AUTO:
            return controls, ""
        harm = self.judged(photo) if task.differs(controls) else None
        controls = task.choosing(controls, harm)
        able, _ = cleaning.possible(task, controls, self.weights.names())
        return controls, "" if harm is None else task.saw(able, harm)

    def judged(self, photo: Photo) -> Harm | None:
        """What harms a photo where it is visible; None where there are no weights that could tell."""
        if JUDGE not in self.weights.names():
            return None
        _, network = self._served(JUDGE)
        return self._judgements.of(photo, network)

    def network(self, name: str) -> nn.Module:
        """The one that serves `name` now, to look at. CheckpointError if none does."""
        return self._served(name)[1]

    def _served(self, name: str) -> tuple[Checkpoint, nn.Module]:
        with self._loading:
            if name not in self._serving:
                checkpoint = self.weights.load(name)
                self._serving = {**self._serving, name: (checkpoint, self._network(checkpoint))}
            return self._serving[name]

    def _network(self, checkpoint: Checkpoint) -> nn.Module:
        network = checkpoint.network()
        require_fed(checkpoint, network)
        if checkpoint.name == JUDGE:  # on the processor: it is small, and what it says is no picture
            return network
        return giving_way(self.compute_on.network(network))


def _checked_tile(tile: str | int) -> str | int:
    if tile == "auto":
        return tile
    try:
        size = int(tile)
    except ValueError:
        size = 0
    if size < SMALLEST_TILE:
        raise ControlError(f"tile is {tile!r}, but it must be auto or a whole number of pixels from {SMALLEST_TILE} on")
    return size
