"""The first thing a client process does, before anything of the Hub's client is imported: it reads HF_* but once."""

from __future__ import annotations

import gc
import os


def become(environment: dict[str, str]) -> None:
    gc.set_threshold(100_000)  # nearly all that is made here is imported, and stays: its search takes long
    os.environ.update(environment)
