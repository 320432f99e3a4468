"""The photos that pages have open: decoded when they are opened, and not again when they are restored.

One for each tab of a page. They stay in memory until the tab has another one or none, their file goes, nobody has asked
for them for IDLE seconds, or others need the room. Whoever asks for one that is not there any more has it decoded anew.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from deconvdemo.image.apart import STRANGERS
from deconvdemo.image.photo import Photo

MOST = 200_000_000  # bytes of all, of the demo's own gigabyte beside the admission's: one photo of 50 MP and 8 bits
IDLE = 900.0  # seconds

Tab = tuple[str | None, str]  # a page's session, and the task


@dataclass(frozen=True)
class _Open:
    path: str
    version: tuple[int, int, int] | None  # of the file, by which another one in its place is known
    photo: Photo
    since: float  # when it was last asked for

    @property
    def bytes(self) -> int:
        return self.photo.pixels.nbytes + (0 if self.photo.alpha is None else self.photo.alpha.nbytes)


class OpenPhotos:
    """Safe to use from many threads. It asks no admission: who opens has a place already."""

    def __init__(self, most: int = MOST, idle: float = IDLE, clock: Callable[[], float] = time.monotonic):
        self._most, self._idle, self._clock = most, idle, clock
        self._lock = threading.Lock()
        self._open: OrderedDict[Tab, _Open] = OrderedDict()  # the last one asked for comes last

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in [*self._open.values()])

    def open(self, tab: Tab, path: str, max_pixels: int | None = None) -> Photo:
        """The photo in this file, which is the tab's from now on. Raises PhotoError, in one sentence, for none."""
        version, before = _version(path), self.close(tab)
        same = before is not None and version is not None and (before.path, before.version) == (path, version)
        photo = before.photo if before is not None and same else STRANGERS.open(path, max_pixels)
        with self._lock:
            self._open[tab] = _Open(path, version, photo, self._clock())
            while self.bytes > self._most:
                self._open.popitem(last=False)
        return photo

    def close(self, tab: Tab) -> _Open | None:
        """The tab has another photo, or none."""
        with self._lock:
            return self._open.pop(tab, None)

    def sweep(self) -> None:
        """Forgets those that nobody has asked for, and those whose file is gone."""
        with self._lock:
            for tab, one in [*self._open.items()]:
                if self._clock() - one.since > self._idle or _version(one.path) != one.version:
                    del self._open[tab]


def _version(path: str) -> tuple[int, int, int] | None:
    """None where there is nothing."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
