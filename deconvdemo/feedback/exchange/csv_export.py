"""The stored feedback as tables for a spreadsheet, with the images in files beside them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

from deconvdemo.feedback.dataset.rows import dataset_row
from deconvdemo.feedback.exchange.export import ExportReport
from deconvdemo.feedback.exchange.new_folder import new_folder
from deconvdemo.feedback.exchange.selection import Selection
from deconvdemo.feedback.exchange.whole_events import WholeEvents
from deconvdemo.feedback.store.kinds import KINDS, Kind
from deconvdemo.feedback.store.store import FeedbackStore

# what makes a cell a formula, in Excel, LibreOffice or Sheets; also behind the spaces that they ignore, and in
# the full width that some of them take for the same (OWASP, CSV injection)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


def safe_cell(value: Any) -> str:
    """The text of a cell that no spreadsheet takes for a formula: `'` stands before what could be one."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" \u00a0\ufeff").startswith(_FORMULA) or text[:1] in _FORMULA else text


def export_csv(
    store: FeedbackStore,
    folder: Path,
    flag_ids: Iterable[str] | None = None,
    reader: str = "",
    everything: bool = False,
) -> ExportReport:
    """Writes flags.csv, verdicts.csv and votes.csv, UTF-8 with a byte order mark, and their images in images/.

    What is taken along says Selection; `feedback import` takes it back. Raises FeedbackError for nothing to write, a
    folder that is not new or empty, or a disk that is full.
    """
    chosen, damaged = Selection.of(store, flag_ids, reader, everything), list[str]()
    with new_folder(folder) as partial:
        with closing(WholeEvents(partial)) as whole:
            counts = {kind.name: _write(kind, partial, damaged, chosen, whole) for kind in KINDS.values()}
        size = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
    counts = {kind: count for kind, count in counts.items() if count}
    return ExportReport(folder, counts, len(counts), size, tuple(damaged))


def _write(kind: Kind, folder: Path, damaged: list[str], chosen: Selection, whole: WholeEvents) -> int:
    rows = 0
    events = chosen.events(kind.name, damaged)
    first = next(events, None)
    if first is None:
        return 0
    with (folder / f"{kind.name}.csv").open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        for event in chain([first], events):
            row = dataset_row(kind, event)
            for role in kind.roles:
                if row[role]:
                    (folder / "images" / row[role]["path"]).write_bytes(row[role]["bytes"])
                    row[role] = f"images/{row[role]['path']}"
            whole.add(event, {role: row[role] for role in kind.roles if row[role]})
            if "reasons" in row:
                row["reasons"] = " ".join(row["reasons"])
            if not rows:
                table.writerow(row)
            table.writerow([safe_cell(value) for value in row.values()])
            rows += 1
    return rows
