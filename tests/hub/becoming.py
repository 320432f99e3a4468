"""The first thing a client process does, before anything of the Hub's client is imported: it reads HF_* but once."""

from __future__ import annotations

import os


def become(environment: dict[str, str]) -> None:
    os.environ.update(environment)
