"""The one thread of this process that computes.

Two computations at once on two cores slow each other about tenfold (each brings its own team of OpenMP threads and
they wait for each other at barriers), so every tile of every visitor goes through this thread. Tiles of several
visitors take turns: a small photo does not wait for a large one to end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

_lock = threading.Lock()
_executor: ThreadPoolExecutor | None = None


def compute(function: Callable[[], Result]) -> Result:
    """Runs `function` on the compute thread and returns, or raises, what it does."""
    global _executor
    with _lock:
        if _executor is None:
            _executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compute")
    return _executor.submit(function).result()
