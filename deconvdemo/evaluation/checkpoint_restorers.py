"""Restorers of weights that do not serve: of a release that was, and of a candidate that may come."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cachetools import LRUCache

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.engine.restorer import Restorer

KEPT = 4


class CheckpointRestorers:
    """The restorers asked for last, by the sha256 of their weights; each computes as the demo's own does."""

    def __init__(self, serves: Restorer):
        self.serves = serves
        self._kept: LRUCache[str, Restorer] = LRUCache(KEPT)
        self._lock = threading.Lock()

    def of(self, sha256: str, load: Callable[[], Checkpoint]) -> Restorer:
        """`load` gives the weights, if they are not in memory; what it raises is raised."""
        with self._lock:
            if (alone := self._kept.get(sha256)) is None:
                serves = self.serves
                alone = Restorer.of(load(), serves.compute_on, serves.tile, serves.max_pixels, serves.opener)
                alone.admission = serves.admission  # one door for all that computes here
                self._kept[sha256] = alone
            return alone
