"""Ctrl-C, SIGTERM and the end of the time while a network trains: a wish that is granted between two steps."""

from __future__ import annotations

import math
import signal
import threading
import time
from types import FrameType

from deconvdemo.errors import TrainingError


class Stopped(TrainingError):
    """A run that was asked to stop, and can go on."""


class Stopping:
    """`asked` turns true when the process is told to stop while the `with` block runs, or at `until`, in seconds of
    time.monotonic().

    A second Ctrl-C ends it at once, unless a launcher started it: launchers repeat the signal that they got.
    """

    def __init__(self, launched: bool = False, until: float = math.inf):
        self._told = False
        self._launched, self._until = launched, until
        self._before: dict[int, object] = {}

    @property
    def asked(self) -> bool:
        return self._told or time.monotonic() >= self._until

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # the only one that signals come to
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._told = True
        if not self._launched:
            signal.signal(number, self._before[number])  # type: ignore[arg-type]
