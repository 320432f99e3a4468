"""The one thread of this process that computes.

Two computations at once on two cores slow each other about tenfold (each brings its own team of OpenMP threads and
they wait for each other at barriers), so every tile of every visitor goes through this thread. Tiles of several
visitors take turns: a small photo does not wait for large ones to end, nor a large one for a stream of small ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")


LONGEST = 10.0  # seconds after which whoever waits goes first, whatever it has had


class Share:
    """What one restoration has had of the thread: those with the least so far go first."""

    def __init__(self) -> None:
        self.seconds = 0.0


class Worker:
    """One thread, and who waits for it."""

    def __init__(self, longest: float = LONGEST) -> None:
        self.longest = longest
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: list[tuple[Share, float, threading.Event]] = []  # in the order in which they came, and when
        # a new thread has OpenMP's own number of threads until torch is asked for the one that was set
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="compute", initializer=torch.get_num_threads)

    def compute(self, function: Callable[[], Result], share: Share | None = None) -> Result:
        share, turn = share or Share(), threading.Event()
        with self._lock:
            self._waiting.append((share, time.monotonic(), turn))
            if not self._busy:
                self._next()
        turn.wait()
        begun = time.monotonic()
        try:
            return self._executor.submit(function).result()
        finally:
            with self._lock:
                share.seconds += time.monotonic() - begun
                self._next()

    def _next(self) -> None:
        """Whoever had least so far, unless somebody waits for too long."""
        self._busy = bool(self._waiting)
        if self._waiting:
            _, since, _ = self._waiting[0]
            least = min(range(len(self._waiting)), key=lambda i: self._waiting[i][0].seconds)
            _, _, turn = self._waiting.pop(0 if time.monotonic() - since > self.longest else least)
            turn.set()


_lock = threading.Lock()
_worker: Worker | None = None


def compute(function: Callable[[], Result], share: Share | None = None) -> Result:
    """Runs `function` on the compute thread and returns, or raises, what it does. `share` is its restoration's."""
    global _worker
    with _lock:
        if _worker is None:
            _worker = Worker()
    return _worker.compute(function, share)
