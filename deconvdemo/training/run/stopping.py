"""Ctrl-C and SIGTERM while a network trains: a wish that is granted between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Stopping:
    """`asked` turns true when the process is told to stop while the `with` block runs.

    A second Ctrl-C ends it at once, unless a launcher started it: launchers repeat the signal that they got.
    """

    def __init__(self, launched: bool = False):
        self.asked = False
        self._launched = launched
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # the only one that signals come to
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self._launched:
            signal.signal(number, self._before[number])  # type: ignore[arg-type]
