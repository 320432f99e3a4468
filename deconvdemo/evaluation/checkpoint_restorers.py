"""Restorers of weights that do not serve: of a release that was, and of a candidate that may come."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.engine.restorer import Restorer

KEPT = 4


class CheckpointRestorers:
    """The restorers asked for last, by the sha256 of their weights; each computes as the demo's own does."""

    def __init__(self, serves: Restorer):
        self.serves = serves
        self._kept: OrderedDict[str, Restorer] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, sha256: str, load: Callable[[], Checkpoint]) -> Restorer:
        """`load` gives the weights, if they are not in memory; what it raises is raised."""
        with self._lock:
            if sha256 not in self._kept:
                serves = self.serves
                alone = Restorer.of(load(), serves.compute_on, serves.tile, serves.max_pixels, serves.opener)
                alone.admission = serves.admission  # one door for all that computes here
                self._kept[sha256] = alone
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(sha256)
            return self._kept[sha256]
