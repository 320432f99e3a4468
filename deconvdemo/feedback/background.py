"""Work behind the demo: piece by piece, with rests between, because visitors come first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from deconvdemo.errors import DeconvdemoError
from deconvdemo.heartbeat import Look

PAUSE = 5.0  # seconds between two looks for something to do
REST = 4.0  # times as long as a piece took

log = logging.getLogger(__name__)


def in_background(name: str, piece: Callable[[], object], trouble: str, look: Look) -> None:
    """Starts a daemon thread that calls `piece` now and then, and again as long as there was something to do.

    What goes wrong is logged as `trouble`, once and not every few seconds, and tried again; `look` tells of it.
    """

    def run() -> None:
        said = ""
        while True:
            time.sleep(PAUSE)
            try:
                begun = time.monotonic()
                while piece():
                    look.took_place()
                    time.sleep(REST * (time.monotonic() - begun))
                    begun = time.monotonic()
                said = ""
            except DeconvdemoError as error:
                if str(error) != said:
                    log.warning("%s: %s", trouble, error)
                said = str(error)
            except Exception as error:  # nobody foresaw it: the next look may do better, and the thread must not end
                found = f"unexpected {type(error).__name__}, see the log"
                if found != said:
                    log.exception("%s", trouble)
                said = found
            look.took_place(said)

    threading.Thread(target=run, name=name, daemon=True).start()
