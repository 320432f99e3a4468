"""What was measured to be fastest, kept in a file, so that the next process need not measure.

In `folder`/compute.json, which may hold several machines' choices, or, without a folder, in the user's cache. It can
be deleted at any time; one that cannot be read or written only costs another measurement.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from deconvdemo.atomic import WriteError, write_atomically
from deconvdemo.engine.compute import LAYOUTS, PRECISIONS, Compute

FILE = "compute.json"
VERSION = 1  # of how it is measured: a choice of another version is not taken
LARGEST = 1_000_000  # bytes: ours has a few hundred
MOST = 50  # machines


def kept(device: str, key: str, folder: Path | None) -> Compute | None:
    """The choice for a fingerprint; None if there is none, or none that makes sense."""
    entry = _entries(_file(folder)).get(key)
    if not isinstance(entry, dict) or entry.get("device") != device:
        return None
    precision, layout, why = (entry.get(name) for name in ("precision", "layout", "why"))
    if not all(isinstance(told, str) and told.isprintable() for told in (precision, layout, why)):
        return None
    if precision not in PRECISIONS or layout not in LAYOUTS:
        return None
    return Compute(device, str(precision), str(why)[:200], str(layout))


def keep(choice: Compute, key: str, folder: Path | None) -> None:
    """Adds a choice to the file. Where nothing can be written, the next process measures anew."""
    file = _file(folder)
    if file is None:
        return
    entries = _entries(file)
    entries.pop(key, None)
    entries = dict(list(entries.items())[-MOST:])
    mine = {name: getattr(choice, name) for name in ("device", "precision", "layout", "why")}
    text = json.dumps({"version": VERSION, "choices": {**entries, key: mine}}, indent=2, ensure_ascii=False)
    with contextlib.suppress(WriteError):
        write_atomically(file, f"{text}\n".encode())


def _file(folder: Path | None) -> Path | None:
    if folder is not None:
        return folder / FILE
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deconvdemo" / FILE
    except RuntimeError:  # Python's word for a user without a home
        return None


def _entries(file: Path | None) -> dict[str, Any]:
    try:
        if file is None or file.stat().st_size > LARGEST:
            return {}
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    choices = found.get("choices") if isinstance(found, dict) and found.get("version") == VERSION else None
    return choices if isinstance(choices, dict) else {}
