"""A few warm children, the places for those who wait, and what each file may use."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import socket
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from deconvdemo.errors import PhotoError
from deconvdemo.image import mask_reading, recognition
from deconvdemo.image.header import Facts
from deconvdemo.image.photo import Photo
from deconvdemo.image.reading import Source, opened, read_photo

if TYPE_CHECKING:
    from deconvdemo.image.apart.process import Allowance, Child

log = logging.getLogger(__name__)

_CAN_SEND_FILES = hasattr(socket, "send_fds") and bool(sys.executable)
# what reading takes beside the pixels: libraries' tables, and the stacks of decoders' threads
_MEMORY, _MEMORY_A_CORE = 192_000_000, 16_000_000
_COPIES, _LEAST_BYTES = 4, 4  # of the decoded samples, at most at one moment; Pillow has 4 bytes a pixel of colour
_COPIES_OF_FILE = 3
_SECONDS, _SECONDS_A_MB, _SECONDS_A_MB_OF_FILE = 1.0, 0.05, 0.01
_UNKNOWN = Facts(4000, 4000)  # for a header that does not tell


@dataclass(frozen=True)
class DecodingLimits:
    """`memory` is for one file, `together` for all that are read at once: large ones leave `small` of it to others."""

    places: int
    memory: int
    together: int
    small: int
    seconds: float
    patience: float  # seconds to wait for a place
    generous: float = 1.0  # times what a photo of its size should need

    def of(self, facts: Facts | None, file_bytes: int) -> Allowance:
        from deconvdemo.image.apart.process import Allowance

        facts = facts or _UNKNOWN
        samples = max(facts.bytes, _LEAST_BYTES * facts.pixels)
        memory = _MEMORY + _MEMORY_A_CORE * min(32, os.cpu_count() or 1)
        memory += _COPIES * samples + _COPIES_OF_FILE * file_bytes
        seconds = _SECONDS + _SECONDS_A_MB * samples / 1e6 + _SECONDS_A_MB_OF_FILE * file_bytes / 1e6
        return Allowance(min(self.memory, int(self.generous * memory)), min(self.seconds, self.generous * seconds))


class Pool:
    """Opens files in children, started at need and kept. Safe to use from many threads, and after a fork."""

    def __init__(self, limits: DecodingLimits):
        self.limits = limits
        self._changed = threading.Condition()
        self._idle: list[Child] = []
        self._held: list[int] = []  # bytes, of each file that is being read
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_forget, weakref.ref(self)))

    def open(self, source: Source, max_pixels: int | None = None) -> Photo:
        """As `read_photo`; a path or a file's bytes are decoded in another process."""
        if not _CAN_SEND_FILES or not isinstance(source, bytes | bytearray | memoryview | str | os.PathLike):
            return read_photo(source, max_pixels)
        with _opened(source) as (file, name):
            form, facts = recognition.looked_at(file, name, max_pixels)
            allowed = self.limits.of(facts, os.fstat(file.fileno()).st_size)
            with self._place(allowed.memory):
                photo = self._photo(file, name, form, max_pixels, allowed)
        return photo.in_range()

    def read_mask(
        self, source: Source, height: int, width: int, max_pixels: int | None = None, observed: Photo | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """As `mask_reading.read_mask`."""
        is_mask = isinstance(source, np.ndarray) and source.dtype == bool
        source = source if is_mask else self.open(source, max_pixels)
        return mask_reading.read_mask(source, height, width, max_pixels, observed)

    def warm(self) -> None:
        """Starts a child in the background, if there is none, for the first photo not to wait for it."""
        if _CAN_SEND_FILES and not self._idle:
            threading.Thread(target=self._start, daemon=True).start()

    def close(self) -> None:
        """Ends the children that wait."""
        with self._changed:
            idle, self._idle = self._idle, []
        for child in idle:
            child.kill()

    def _start(self) -> None:
        from deconvdemo.image.apart.process import Child

        try:
            self._put_back(Child())
        except PhotoError as error:
            log.warning("%s", error)

    def _photo(self, file: BinaryIO, name: str, form: str, max_pixels: int | None, allowed: Allowance) -> Photo:
        from deconvdemo.image.apart.process import Child, GoneError

        while child := self._waiting():
            try:
                return child.photo(file, name, form, max_pixels, allowed)
            except GoneError:
                continue
            finally:
                self._put_back(child)
        child = Child()
        try:
            return child.photo(file, name, form, max_pixels, allowed)
        except GoneError as error:
            raise PhotoError(f"the process that reads photos ended before it read {name}: try again") from error
        finally:
            self._put_back(child)

    def _waiting(self) -> Child | None:
        with self._changed:
            return self._idle.pop() if self._idle else None

    def _put_back(self, child: Child) -> None:
        if child.usable:
            with self._changed:
                if len(self._idle) < self.limits.places:
                    self._idle.append(child)
                    return
        child.kill()

    @contextlib.contextmanager
    def _place(self, memory: int) -> Iterator[None]:
        ends = time.monotonic() + self.limits.patience
        with self._changed:
            while not self._fits(memory):
                if not self._changed.wait(ends - time.monotonic()) and time.monotonic() >= ends:
                    raise PhotoError("too many photos are being opened at once: try again in a minute")
            self._held.append(memory)
        try:
            yield
        finally:
            with self._changed:
                self._held.remove(memory)
                self._changed.notify_all()

    def _fits(self, memory: int) -> bool:
        limits, large = self.limits, [held for held in self._held if held > self.limits.small]
        if len(self._held) >= limits.places:
            return False
        if memory > limits.small:  # large ones leave a place, and room, to small ones
            return not large or (
                sum(large) + memory <= limits.together - limits.small and len(large) < limits.places - 1
            )
        return not self._held or sum(self._held) + memory <= limits.together


def _forget(reference: weakref.ref[Pool]) -> None:
    """In a process that was forked: the children belong to the other one."""
    if pool := reference():
        pool._changed, pool._idle, pool._held = threading.Condition(), [], []


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[tuple[BinaryIO, str]]:
    """A file that can be handed on, and its name."""
    if isinstance(source, str | os.PathLike):
        with opened(source) as (file, name):
            yield file, name
        return
    from deconvdemo.image.apart.blocks import block_of_memory

    with block_of_memory() as block:
        left = memoryview(source)  # type: ignore[arg-type]
        while left:
            left = left[os.write(block, left) :]
        with open(block, "rb", closefd=False) as file:
            yield file, "the photo"


STRANGERS = Pool(
    DecodingLimits(
        places=3, memory=1_350_000_000, together=1_900_000_000, small=500_000_000, seconds=9.0, patience=30.0
    )
)
OWN_FILES = Pool(
    DecodingLimits(
        places=max(2, os.cpu_count() or 1), memory=1 << 50, together=1 << 52, small=1 << 50, seconds=3600.0,
        patience=3600.0, generous=8.0,
    )
)  # fmt: skip
