"""The one thread of this process that computes.

Two computations at once on two cores slow each other about tenfold (each brings its own team of OpenMP threads and
they wait for each other at barriers), so every tile of every visitor goes through this thread. Tiles of several
visitors take turns: a small photo does not wait for large ones to end, nor a large one for a stream of small ones.

A tile of a large photo may take ten seconds where a processor is slow, so between two layers of a network (`give_way`)
it lets others pass who had less, and ends if nobody waits for it any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import nn

from deconvdemo.errors import LeftError

Result = TypeVar("Result")


LONGEST = 10.0  # seconds after which whoever waits goes first, whatever it has had; and that a tile lends to others


class Share:
    """What one restoration has had of the thread: those with the least so far go first. `left`: nobody wants it now."""

    def __init__(self, left: Callable[[], bool] = lambda: False) -> None:
        self.seconds = 0.0
        self.left = left


@dataclass(eq=False)
class Job:
    function: Callable[[], Any]
    share: Share
    since: float
    done: Future = field(default_factory=Future)
    begun: float = 0.0
    lent: float = 0.0  # seconds of it that others had


class Worker:
    """One thread, and who waits for it."""

    def __init__(self, longest: float = LONGEST) -> None:
        self.longest = longest
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: list[Job] = []  # in the order in which they came
        self._under_way: list[Job] = []  # the first, and whom it lets pass
        # a new thread has OpenMP's own number of threads until torch is asked for the one that was set
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="compute", initializer=torch.get_num_threads)

    def compute(self, function: Callable[[], Result], share: Share | None = None) -> Result:
        job = Job(function, share or Share(), time.monotonic())
        with self._lock:
            self._waiting.append(job)
            if not self._busy:
                self._busy = True
                self._executor.submit(self._run_all)
        return job.done.result()

    def give_way(self) -> None:
        """Between two layers of what is computed. LeftError if nobody waits for it any more."""
        if len(self._under_way) != 1:  # not two deep: each keeps its memory
            return
        job = self._under_way[0]
        if job.share.left():
            raise LeftError
        if not self._waiting or job.lent >= self.longest:
            return
        begun = time.monotonic()
        with self._lock:
            least = min(self._waiting, key=lambda one: one.share.seconds)
            if least.share.seconds >= job.share.seconds + begun - job.begun - job.lent:
                return
            self._waiting.remove(least)
        with ExitStack() as plainly:
            for device in ("cpu", "cuda", "mps"):
                if torch.is_autocast_enabled(device):  # the other one says itself what it wants
                    plainly.enter_context(torch.autocast(device, enabled=False))
            self._run(least)
        job.lent += time.monotonic() - begun

    def _run_all(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)

    def _next(self) -> Job | None:
        """Whoever had least so far, unless somebody waits for too long."""
        with self._lock:
            if not self._waiting:
                self._busy = False
                return None
            too_long = time.monotonic() - self._waiting[0].since > self.longest
            least = min(range(len(self._waiting)), key=lambda i: self._waiting[i].share.seconds)
            return self._waiting.pop(0 if too_long else least)

    def _run(self, job: Job) -> None:
        job.begun = time.monotonic()
        self._under_way.append(job)
        result: Any = None
        failure: BaseException | None = None
        try:
            result = job.function()
        except BaseException as error:  # noqa: BLE001 (it is raised where it was asked for)
            failure = error
        self._under_way.pop()
        job.share.seconds += time.monotonic() - job.begun - job.lent
        if failure is None:
            job.done.set_result(result)
        else:
            job.done.set_exception(failure)


_lock = threading.Lock()
_worker: Worker | None = None


def compute(function: Callable[[], Result], share: Share | None = None) -> Result:
    """Runs `function` on the compute thread and returns, or raises, what it does. `share` is its restoration's."""
    global _worker
    with _lock:
        if _worker is None:
            _worker = Worker()
    return _worker.compute(function, share)


def giving_way(network: nn.Module) -> nn.Module:
    """`network`, which lets others pass between its layers while it runs on the compute thread."""

    def between(layer: nn.Module, inputs: Any) -> None:
        if _worker is not None and threading.current_thread().name.startswith("compute"):
            _worker.give_way()

    for layer in network.modules():
        if not any(True for _ in layer.children()):
            layer.register_forward_pre_hook(between)
    return network
