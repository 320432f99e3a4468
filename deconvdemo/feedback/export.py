"""The stored flags as a Hugging Face dataset in a folder: parquet with the images in it, and a card."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.blobs import DamagedBlobError, make_folder, sync
from deconvdemo.feedback.dataset import MARK, dataset_card, flag_features, flag_row
from deconvdemo.feedback.records import StoredFlag
from deconvdemo.feedback.store import FeedbackStore

if TYPE_CHECKING:
    import pyarrow

PARTIAL = ".partial-"  # what an export writes until it is complete
FEW_VALUES = ["task", "app_version"]  # worth a dictionary; building one of images would only cost


@dataclass(frozen=True)
class Limits:
    """The size of a piece: a row group is what the Hub's viewer loads at once, and what memory holds here."""

    rows_a_group: int = 100
    bytes_a_group: int = 64_000_000
    rows_a_shard: int = 5_000
    bytes_a_shard: int = 500_000_000


LIMITS = Limits()


@dataclass(frozen=True)
class ExportReport:
    """What was written; `damaged` has a sentence for each flag left out because its images are."""

    folder: Path
    rows: int
    shards: int
    bytes: int
    damaged: tuple[str, ...] = ()


def export_dataset(store: FeedbackStore, folder: Path, limits: Limits = LIMITS) -> ExportReport:
    """Writes the flags so that `datasets.load_dataset(str(folder), "flags")` opens them, images unchanged.

    An earlier export in the folder is replaced once the new one is complete; other files beside it stay.
    Raises FeedbackError for an empty store, a folder with something else in it, or a disk that is full.
    """
    folder = Path(folder).absolute()
    try:
        _require_ours(folder)
        if next(store.flag_ids(), None) is None:
            raise FeedbackError(f"there is nothing to export: no flag has been saved in {store.folder} yet")
        make_folder(folder)
        partial = folder / f"{PARTIAL}{uuid4().hex}"
        partial.mkdir()
        try:
            report = _write_shards(store, folder, partial / "flags", limits)
            _put_in_place(folder, partial, report.rows)
        finally:
            for left in folder.glob(f"{PARTIAL}*"):  # also an earlier, killed export's
                shutil.rmtree(left, ignore_errors=True)
        return report
    except OSError as error:
        raise FeedbackError(
            f"{folder} cannot be written ({error.strerror or error}): make room, or choose another folder"
        ) from error


def _require_ours(folder: Path) -> None:
    """A folder that an export may fill: absent, empty, or with the card of an earlier export."""
    if folder.exists() and not folder.is_dir():
        raise FeedbackError(f"{folder} is a file: choose a folder for the dataset")
    if not folder.exists() or all(entry.name.startswith(PARTIAL) for entry in folder.iterdir()):
        return
    card = folder / "README.md"
    if not card.is_file() or MARK not in card.read_text(encoding="utf-8", errors="replace"):
        raise FeedbackError(f"{folder} has other files in it: choose an empty folder or an earlier export")


def _write_shards(store: FeedbackStore, folder: Path, shards: Path, limits: Limits) -> ExportReport:
    from pyarrow.parquet import ParquetWriter

    damaged: list[str] = []
    tables = _tables(_readable(store, damaged), limits)
    table = next(tables, None)
    if table is None:
        raise FeedbackError(f"there is nothing to export, every flag is damaged: {damaged[0]}")
    shards.mkdir()
    files: list[Path] = []
    rows = 0
    while table is not None:
        files.append(shards / f"flags-{len(files):05}.parquet")
        rows_here = bytes_here = 0
        with ParquetWriter(files[-1], table.schema, use_dictionary=FEW_VALUES, write_page_index=True) as writer:
            while table is not None and rows_here < limits.rows_a_shard and bytes_here < limits.bytes_a_shard:
                writer.write_table(table)
                rows_here += table.num_rows
                bytes_here += table.nbytes
                table = next(tables, None)
        sync(files[-1])
        rows += rows_here
    return ExportReport(folder, rows, len(files), sum(file.stat().st_size for file in files), tuple(damaged))


def _readable(store: FeedbackStore, damaged: list[str]) -> Iterator[StoredFlag]:
    """The flags; one whose images the disk has lost must not keep all others from being exported."""
    for flag_id in store.flag_ids():
        try:
            yield store.get(flag_id)
        except DamagedBlobError as error:
            damaged.append(str(error))


def _tables(flags: Iterable[StoredFlag], limits: Limits) -> Iterator[pyarrow.Table]:
    """One table a row group, with the features in its schema's metadata."""
    from pyarrow import Table

    schema = flag_features().arrow_schema
    rows: list[dict[str, Any]] = []
    size = 0
    for flag in flags:
        flag_bytes = sum(map(len, flag.images.values()))
        if rows and (len(rows) == limits.rows_a_group or size + flag_bytes > limits.bytes_a_group):
            yield Table.from_pylist(rows, schema)
            rows, size = [], 0
        rows.append(flag_row(flag))
        size += flag_bytes
    if rows:
        yield Table.from_pylist(rows, schema)


def _put_in_place(folder: Path, partial: Path, rows: int) -> None:
    """Renames, so that a reader meets the earlier export or this one. The card first: it marks the folder."""
    card = partial / "README.md"
    card.write_text(dataset_card(rows), encoding="utf-8")
    sync(card)
    os.replace(card, folder / "README.md")
    make_folder(folder / "data")
    final = folder / "data" / "flags"
    if final.exists():
        os.rename(final, partial / "earlier")
    os.rename(partial / "flags", final)
    for renamed_in in (folder, folder / "data", final):
        sync(renamed_in)
