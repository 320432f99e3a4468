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

import torch

Result = TypeVar("Result")

_lock = threading.Lock()
_executor: ThreadPoolExecutor | None = None


def compute(function: Callable[[], Result]) -> Result:
    """Runs `function` on the compute thread and returns, or raises, what it does."""
    global _executor
    with _lock:
        if _executor is None:
            # a new thread has OpenMP's own number of threads until torch is asked for the one that was set
            _executor = ThreadPoolExecutor(1, thread_name_prefix="compute", initializer=torch.get_num_threads)
    return _executor.submit(function).result()
