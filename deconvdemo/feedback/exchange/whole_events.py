"""What an export for another program has beside that program's own files: every event whole, so that it can come back.

deconvdemo.jsonl      one event a line: its kind, and the dataset's columns, an image as the path of its file
more/                 the images that the other program's files do not have
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from deconvdemo.bounded import BoundsError, clipped, parsed_json, read_file
from deconvdemo.errors import DatasetError, DeconvdemoError, FeedbackError
from deconvdemo.feedback.dataset.rows import dataset_row, event_of
from deconvdemo.feedback.events.records import MAX_IMAGE_BYTES, Event
from deconvdemo.feedback.store.kinds import KINDS, kind_of
from deconvdemo.hub.inside import file_inside
from deconvdemo.image.apart import STRANGERS

FILE, MORE = "deconvdemo.jsonl", "more"
MAX_PIXELS = 100_000_000  # of an image
LONGEST_LINE = 2_000_000  # bytes: a comment, controls and a checkpoint as long as they may be


class WholeEvents:
    """Writes them. `folder` is the export's."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._file = (folder / FILE).open("w", encoding="utf-8")

    def add(self, event: Event, there: Mapping[str, str] | None = None) -> None:
        """`there`: role → path in the folder, of the images that are in it already."""
        kind, names = kind_of(event), dict(there or {})
        row = dataset_row(kind, event)
        for role, data in event.images.items():
            if role not in names:
                names[role] = f"{MORE}/{row[role]['path']}"
                (self.folder / MORE).mkdir(exist_ok=True)
                (self.folder / names[role]).write_bytes(data)
        row |= {**names, "created_at": event.created_at.isoformat()}
        self._file.write(json.dumps({"kind": kind.name, **row}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


def whole_events(folder: Path, refuse: Callable[[object], None]) -> Iterator[tuple[str, Event]]:
    """(where, event) of each line; what is none is told to `refuse`. Nothing of it is trusted."""
    with (folder / FILE).open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            where = f"line {number} of {FILE}"
            if len(line) > LONGEST_LINE:
                refuse(f"{where} has more than {LONGEST_LINE:,} bytes: what follows is not read")
                return
            try:
                event = _event(folder, line)
            except (DeconvdemoError, BoundsError, OSError, ValueError) as error:
                refuse(f"{where}: {error}")
            else:
                yield where, event


def _event(folder: Path, line: bytes) -> Event:
    row = parsed_json(line)
    kind = KINDS.get(str(row.pop("kind", ""))) if isinstance(row, dict) else None
    if kind is None:
        raise FeedbackError("it is none of " + ", ".join(KINDS))
    for role in kind.roles:
        if row.get(role) is not None:
            row[role] = {"bytes": _image(folder, row[role])}
    row["created_at"] = datetime.fromisoformat(str(row.get("created_at")))
    return event_of(kind, row)


def _image(folder: Path, name: Any) -> bytes:
    if not isinstance(name, str):
        raise DatasetError(f"{clipped(name)} names no image")
    data = read_file(file_inside(folder, name), MAX_IMAGE_BYTES)
    STRANGERS.open(data, MAX_PIXELS)  # whoever reads it later does so without a guard
    return data
