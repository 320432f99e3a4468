"""The rows of a parquet file that somebody else wrote, a few at a time: what they take is known before they are read.

A file of a kilobyte may say that it holds gigabytes, by the encodings that parquet has for what repeats. So no row
group is begun whose metadata say too much, as few rows are read at once as fit, and no cell is larger than an image may
be. Metadata may lie: this runs in a process of its own (rows_apart.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deconvdemo.bounded import clipped, in_bytes, parsed_json
from deconvdemo.errors import DatasetError
from deconvdemo.hub.rows_apart import why

MOST_ROWS = 2_000_000
MOST_COLUMNS = 500
MOST_GROUPS = 100_000
MOST_VALUES = 10_000_000  # of one column in one row group: lists have many in a row
LARGEST_GROUP = 1_000_000_000  # bytes of a row group as it is without compression
AT_ONCE = 128_000_000  # bytes that a few rows are to take
LARGEST_CELL = 100_000_000  # bytes of an image
LARGEST_TEXT = 1_000_000  # characters of a text
GROWTH, FREE = 20, 200_000_000  # all rows have at most so many times the file's bytes, and these: images do not shrink
MOST_IN_CELL = 10_000  # values in a list or dictionary


@dataclass(frozen=True)
class Damage:
    """What stands in place of one row, or several, that cannot be read."""

    where: str  # "row 7", "rows 100 to 199"
    why: str


class ParquetRows:
    """A parquet file: its path, or the file, opened. DatasetError for what is none, or says too much."""

    def __init__(self, file: Any, name: str):
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        self.name = name
        try:
            self._file = ParquetFile(
                file, pre_buffer=False, thrift_string_size_limit=20_000_000, thrift_container_size_limit=2_000_000
            )
            self.schema, self.metadata = self._file.schema_arrow, self._file.metadata
            self._size = os.stat(file).st_size if isinstance(file, str) else file.seek(0, os.SEEK_END)
        except (ArrowException, OSError, ValueError, MemoryError) as error:
            raise DatasetError(f"{name} cannot be read ({why(error)})") from None
        for what, count, most in (
            ("rows", self.metadata.num_rows, MOST_ROWS),
            ("columns", len(self.schema.names), MOST_COLUMNS),
            ("row groups", self.metadata.num_row_groups, MOST_GROUPS),
        ):
            if not 0 <= count <= most:
                raise DatasetError(f"{name} says that it has {count:,} {what}, but at most {most:,} are read")
        if len(set(self.schema.names)) < len(self.schema.names):
            raise DatasetError(f"{name} has two columns of one name: it is not read")

    @property
    def columns(self) -> list[str]:
        return list(self.schema.names)

    def images(self) -> list[str]:
        """The columns of images: those that the file says are, and those that have an image's bytes and path."""
        said = self._said()
        return [field.name for field in self.schema if _holds_images(field.type, said.get(field.name) == "Image")]

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any] | Damage]:
        """Each row, or what became of it, in order. `columns`: these alone."""
        first, left = 0, GROWTH * self._size + FREE
        for number in range(self.metadata.num_row_groups):
            group = self.metadata.row_group(number)
            last = first + group.num_rows - 1
            done = 0
            try:
                for row in self._group(number, group, columns):
                    left -= bytes_in(row)
                    if left < 0:
                        yield Damage(f"what follows row {first + done}", "it is many times what the file itself has")
                        return
                    yield row if isinstance(row, dict) else Damage(f"row {first + done}", row)
                    done += 1
                if done < group.num_rows:
                    raise DatasetError(f"it has {done:,} rows, but says {group.num_rows:,}")
            # pyarrow raises many kinds on damaged pages; the next group is whole, perhaps
            except Exception as error:  # noqa: BLE001
                begin = first + done
                yield Damage(f"row {begin}" if begin >= last else f"rows {begin} to {last}", why(error))
            first = last + 1

    def _group(self, number: int, group: Any, columns: Sequence[str] | None) -> Iterator[dict[str, Any] | str]:
        chunks = [group.column(place) for place in range(group.num_columns)]
        if columns is not None:
            chunks = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]
        size = max([chunk.total_uncompressed_size for chunk in chunks], default=0)
        values = max([chunk.num_values for chunk in chunks], default=0)
        if not 0 <= group.total_byte_size <= LARGEST_GROUP or not 0 <= size <= LARGEST_GROUP or group.num_rows < 0:
            raise DatasetError(
                f"they have {in_bytes(group.total_byte_size)}, but at most {in_bytes(LARGEST_GROUP)} are read"
            )
        if values > MOST_VALUES:
            raise DatasetError(f"they have {values:,} values in a column, but at most {MOST_VALUES:,} are read")
        # a dictionary's largest entry may be in every row
        at_once = max(1, min(64, AT_ONCE // max(1, size)))
        for batch in self._file.iter_batches(
            at_once, row_groups=[number], columns=None if columns is None else list(columns), use_threads=False
        ):
            for place in range(batch.num_rows):
                yield _row(batch.slice(place, 1))

    def _said(self) -> dict[str, str]:
        """Column → type, as the `datasets` library writes them into the file."""
        try:
            told = parsed_json((self.schema.metadata or {}).get(b"huggingface", b"{}"))
            features = told["info"]["features"]
            return {name: str(feature.get("_type")) for name, feature in features.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}


def _holds_images(kind: Any, said: bool) -> bool:
    from pyarrow import types

    def binary(one: Any) -> bool:
        return types.is_binary(one) or types.is_large_binary(one)

    def text(one: Any) -> bool:
        return types.is_string(one) or types.is_large_string(one)

    if types.is_struct(kind):
        inner = {kind.field(place).name: kind.field(place).type for place in range(kind.num_fields)}
        return inner.keys() == {"bytes", "path"} and (binary(inner["bytes"]) or types.is_null(inner["bytes"]))
    return said and (binary(kind) or text(kind))


def _row(one: Any) -> dict[str, Any] | str:
    """The only row of a batch, or why it is not read."""
    if one.nbytes > 5 * LARGEST_CELL:
        return f"it has {in_bytes(one.nbytes)}"
    try:
        [row] = one.to_pylist()
        return _checked(row)
    except (ValueError, ArithmeticError, LookupError, TypeError, MemoryError) as error:
        return why(error)


def _checked(row: dict[str, Any]) -> dict[str, Any] | str:
    for column, value in row.items():
        if problem := too_much(value):
            return f"its {clipped(column)!r} {problem}"
    return {column: plain(value) for column, value in row.items()}


def bytes_in(value: Any) -> int:
    """Bytes and characters of what is in a row."""
    if isinstance(value, bytes | str):
        return len(value)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 8 + sum(map(bytes_in, inside))


def plain(value: Any) -> Any:
    """A value of a row with Python's own types alone: dates in UTC, and what is of no use here as text."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        value = value.astimezone(UTC) if value.tzinfo else value
        parts = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond)
        return datetime(*parts, tzinfo=UTC if value.tzinfo else None)
    return str(value)


def too_much(value: Any, deep: int = 8) -> str:
    if isinstance(value, bytes):
        return f"has {in_bytes(len(value))}, but at most {in_bytes(LARGEST_CELL)} are read" * (
            len(value) > LARGEST_CELL
        )
    if isinstance(value, str):
        return f"has {len(value):,} characters, but at most {LARGEST_TEXT:,} are read" * (len(value) > LARGEST_TEXT)
    if isinstance(value, dict | list):
        if len(value) > MOST_IN_CELL or not deep:
            return f"has more than {MOST_IN_CELL:,} values, or is nested too deeply"
        inside = (
            value.values()
            if isinstance(value, dict)
            else [item[1] if isinstance(item, tuple) else item for item in value]
        )
        return next((problem for one in inside if (problem := too_much(one, deep - 1))), "")
    return ""
