"""OUT.log.jsonl: how a run went, a line of JSON now and then, so that it can be plotted while it runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from deconvdemo.atomic import WriteError, write_atomically
from deconvdemo.errors import TrainingError


class Log:
    """Appends lines about a run that goes on from `step`.

    Lines of later steps, which a run wrote that was then resumed from before them, never happened: they are removed.
    """

    def __init__(self, file: Path, step: int):
        self.file = file
        rows = read_log(file) if file.exists() else []
        kept = [row for row in rows if row["step"] <= step]
        self.run = 1 + max((row.get("run", 1) for row in kept), default=0)
        if kept != rows:
            try:
                write_atomically(file, "".join(_line(row) for row in kept).encode())
            except WriteError as error:
                raise TrainingError(f"{error}: make room, or name another --out") from error

    def write(self, row: dict[str, Any]) -> None:
        """A line: `row`, which has the step, with the time (UTC) and which of the resumed runs writes it (1, 2, …)."""
        row = {**row, "run": self.run, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        try:
            with self.file.open("a") as out:
                out.write(_line(row))
        except OSError as error:
            raise TrainingError(
                f"{self.file} cannot be written ({error.strerror}): make room, then --resume the last state"
            ) from error


def read_log(file: Path) -> list[dict[str, Any]]:
    """The lines of a log. What is no line of a log, such as half a line after a crash, is left out."""
    rows = []
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError as error:
        raise TrainingError(f"{file} cannot be read ({error.strerror}): give a .log.jsonl file") from error
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
