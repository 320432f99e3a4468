"""Weights take each other's place: the candidate's file, a line of history, and last, at once, the index.

    index.json      name → file that serves
    history.json    every promotion and rollback, the newest last

Killed at any moment, the index names a file that is there: the one before, or the new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deconvdemo.checkpoints import Checkpoint, load_checkpoint, write_atomically
from deconvdemo.errors import CheckpointError
from deconvdemo.weights_index import INDEX, Entry, read_index, write_index

HISTORY = "history.json"
PROMOTED, ROLLED_BACK = "promoted", "rolled back"


def promote(file: Path, folder: Path, facts: Mapping[str, Any]) -> Checkpoint:
    """Makes the weights of `file` serve in `folder`. `facts`, JSON-able, go into the history: why it may."""
    candidate = load_checkpoint(file)
    entries = read_index(folder / INDEX)
    before = entries.get(candidate.name)
    if before and before.sha256 == candidate.sha256:
        raise CheckpointError(f"{file} serves as {candidate.name} already")
    place = folder / f"{candidate.name}-{candidate.sha256[:12]}.safetensors"
    if not (place.exists() and load_checkpoint(place).sha256 == candidate.sha256):
        write_atomically(place, file.read_bytes())
    entry = Entry(place.name, candidate.sha256)
    _note(folder, PROMOTED, candidate.name, entry, before, facts)
    write_index(folder, {**entries, candidate.name: entry})
    return candidate


def rollback(folder: Path, name: str) -> Entry:
    """Undoes the promotion that made what serves `name` now. CheckpointError if there was none, or its file is gone."""
    entries = read_index(folder / INDEX)
    if name not in entries:
        raise CheckpointError(f"{folder} has no weights for {name}: it has {', '.join(entries)}")
    serving = entries[name]
    made = [line for line in history(folder) if line["name"] == name and line["sha256"] == serving.sha256]
    if not made or not made[-1].get("before"):
        raise CheckpointError(f"{name} {serving.sha256[:12]} took nothing's place here: there is nothing to go back to")
    before = Entry(**made[-1]["before"])
    place = folder / before.file
    if not before.repo and (not place.exists() or load_checkpoint(place).sha256 != before.sha256):
        raise CheckpointError(f"{place} is not there any more, or not what it was: {name} stays as it is")
    _note(folder, ROLLED_BACK, name, before, _before(folder, name, before), {"from": serving.sha256})
    write_index(folder, {**entries, name: before})
    return before


def history(folder: Path) -> list[dict[str, Any]]:
    """Every promotion and rollback, the oldest first."""
    path = folder / HISTORY
    if not path.exists():
        return []
    try:
        return list(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is not a history of weights ({error}): restore it, or remove it") from None


def learned_from(lines: Sequence[Mapping[str, Any]], sha256: str) -> set[str] | None:
    """The flags that weights learned from, also those that the weights they were made from had learned from, by the
    lines of a history; None where it does not say."""
    for place, line in enumerate(lines):
        if line["sha256"] == sha256 and line["what"] == PROMOTED:
            parent = (line.get("before") or {}).get("sha256", "")
            earlier = learned_from(lines[:place], parent) if line.get("flags") else None
            return set(line.get("learned") or ()) | (earlier or set())
    return None


def past_file(folder: Path, sha256: str) -> Path | None:
    """The file of weights that serve or have served in `folder`, if it is still there."""
    lines = history(folder)
    known = [line for line in lines if line["sha256"] == sha256]
    known += [line["before"] for line in lines if line.get("before") and line["before"]["sha256"] == sha256]
    files = [folder / Path(line["file"]).name for line in known]
    return next((file for file in files if file.is_file()), None)


def _before(folder: Path, name: str, entry: Entry) -> Entry | None:
    """What an entry itself had taken the place of, so that one can go back further."""
    made = [line for line in history(folder) if line["name"] == name and line["sha256"] == entry.sha256]
    return Entry(**made[0]["before"]) if made and made[0].get("before") else None


def _note(folder: Path, what: str, name: str, entry: Entry, before: Entry | None, facts: Mapping[str, Any]) -> None:
    line = {
        "what": what,
        "name": name,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        **asdict(entry),
        "before": asdict(before) if before else None,
        **facts,
    }
    text = json.dumps([*history(folder), line], indent=1, ensure_ascii=False) + "\n"
    write_atomically(folder / HISTORY, text.encode())
