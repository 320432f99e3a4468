"""Restoring flags again: with the weights that serve now, or with exactly those of a release."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint
from deconvdemo.engine.restoration import Restoration
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import BusyError, CheckpointError, ControlError, DeconvdemoError, DeviceError, PhotoError
from deconvdemo.evaluation.checkpoint_restorers import CheckpointRestorers
from deconvdemo.evaluation.lineage import note
from deconvdemo.feedback.background import in_background
from deconvdemo.feedback.events.imagefile import rgb_pixels
from deconvdemo.feedback.events.records import StoredFlag
from deconvdemo.feedback.review.replays import Due, Replays
from deconvdemo.feedback.store.blobs import DamagedBlobError
from deconvdemo.feedback.store.lease import Lease
from deconvdemo.heartbeat import Look
from deconvdemo.image.lossless import lossless
from deconvdemo.image.mask_reading import open_mask
from deconvdemo.image.metrics import LARGEST
from deconvdemo.tasks import AUTO, STANDARD, TASKS

HOPELESS = (CheckpointError, ControlError, DamagedBlobError, DeviceError, PhotoError)  # trying again changes nothing

log = logging.getLogger(__name__)

State = tuple[dict[str, str], int, int]  # which weights serve, and how many flags and verdicts there are


def run_again(
    restorer: Restorer, flag: StoredFlag, changed: Mapping[str, Any] | None = None, mask: Any = None
) -> Restoration:
    """A flag's photo restored with its own controls and mask, but for those that are `changed`."""
    task = restorer.task(flag.task)
    known = {control.name for control in task.controls}
    controls = {name: value for name, value in flag.controls.items() if name in known}
    if task.variant.default == AUTO:  # flags from before there were variants are of the standard network
        controls = {"variant": STANDARD, **controls}
    mask = flag.mask if mask is None else mask
    return restorer.restore(flag.task, flag.observed, mask, **{**controls, **(changed or {})})


def scale_of(flag: StoredFlag) -> int:
    """How many times larger a flag's result is than its photo."""
    scale = flag.controls.get("scale")
    return int(scale) if isinstance(scale, int | float) and scale >= 1 else 1


def figures(restorer: Restorer, flag: StoredFlag, target: bytes) -> tuple[float, float]:
    """PSNR in dB of the flagged result and of the restorer's own. PhotoError if they cannot be compared."""
    clean, flagged = rgb_pixels(target), rgb_pixels(flag.restored)
    now = rgb_pixels(lossless(run_again(restorer, flag).photo))  # as the flagged one was stored
    if not clean.shape == flagged.shape == now.shape:
        sizes = " and ".join(f"{one.shape[1]}×{one.shape[0]}" for one in (clean, flagged, now))
        raise PhotoError(f"its target, its result and the one of now are {sizes}: they cannot be compared")
    holes = None if flag.mask is None else open_mask(flag.mask, *now.shape[:2])
    scale = int(flag.controls.get("scale") or 1)

    def judged(pixels: np.ndarray) -> float:
        try:
            return min(TASKS[flag.task].psnr(pixels, clean, scale, holes), LARGEST)
        except ValueError as error:
            raise PhotoError(f"it cannot be judged: {error}") from None

    return judged(flagged), judged(now)


class ReleaseRestorers:
    """Restorers by the sha256 of their weights: of those that serve, and of older ones that are still on this disk."""

    def __init__(self, restorer: Restorer):
        self.serves = restorer
        self._alone = CheckpointRestorers(restorer)

    def serving(self) -> dict[str, str]:
        """Name → sha256; names whose weights cannot serve are left out."""
        weights, found = self.serves.weights, {}
        for name in weights.names():
            try:
                found[name] = weights.sha256(name)
            except CheckpointError:
                continue  # the demo's foot says what is wrong with it
        return found

    def here(self, name: str, sha256: str) -> bool:
        """Whether these weights can still restore."""
        return self.serving().get(name) == sha256 or self.serves.weights.past(sha256) is not None

    def checkpoint(self, name: str, sha256: str) -> Checkpoint:
        weights = self.serves.weights
        if self.serving().get(name) == sha256 and (found := weights.load(name)).sha256 == sha256:
            return found
        if file := weights.past(sha256):
            return load_checkpoint(file, sha256, says="its history")
        raise CheckpointError(
            f"the weights {name} {sha256[:12]} are not here any more: their figures stand, but no pictures can be made"
        )

    def restorer(self, name: str, sha256: str) -> Restorer:
        """One that restores with these weights alone. CheckpointError if they are not here any more."""
        return self._alone.of(sha256, lambda: self.checkpoint(name, sha256))


class Replayer:
    """Replays the flags for the weights that serve: in one go, or behind the demo."""

    def __init__(self, replays: Replays, past: ReleaseRestorers):
        self.replays, self.past = replays, past
        self.look = Look()
        self._lease = Lease(replays.store, "replays")  # of several demos with one database one replays
        self._waiting: Iterator[Due] | None = None
        self._began: State | None = None  # with what state of things the round under way began
        self._over: State | None = None  # and the last one that came to its end
        self._hopeless: set[Due | str] = set()  # flags, and weights by their sha256

    def start(self) -> None:
        in_background("replays", self.piece, "flags are not replayed", self.look)

    def all(self) -> tuple[int, list[str]]:
        """Replays all that is left: how many flags, and a sentence for each that could not be."""
        done, refused = 0, []
        for due in self.replays.due(self.past.serving()):
            try:
                self.replay(due)
                done += 1
            except HOPELESS as error:
                refused.append(f"flag {due.flag_id}: {error}")
        return done, refused

    def piece(self) -> bool:
        """Replays one flag; False as long as there is nothing to do."""
        try:
            return self._next()
        except BusyError:
            self._waiting = None  # visitors come first: it is found again
            return False
        except DeconvdemoError:
            self._waiting = None  # an iterator that has failed would say that it is at its end
            raise

    def replay(self, due: Due) -> None:
        """Restores one flag again and notes the figures."""
        store = self.replays.store
        restorer = self.past.restorer(due.name, due.sha256)
        note(store, restorer.weights.load(due.name))
        flag = store.get(due.flag_id)
        target = store.blobs.read(due.target)
        with self.past.serves.place(flag.observed, flag.restored, target, scale=scale_of(flag)):
            self.replays.note(due, *figures(restorer, flag, target))

    def _next(self) -> bool:
        serving = self.past.serving()
        if self._waiting is None or self._began is None or self._began[0] != serving:
            totals = self.replays.store.totals()
            state = serving, totals["flags"], totals["verdicts"]
            if state == self._over or not self._lease.take():
                return False
            self._waiting, self._began = self.replays.due(serving), state
        due = next(self._waiting, None)
        if due is None:
            self._waiting, self._over = None, self._began
            self._lease.release()
            return False
        if not self._lease.take():  # this was too slow, and another demo has gone on
            self._waiting = None
            return False
        if not {due, due.sha256} & self._hopeless:
            try:
                self.replay(due)
            except HOPELESS as error:
                self._hopeless.add(due.sha256 if isinstance(error, CheckpointError) else due)
                log.warning("flag %s cannot be replayed by %s: %s", due.flag_id, due.name, error)
        return True
