"""How often a password may be tried: ever more slowly from one address, and slowly from all together.

Nobody is shut out for ever: a wait ends, and a browser that has signed in before waits for its own wrong attempts
alone. What is remembered is bounded. An attempt counts before the password is looked at, so that many at once are no
way around it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from cachetools import LRUCache

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.store.addresses import visitor_of

FREE = 3  # attempts of one address before it has to wait
LONGEST_WAIT = 300.0  # seconds, after many wrong ones from one address
FORGOTTEN = 3600.0  # seconds without an attempt after which an address begins anew
BURST, SECONDS_EACH = 20, 2.0  # attempts of all addresses together: so many at once, then one in so many seconds
REMEMBERED = 10_000  # addresses that were wrong


class Tries:
    """The attempts of one process. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: LRUCache[str, tuple[int, float]] = LRUCache(REMEMBERED)  # how many, and when the last was
        self._left, self._at = float(BURST), clock()

    def begin(self, address: str, browser: str = "") -> None:
        """Counts an attempt. FeedbackError, saying how long to wait, for one that comes too early.

        `browser` names one that was right before.
        """
        who, now = browser or visitor_of(address), self._clock()
        with self._lock:
            wrong, last = self._wrong.get(who, (0, now))
            if now - last > FORGOTTEN:
                wrong = 0
            self._left = min(float(BURST), self._left + (now - self._at) / SECONDS_EACH)
            self._at = now
            wait = last + _pause(wrong) - now if wrong else 0.0
            if not browser:
                wait = max(wait, (1 - self._left) * SECONDS_EACH)
            if wait > 0:
                raise FeedbackError(
                    f"too many passwords were tried: wait {math.ceil(wait)} second{'s' * (wait > 1)}, then try again"
                )
            if not browser:
                self._left -= 1
            self._wrong[who] = (wrong + 1, now)

    def right(self, address: str, browser: str = "") -> None:
        """The attempt was right: it counts no more."""
        with self._lock:
            self._wrong.pop(browser or visitor_of(address), None)
            if not browser:
                self._left = min(float(BURST), self._left + 1)


def _pause(wrong: int) -> float:
    """Seconds after so many wrong attempts in a row: 0, 0, 2, 4, 8, …"""
    return 0.0 if wrong < FREE else min(LONGEST_WAIT, 2.0 ** min(wrong - FREE + 1, 20))
