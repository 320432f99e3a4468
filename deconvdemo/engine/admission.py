"""Who may compute now: places and memory are shared out here, and nothing computes in the demo without a place.

Photos wait in two lines. The large ones (those that cost more than `small` bytes) may take half of the places and a
stated part of the memory, and come in their order; so there is always room for small ones, which pass by them. Within a
line those come first who have the fewest places already.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from deconvdemo.errors import BusyError, LeftError
from deconvdemo.image.header import Facts
from deconvdemo.image.recognition import stated

PLACES = 4
ROOM = 24  # how many may wait in each line
MEMORY = 2_300_000_000  # bytes of the large ones under way, beside the demo's own gigabyte; one alone may take more
SMALL = 150_000_000  # bytes: about 3 MP
EACH = 10_000_000  # bytes of any work, beside its photos
ENCODER = 20  # bytes a pixel, of the observed and of the restored photo, that their encoders take, side by side
UNKNOWN = 50_000_000  # pixels of a photo whose file does not say it
PATIENCE = 0.2  # seconds between two looks whether whoever waits has left

_C = ctypes.CDLL(None) if os.name == "posix" else None
Step = TypeVar("Step")
Who = tuple[str, str]  # a visitor's network address, and which one of its visitors


def expected_bytes(files: Iterable[Any], scale: int = 1, max_pixels: int | None = None) -> int:
    """What these photos and masks, as paths, bytes or arrays, take in memory while they are worked on.

    None counts nothing.
    """
    total = EACH
    for file in files:
        size = stated(file) if isinstance(file, str | os.PathLike | bytes) else None
        size = Facts(file.shape[1], file.shape[0], 1) if isinstance(file, np.ndarray) else size
        if file is None or (size and max_pixels and size.pixels > max_pixels):
            continue  # will be refused before it is decoded
        size = size or Facts(max_pixels or UNKNOWN, 1)  # so it waits until it is the only large one
        total += (size.bytes + ENCODER * size.pixels) * (1 + scale**2)
    return total


def _give_memory_back() -> None:
    """Of what a large photo took the allocator keeps some, which the next one may not find: to the system with it."""
    if _C is not None and hasattr(_C, "malloc_trim"):  # glibc's alone
        _C.malloc_trim(0)


def _stays() -> bool:
    return False


@dataclass(frozen=True)
class Asker:
    """For whom something is computed, and whether they have left."""

    who: Who = ("", "")
    left: Callable[[], bool] = _stays

    def or_left(self, also: Callable[[], bool]) -> Asker:
        """The same one, who has left also when `also` says so."""
        return Asker(self.who, lambda: also() or self.left())


_asker: ContextVar[Asker] = ContextVar("asker", default=Asker())  # noqa: B039 (it is frozen)


@contextmanager
def asked_by(asker: Asker) -> Iterator[None]:
    """What this thread computes within is for them: it ends at the next tile, or layer, when they have left."""
    token = _asker.set(asker)
    try:
        yield
    finally:
        _asker.reset(token)


def each_for(asker: Asker, steps: Iterator[Step]) -> Iterator[Step]:
    """`steps`, each of them made for this asker, on whatever thread it is asked for."""
    while True:
        with asked_by(asker):
            try:
                step = next(steps)
            except StopIteration:
                return
        yield step


def leaving() -> Callable[[], bool]:
    """Tells whether whoever this thread computes for now has left: for other threads."""
    return _asker.get().left


def still_wanted() -> None:
    """LeftError if whoever this thread computes for has left."""
    if leaving()():
        raise LeftError


@dataclass(eq=False)
class Seat:
    """In a line, then in a place."""

    cost: int
    who: Who
    admitted: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> bool:
        return self.admitted.wait(seconds)


class Admission:
    """The places of one demo. Safe to use from many threads. No thread may ask for a second place while it has one."""

    def __init__(self, places: int = PLACES, room: int = ROOM, memory: int = MEMORY, small: int = SMALL):
        self.places, self.room, self.memory, self.small = places, room, memory, small
        self._lock = threading.Lock()
        self._waiting: list[Seat] = []  # in the order in which they came
        self._under_way: list[Seat] = []

    @contextmanager
    def asking(self, cost: int, who: Who = ("", "")) -> Iterator[Seat]:
        """A seat that is to be waited for; it is given back in the end. BusyError where too many wait already."""
        seat = Seat(cost, who)
        with self._lock:
            self._refuse_if_full(seat)
            self._waiting.append(seat)
            self._let_in()
        try:
            yield seat
        finally:
            if self._is_large(seat) and seat in self._under_way:
                _give_memory_back()
            with self._lock:
                (self._under_way if seat in self._under_way else self._waiting).remove(seat)
                self._let_in()

    @contextmanager
    def place(self, cost: int, asker: Asker | None = None) -> Iterator[None]:
        """Waits for a place for the asker, or for whoever this thread computes for. LeftError if they leave."""
        with asked_by(asker or _asker.get()), self.asking(cost, _asker.get().who) as seat:
            while not seat.wait(PATIENCE):
                still_wanted()
            still_wanted()
            yield

    def under_way(self) -> int:
        with self._lock:
            return len(self._under_way)

    def _is_large(self, seat: Seat) -> bool:
        return seat.cost > self.small

    def _refuse_if_full(self, seat: Seat) -> None:
        """A line is full for a visitor who has half of it, and for a network that has three quarters, before others."""
        line = [one for one in self._waiting if self._is_large(one) == self._is_large(seat)]
        same = sum(one.who == seat.who for one in line)
        near = sum(one.who[0] == seat.who[0] for one in line)
        if len(line) >= self.room or same >= self.room // 2 or near >= self.room * 3 // 4:
            raise BusyError("many photos are waiting here already: try again in a minute")

    def _let_in(self) -> None:
        """Gives the free places away; the lock is held."""
        for large in (False, True):
            while seat := self._first(large):
                if not self._fits(seat):
                    break
                self._waiting.remove(seat)
                self._under_way.append(seat)
                seat.admitted.set()

    def _first(self, large: bool) -> Seat | None:
        networks, visitors = (
            Counter(key(one) for one in self._under_way) for key in (lambda one: one.who[0], lambda one: one.who)
        )
        line = [one for one in self._waiting if self._is_large(one) == large]
        return min(line, key=lambda one: (networks[one.who[0]], visitors[one.who]), default=None)

    def _fits(self, seat: Seat) -> bool:
        if len(self._under_way) >= self.places:
            return False
        large = [one for one in self._under_way if self._is_large(one)]
        if not self._is_large(seat):
            # a stream of small ones leaves one place to the large one that waits
            kept_free = not large and self._first(large=True) is not None
            return len(self._under_way) < self.places - kept_free
        room = self.memory - sum(one.cost for one in large)
        return not large or (len(large) < self.places // 2 and seat.cost <= room)
