"""The Restorer: a photo and controls in, a restored photo and an account of how it was made out."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.checkpoints.serving import OneNetwork, Weights
from deconvdemo.engine import device as devices
from deconvdemo.engine.admission import Admission, Asker, expected_bytes, leaving, still_wanted
from deconvdemo.engine.coarse_to_fine import halved, middle_of, with_middle
from deconvdemo.engine.tiles import Tile, plan
from deconvdemo.engine.work import Work
from deconvdemo.engine.worker import Share, compute, giving_way
from deconvdemo.errors import ControlError, DeviceError, PhotoError
from deconvdemo.image.alpha import visible
from deconvdemo.image.apart import OWN_FILES, Pool
from deconvdemo.image.mask_reading import coverage
from deconvdemo.image.photo import Photo
from deconvdemo.image.writing import to_pillow, write_photo
from deconvdemo.tasks import TASKS, Task, in_words

LARGEST_TILE = 1024  # pixels a side of the result: about a second's work, and under 1 GB, on two cores
SMALLEST_TILE = 32


@dataclass(frozen=True)
class Progress:
    """`done` of `total` tiles are computed; `seconds_left` is None until the first is."""

    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True)
class Restoration:
    """What came out, what went in, and how: everything that a person, a file or a flag needs to know of it."""

    photo: Photo
    observed: Photo
    mask: np.ndarray | None
    task: str
    controls: dict[str, Any]
    checkpoint: dict[str, str]  # name, sha256 and source of the weights
    seconds: float
    tiles: int
    device: str
    precision: str
    notes: tuple[str, ...] = ()
    restoration_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def image(self) -> Image.Image:
        """The restored photo as an 8-bit Pillow image."""
        return to_pillow(self.photo)

    def save(self, path: str | Path) -> Path:
        """Writes the restored photo, in the format of the suffix, with the profile, EXIF and depth that came in."""
        return write_photo(self.photo, path)

    def summary(self) -> str:
        """How it was made, as one line for a person."""
        settled = "".join(f"{setting}, " for setting in in_words(self.controls))
        tiles = "1 tile" if self.tiles == 1 else f"{self.tiles} tiles"
        return (
            f"{self.photo.width}×{self.photo.height}, {settled}{self.seconds:.1f} s, {tiles}, "
            f"{self.device} {self.precision}, {self.checkpoint['name']} {self.checkpoint['sha256'][:8]} "
            f"({self.checkpoint['source']})"
        )

    def report(self) -> dict[str, Any]:
        """How it was made, as JSON-able values."""
        return {
            "restoration_id": self.restoration_id,
            "task": self.task,
            **self.controls,
            "width": self.photo.width,
            "height": self.photo.height,
            "seconds": round(self.seconds, 3),
            "tiles": self.tiles,
            "device": self.device,
            "precision": self.precision,
            "checkpoint": self.checkpoint,
            "notes": list(self.notes),
        }


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
        return cls(OneNetwork(checkpoint), compute_on, tile, max_pixels, opener)  # type: ignore[arg-type]

    def swap(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Serves these from the next restoration on; those under way end with the weights they began with."""
        built = {name: (checkpoint, self._network(checkpoint)) for name, checkpoint in checkpoints.items()}
        with self._loading:
            self._serving = {**self._serving, **built}

    def task(self, name: str) -> Task:
        """The task of this name with the variants that there are weights for. ControlError for an unknown name."""
        if name not in TASKS:
            raise ControlError(f"there is no task {name!r}: choose one of {', '.join(TASKS)}")
        return TASKS[name].offering(self.weights.names(), self.weights.asked_for())

    def restore(self, task: str, photo: Any, mask: Any = None, **controls: Any) -> Restoration:
        """Restores a photo: a path, bytes, a Pillow image, or a uint8, uint16 or float array (H, W, C).

        `controls` are the task's (`TASKS[task].controls`): sigma in 8-bit grey levels, scale, strength in [0, 1],
        variant ("standard", or another one of the task's networks), …
        Raises PhotoError and ControlError before any work starts, and DeviceError where this machine cannot do it.

        >>> Restorer.load().restore("upscale", "cat.png", scale=2).save("cat-large.png")  # doctest: +SKIP
        """
        *_, restoration = self.steps(task, photo, mask, **controls)
        assert isinstance(restoration, Restoration)
        return restoration

    def cost(self, *files: Any, scale: int = 1) -> int:
        """What these photos and masks, as paths or bytes, take in memory while they are worked on."""
        return expected_bytes(files, scale, self.max_pixels)

    @contextmanager
    def place(self, *files: Any, scale: int = 1, asker: Asker | None = None) -> Iterator[None]:
        """Waits for a place to work on these photos and masks in: BusyError where too many wait already."""
        with self.admission.place(self.cost(*files, scale=scale), asker):
            yield

    def steps(self, task: str, photo: Any, mask: Any = None, **controls: Any) -> Iterator[Progress | Restoration]:
        """As `restore`, yielding Progress before the first and after each tile, and the Restoration last.

        Closing the iterator stops the work at the next tile.
        """
        work = self._prepared(task, photo, mask, controls)
        yield from self._filled_from_coarse(work)
        height, width = work.photo.height, work.photo.width
        size = (LARGEST_TILE // work.scale) if self.tile == "auto" else int(self.tile)

        radius = int(work.network.radius) + work.task.reach  # type: ignore[arg-type]
        stride = math.lcm(int(work.network.stride), work.task.grid)  # type: ignore[arg-type]

        def tiles(area: Tile | None = None) -> list[Tile]:
            return plan(height, width, size, radius, stride, area, work.wraps)

        started, done, waiting, share = time.monotonic(), 0, tiles(), Share(leaving())
        yield Progress(0, len(waiting))
        while waiting:
            still_wanted()
            tile = waiting.pop(0)
            try:
                compute(partial(work.run, tile), share)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                size = _halved(tile, error)
                waiting = tiles(tile) + waiting
                work.note(f"memory ran short: went on with tiles of {size} pixels")
                continue
            done += 1
            seconds_left = (time.monotonic() - started) / done * len(waiting)
            yield Progress(done, done + len(waiting), seconds_left)
        yield Restoration(
            photo=work.photo.with_pixels(work.result, work.wraps),
            observed=work.photo,
            mask=work.mask,
            task=task,
            controls=dict(work.controls),
            checkpoint={name: getattr(work.checkpoint, name) for name in ("name", "sha256", "source")},
            seconds=time.monotonic() - started,
            tiles=done,
            device=self.compute_on.device,
            precision=self.compute_on.precision,
            notes=(*work.photo.notes, *work.notes),
        )

    def _filled_from_coarse(self, work: Work) -> Iterator[Progress]:
        """Fills the middle of holes that are too deep for the network, in a copy of half the size."""
        if work.weight is None or not work.task.strength(work.controls):
            return
        holes = work.weight > 0
        middle = middle_of(holes)
        smaller = halved(work.colours, holes) if middle is not None else None
        if middle is None or smaller is None:
            return
        small, lost = smaller
        plainly = {"grow": 0, "feather": 0, "strength": 1.0}
        for step in self.steps(work.task.name, small, lost, **{**work.controls, **plainly}):
            if isinstance(step, Progress):
                yield step
            else:
                work.middle, work.shown = middle, with_middle(work.colours, middle, step.photo.pixels)

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
        controls = task.settled(photo.pixels, controls, seen)
        checkpoint, network = self._served(task.weights(controls))
        if weight is not None and seen is not None and (unseen := (~seen & (weight > 0)).sum()):
            share = max(1, round(100 * unseen / (weight > 0).sum()))
            notes += (f"{share} % of what was filled in is transparent in the photo, and stays so",)
        return Work(task, controls, photo, mask, weight, seen, network, checkpoint, self.compute_on, notes=[*notes])

    def _served(self, name: str) -> tuple[Checkpoint, nn.Module]:
        with self._loading:
            if name not in self._serving:
                checkpoint = self.weights.load(name)
                self._serving = {**self._serving, name: (checkpoint, self._network(checkpoint))}
            return self._serving[name]

    def _network(self, checkpoint: Checkpoint) -> nn.Module:
        return giving_way(self.compute_on.network(checkpoint.network()))


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


def _halved(tile: Tile, error: BaseException) -> int:
    """Half the side of a tile that did not fit into memory. Raises what is not about memory, or cannot be helped."""
    text = str(error).lower()
    # the CPU's allocator has no error of its own; other subclasses of RuntimeError are not about memory either
    about_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "memory" in text or "alloc" in text
    if not about_memory:
        raise error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    side = max(tile.core_rows.stop - tile.core_rows.start, tile.core_columns.stop - tile.core_columns.start)
    if side // 2 < SMALLEST_TILE:
        raise DeviceError(
            f"out of memory even with tiles of {side} pixels: close other programs or use a smaller photo"
        ) from error
    return side // 2
