"""How old kept files are, whatever happens to the clock, and the clock that takes the old ones away.

A file's time is the machine's, which may be set. So its age is taken from that once, when it is first seen, and from
then on by a clock that nobody sets: what this process keeps goes in time, not earlier and not later. Of what an earlier
process has left there is the file's time alone: if the clock was set forward meanwhile it goes early, and if it was set
back, it goes at the latest when its time has passed since the next start.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GONE = "this photo is no longer kept here: upload it again"

log = logging.getLogger(__name__)


def _steady() -> float:
    """Seconds since some moment, sleep of the machine included where it can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Ages:
    """The ages of files and folders that may get `hours` old. Safe to use from many threads."""

    def __init__(self, hours: float, steady: Callable[[], float] = _steady, wall: Callable[[], float] = time.time):
        self.seconds = hours * 3600
        self._steady, self._wall = steady, wall
        self._ahead = wall() - steady()
        self._lock = threading.Lock()
        self._born: dict[tuple[str, int], float] = {}  # by path and inode, by the clock that nobody sets

    def age(self, path: Path) -> float:
        """In seconds. OSError where there is nothing."""
        facts = path.stat()
        key = (str(path), facts.st_ino)
        now = self._steady() + self._ahead
        with self._lock:
            if key in self._born:
                self._born[key] = min(self._born[key], facts.st_mtime)
            else:
                self._born[key] = now - max(0.0, self._wall() - facts.st_mtime)
                with suppress(OSError):  # so that the next process, too, counts from here
                    os.utime(path, (self._born[key], self._born[key]))
            return now - self._born[key]

    def left(self, path: Path) -> float:
        """For how many seconds it stays; 0 for what is too old, or gone."""
        try:
            return max(0.0, self.seconds - self.age(path))
        except OSError:
            return 0.0

    def over(self, path: Path) -> bool:
        """Whether it is too old, or gone."""
        return self.left(path) == 0.0

    def forget_gone(self) -> None:
        """Forgets what is no longer there."""
        with self._lock:
            paths = {path for path, _ in self._born}
        gone = {path for path in paths if not os.path.lexists(path)}
        with self._lock:
            self._born = {key: born for key, born in self._born.items() if key[0] not in gone}

    @property
    def every(self) -> float:
        """Seconds between two sweeps."""
        return max(0.5, min(60.0, self.seconds / 10))


@dataclass(frozen=True)
class Sweeper:
    """Takes away what is too old."""

    ages: Ages
    sweeps: tuple[Callable[[], None], ...]

    def sweep(self) -> None:
        for one in self.sweeps:
            try:
                one()
            except OSError as error:
                log.warning("old photos could not be removed: %s", error)
        self.ages.forget_gone()

    def start(self, goes_on: Callable[[], bool]) -> None:
        """Sweeps now and then, behind the demo, as long as it `goes_on`."""

        def run() -> None:
            while goes_on():
                time.sleep(self.ages.every)
                self.sweep()

        threading.Thread(target=run, name="sweeping", daemon=True).start()
