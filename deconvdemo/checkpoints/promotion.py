"""Weights take each other's place: the candidate's file, a line of history, and last, at once, the index.

    index.json      name → file that serves
    shadow.json     name → candidate that stands in duels beside it, and serves nobody
    history.json    every promotion and rollback, the newest last: what, when, which weights by their sha256, what they
                    took the place of, and what was measured; what weights come from their headers tell

Killed at any moment, the index names a file that is there: the one before, or the new one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deconvdemo.bounded import clipped, parsed_json, read_file
from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint
from deconvdemo.checkpoints.file import read_weights, write_file
from deconvdemo.checkpoints.index import INDEX, SHADOW, Entry, read_index, shadows, write_index
from deconvdemo.digests import sha256_of
from deconvdemo.errors import CheckpointError

HISTORY = "history.json"
PROMOTED, ROLLED_BACK = "promoted", "rolled back"
LARGEST_HISTORY = 20_000_000  # bytes: a line of an earlier version names every flag that was learned from
MOST_LINES = 5_000


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
        data = read_weights(file)
        if sha256_of(data) != candidate.sha256:
            raise CheckpointError(f"{file} changed while it was read: nothing serves anew, so give the command again")
        write_file(place, data)
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
        lines = parsed_json(read_file(path, LARGEST_HISTORY), most_values=1_000_000)
        if not isinstance(lines, list) or len(lines) > MOST_LINES:
            raise ValueError(f"a list of at most {MOST_LINES:,} lines was expected")
        for line in lines:
            _require_line(line)
        return lines
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{label or path} is not a history of weights ({clipped(str(error))}): restore it, or remove it"
        ) from None


def _require_line(line: Any) -> None:
    """ValueError for what is no line of a history: somebody else may have written it."""
    if not isinstance(line, dict):
        raise ValueError("a list of lines was expected")
    if not all(isinstance(line.get(word), str) and len(line[word]) <= 200 for word in ("what", "name", "sha256")):
        raise ValueError("a line does not say what became of which weights")
    if not isinstance(line.get("when", ""), str) or not isinstance(line.get("file", ""), str):
        raise ValueError("a line has a date or a file that is none")
    before, learned = line.get("before"), line.get("learned")
    try:
        if before is not None:
            Entry.read(before)
    except TypeError:
        raise ValueError("a line does not say what served before") from None
    if not isinstance(learned or [], list) or not all(isinstance(flag_id, str) for flag_id in learned or ()):
        raise ValueError("a line does not say which flags were learned from")


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
    write_file(folder / HISTORY, text.encode())
