"""Events as parquet with the images in it, in pieces that the Hub's viewer and a small machine can hold."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconvdemo.feedback.dataset.rows import dataset_row, features
from deconvdemo.feedback.events.records import Event
from deconvdemo.feedback.store.blobs import sync
from deconvdemo.feedback.store.kinds import Kind

if TYPE_CHECKING:
    import pyarrow

FEW_VALUES = ["task", "app_version"]  # worth a dictionary; building one of images would only cost


@dataclass(frozen=True)
class ShardLimits:
    """The size of a piece: a row group is what the Hub's viewer loads at once, and what memory holds here."""

    rows_a_group: int = 100
    bytes_a_group: int = 64_000_000
    rows_a_shard: int = 5_000
    bytes_a_shard: int = 500_000_000


LIMITS = ShardLimits()
WHOLE = ShardLimits(rows_a_shard=sys.maxsize, bytes_a_shard=sys.maxsize)  # all into one file


def tables(kind: Kind, events: Iterable[Event], limits: ShardLimits = LIMITS) -> Iterator[pyarrow.Table]:
    """One table a row group, with the features in its schema's metadata."""
    from pyarrow import Table

    schema = features(kind).arrow_schema
    rows: list[dict[str, Any]] = []
    size = 0
    for event in events:
        event_bytes = sum(map(len, event.images.values()))
        if rows and (len(rows) == limits.rows_a_group or size + event_bytes > limits.bytes_a_group):
            yield Table.from_pylist(rows, schema)
            rows, size = [], 0
        rows.append(dataset_row(kind, event))
        size += event_bytes
    if rows:
        yield Table.from_pylist(rows, schema)


def write(
    file: Path, pieces: Iterator[pyarrow.Table], limits: ShardLimits = LIMITS
) -> tuple[int, pyarrow.Table | None]:
    """Fills one file, durably, and returns its number of rows and the first table that did not fit.

    `pieces` must have at least one.
    """
    from pyarrow.parquet import ParquetWriter

    table: pyarrow.Table | None = next(pieces)
    assert table is not None
    rows = size = 0
    dictionaries = [name for name in FEW_VALUES if name in table.schema.names]
    with ParquetWriter(file, table.schema, use_dictionary=dictionaries, write_page_index=True) as writer:
        while table is not None and rows < limits.rows_a_shard and size < limits.bytes_a_shard:
            writer.write_table(table)
            rows += table.num_rows
            size += table.nbytes
            table = next(pieces, None)
    sync(file)
    return rows, table
