"""Weights take each other's place: the candidate's file, a line of history, and last, at once, the index.

    index.json      name → file that serves
    shadow.json     name → candidate that stands in duels beside it, and serves nobody
    history.json    every promotion and rollback, the newest last

Killed at any moment, the index names a file that is there: the one before, or the new one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deconvdemo.checkpoints import Checkpoint, load_checkpoint, write_atomically
from deconvdemo.errors import CheckpointError
from deconvdemo.weights_index import INDEX, SHADOW, Entry, read_index, shadows, write_index

HISTORY = "history.json"
PROMOTED, ROLLED_BACK = "promoted", "rolled back"


def promote(file: Path, folder: Path, facts: Mapping[str, Any]) -> Checkpoint:
    """Makes the weights of `file` serve in `folder`. `facts`, JSON-able, go into the history: why it may."""
    candidate = load_checkpoint(file)
    entries = read_index(folder / INDEX)
    before = entries.get(candidate.name)
    if before and before.sha256 == candidate.sha256:
        raise CheckpointError(f"{file} serves as {candidate.name} already")
    entry = _placed(file, candidate, folder)
    _note(folder, PROMOTED, candidate.name, entry, before, facts)
    write_index(folder, {**entries, candidate.name: entry})
    if shadows(folder).get(candidate.name) == entry:
        withdraw(folder, candidate.name)
    return candidate


def shadow(file: Path, folder: Path) -> Checkpoint:
    """Lets the weights of `file` stand in duels: visitors compare them with what serves, and are served by none."""
    candidate = load_checkpoint(file)
    serving = read_index(folder / INDEX).get(candidate.name)
    if serving is None:
        raise CheckpointError(f"{folder} serves no {candidate.name}: there is nothing to compare {file} with")
    if serving.sha256 == candidate.sha256:
        raise CheckpointError(f"{file} serves as {candidate.name} already")
    write_index(folder, {**shadows(folder), candidate.name: _placed(file, candidate, folder)}, SHADOW)
    return candidate


def withdraw(folder: Path, name: str) -> Entry:
    """Takes a candidate out of the duels; its file stays. CheckpointError if there is none of that name."""
    entries = shadows(folder)
    if name not in entries:
        raise CheckpointError(f"no candidate of {name} stands in duels here: {', '.join(entries) or 'none'} does")
    gone = entries.pop(name)
    write_index(folder, entries, SHADOW)
    return gone


def _placed(file: Path, candidate: Checkpoint, folder: Path) -> Entry:
    """The candidate's file beside those that serve."""
    place = folder / f"{candidate.name}-{candidate.sha256[:12]}.safetensors"
    if not (place.exists() and load_checkpoint(place).sha256 == candidate.sha256):
        write_atomically(place, file.read_bytes())
    return Entry(place.name, candidate.sha256)


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
    return read_history(path) if path.exists() else []


def read_history(path: Path, label: str = "") -> list[dict[str, Any]]:
    """The lines of a history.json. Raises CheckpointError, naming `label` or the path, for anything else."""
    try:
        lines = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(lines, list) and all(isinstance(line, dict) for line in lines)):
            raise ValueError("a list of lines was expected")
        return lines
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{label or path} is not a history of weights ({error}): restore it, or remove it"
        ) from None


def learned_from(lines: Sequence[Mapping[str, Any]], sha256: str) -> set[str] | None:
    """The flags that weights learned from, also those that the weights they were made from had learned from, by the
    lines of a history; None where it does not say."""
    for place, line in enumerate(lines):
        if line["sha256"] == sha256 and line["what"] == PROMOTED:
            parent = (line.get("before") or {}).get("sha256", "")
            earlier = learned_from(lines[:place], parent) if line.get("flags") else None
            return set(line.get("learned") or ()) | (earlier or set())
    return None


def versions(lines: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    """Every promotion, with what people call the weights: "denoise v2" took the first weights' place."""
    number: Counter[str] = Counter()
    found = []
    for line in lines:
        if line["what"] == PROMOTED:
            number[line["name"]] += 1
            found.append((line, f"{line['name']} v{number[line['name']] + 1}"))
    return found


def version(lines: Iterable[Mapping[str, Any]], name: str, sha256: str) -> str:
    """What people call these weights; "denoise" alone where they were never promoted, nor others in their place."""
    promoted = [(line, called) for line, called in versions(lines) if line["name"] == name]
    first = promoted[:1] and (promoted[0][0].get("before") or {}).get("sha256") == sha256
    called = [called for line, called in promoted if line["sha256"] == sha256]
    return called[-1] if called else f"{name} v1" if first else name


def helped_train(lines: Iterable[Mapping[str, Any]], flag_id: str) -> list[str]:
    """What learned from a flag, the oldest first, as people call it."""
    return [called for line, called in versions(lines) if flag_id in (line.get("learned") or ())]


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
