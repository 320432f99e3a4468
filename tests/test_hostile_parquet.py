"""A damaged parquet file or row is a sentence, and what a small file says that it holds has bounds."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import time
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feedback_flags import flag_of, picture

from deconvdemo.errors import DatasetError, DeconvdemoError, FeedbackError, TrainingError
from deconvdemo.feedback.dataset.rows import event_of
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.events.records import Flag
from deconvdemo.feedback.exchange.export import export_dataset
from deconvdemo.feedback.exchange.importing import ImportPlan, ImportReport, import_feedback
from deconvdemo.feedback.review import pairs
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.hub import parquet_rows
from deconvdemo.hub.parquet_rows import Damage, ParquetRows
from deconvdemo.hub.rows_apart import rows_apart
from deconvdemo.training.data.sources import Pack

STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


# ---- damage


def an_export(folder: Path) -> Path:
    other = FeedbackStore(folder / "other", min_free_mb=0)
    for number in range(3):
        other.add(flag_of(number))
    export_dataset(other, folder / "export")
    other.close()
    return next((folder / "export").rglob("*.parquet"))


def read_mutated(file: str, count: int, seed: int) -> Iterator[str]:
    """In a process of its own: what becomes of so many damaged copies of a parquet file."""
    whole, rng = Path(file).read_bytes(), random.Random(seed)
    for _ in range(count):
        data = bytearray(whole)
        tail = rng.random() < 0.5  # the metadata are at the end
        for _ in range(rng.choice((1, 2, 8))):
            place = rng.randrange(max(0, len(data) - 3000), len(data)) if tail else rng.randrange(len(data))
            if rng.random() < 0.8:
                data[place] = rng.randrange(256)
            else:
                del data[place : place + rng.randrange(1, 50)]
        yield outcome(bytes(data))


def outcome(data: bytes) -> str:
    try:
        for row in ParquetRows(io.BytesIO(data), "it").rows():
            if isinstance(row, dict):
                event_of(KINDS["flags"], row)
    except DeconvdemoError:
        return "refused"
    return "read"


def test_damaged_parquet_files_end_in_nothing_but_refusals(tmp_path):
    file = an_export(tmp_path)
    seed = random.randrange(1_000_000)
    told: list[str] = []
    counts = {"refused": 0, "read": 0, "stopped": 0}
    for part in range(3):  # one that stops the process that reads it is a refusal, too
        try:
            for ended in rows_apart("it", read_mutated, str(file), 60, seed + part, patience=20):
                counts[ended] += 1
        except DatasetError as error:
            told.append(f"seed {seed + part}: {error}")
            counts["stopped"] += 1
    assert all("stops the program that reads it" in sentence for sentence in told), told
    assert counts["refused"] > 10
    assert counts["stopped"] <= 1


def altered(table: pa.Table, what: str) -> pa.Table:
    """A table of flags as no program of ours would write one."""
    names, count = table.column_names, table.num_rows
    at = names.index("observed")
    if what == "missing":
        return table.drop_columns(["reasons"])
    if what == "renamed":
        return table.rename_columns([f"x_{name}" for name in names])
    if what == "nulls":
        return pa.table({name: pa.nulls(count, table.schema.field(name).type) for name in names})
    if what == "untyped nulls":
        return pa.table({name: pa.nulls(count) for name in names})
    other = {
        "text": pa.array(["x"] * count),
        "numbers": pa.array([10**12] * count),
        "nested": pa.array([[[{"bytes": [b"x"], "path": [{"a": 1}]}]]] * count),
        "other struct": pa.array([{"bytes": "text", "path": 3}] * count),
        "empty struct": pa.array([{"bytes": None, "path": None}] * count, STRUCT),
        "text everywhere": None, "large text": None, "long ago": None,
    }[what]  # fmt: skip
    if what == "text everywhere":
        return pa.table({name: pa.array(["x"] * count) for name in names})
    if what == "large text":
        return table.set_column(names.index("comment"), "comment", pa.array(["x" * 2_000_000] * count))
    if what == "long ago":
        moments = pa.array([-(2**62)] * count, pa.timestamp("us", tz="UTC"))
        return table.set_column(names.index("created_at"), "created_at", moments)
    return table.set_column(at, "observed", other)


ALTERED = [
    "missing", "renamed", "nulls", "untyped nulls", "text", "numbers", "nested", "other struct", "empty struct",
    "text everywhere", "large text", "long ago",
]  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    return an_export(tmp_path_factory.mktemp("exported"))


@pytest.mark.parametrize("what", ALTERED)
def test_a_table_of_other_columns_is_a_refusal_a_row(exported, what):
    file = io.BytesIO()
    pq.write_table(altered(pq.read_table(exported).replace_schema_metadata(None), what), file)
    refused = 0
    for row in ParquetRows(file, "it").rows():
        if isinstance(row, Damage):
            refused += 1
            continue
        with pytest.raises(FeedbackError) as error:
            event_of(KINDS["flags"], row)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 500
        refused += 1
    assert refused in (1, 3)


def test_a_damaged_file_or_row_is_not_the_end_of_an_import(store, tmp_path):
    whole = an_export(tmp_path)
    folder = whole.parent
    table = pq.read_table(whole)
    rows = table.to_pylist()
    rows[1]["task"] = "?"
    (folder / "a-damaged.parquet").write_bytes(whole.read_bytes()[:-30])
    (folder / "b-other.parquet").write_bytes(b"not parquet")
    pq.write_table(pa.Table.from_pylist(rows, table.schema), whole)
    report = import_feedback(store, str(tmp_path / "export"), ImportPlan())
    assert report.added == 2
    assert len(report.refused) == 3
    assert sum("cannot be read" in sentence for sentence in report.refused) == 2
    assert any("is not a task's name" in sentence for sentence in report.refused)


def test_what_is_read_back_has_its_fields_types(exported):
    [row, *_] = pq.read_table(exported).to_pylist()
    flag = event_of(KINDS["flags"], row)
    assert isinstance(flag, Flag)
    assert flag.flag_id == row["flag_id"]
    for field, value in (
        ("app_version", "x\0"), ("app_version", "x" * 5000), ("app_version", 3), ("schema_version", 1 << 40),
        ("schema_version", True), ("created_at", "2026"), ("created_at", datetime(2026, 1, 1)),
        ("controls", "[" * 100_000), ("controls", '{"a": NaN}'), ("controls", '{"a": 1e999}'), ("controls", "[1]"),
        ("reasons", [["seams"]]), ("consent", 1), ("observed", {"bytes": "x", "path": None}), ("observed", b"x"),
        ("flag_id", "../x"), ("comment", 3),
    ):  # fmt: skip
        with pytest.raises(FeedbackError):
            event_of(KINDS["flags"], {**row, field: value})


# ---- bounds


def parquet_of(**columns) -> io.BytesIO:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd")
    return file


def test_a_row_group_that_says_too_much_is_not_begun(monkeypatch):
    file = parquet_of(a=pa.array([b"\0" * 1_000_000] * 30))
    assert file.getbuffer().nbytes < 100_000
    monkeypatch.setattr(parquet_rows, "LARGEST_GROUP", 100_000)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *given, **options: pytest.fail("it was read"))
    [damage] = ParquetRows(file, "it").rows()
    assert damage == Damage("rows 0 to 29", damage.why)
    assert "at most 0.1 MB are read" in damage.why


def test_what_repeats_is_read_a_little_at_a_time_and_not_for_ever(monkeypatch):
    taken = []
    real = pq.ParquetFile.iter_batches

    def counted(self, size, **options):
        taken.append(size)
        return real(self, size, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    monkeypatch.setattr(parquet_rows, "AT_ONCE", 3_000_000)
    monkeypatch.setattr(parquet_rows, "FREE", 5_000_000)
    # one value in a dictionary, and 10,000 rows that name it: 10 GB
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array([os.urandom(1_000_000)]))
    file = parquet_of(a=column)
    rows = list(ParquetRows(file, "it").rows())
    assert taken == [2]
    assert isinstance(rows[-1], Damage)
    assert "many times what the file itself has" in rows[-1].why
    assert len(rows) < 40


@pytest.mark.parametrize(
    ("name", "most", "column", "says"),
    [
        ("LARGEST_CELL", 1000, [b"x" * 2000], "has 2,000 bytes"),
        ("LARGEST_TEXT", 1000, ["x" * 2000], "has 2,000 characters"),
        ("MOST_IN_CELL", 10, [list(range(20))], "more than 10 values"),
        ("MOST_VALUES", 10, [list(range(20))], "20 values in a column"),
    ],
)
def test_cells_have_bounds(monkeypatch, name, most, column, says):
    monkeypatch.setattr(parquet_rows, name, most)
    [damage] = ParquetRows(parquet_of(a=pa.array(column)), "it").rows()
    assert says in damage.why


def test_a_file_of_too_many_rows_or_columns_is_not_read(monkeypatch):
    for name, says in (("MOST_ROWS", "3 rows"), ("MOST_COLUMNS", "2 columns"), ("MOST_GROUPS", "1 row groups")):
        with monkeypatch.context() as patched:
            patched.setattr(parquet_rows, name, 0)
            with pytest.raises(DatasetError, match=f"says that it has {says}"):
                ParquetRows(parquet_of(a=[1, 2, 3], b=[1, 2, 3]), "it")


def grow() -> Iterator[int]:
    yield len([bytearray(100_000_000) for _ in range(30)])


def stop() -> Iterator[int]:
    yield 1
    os.abort()


def wait() -> Iterator[int]:
    yield 1
    time.sleep(600)


def lie() -> Iterator[object]:
    yield stop  # a function of this module: no row has one


@pytest.mark.parametrize(
    ("work", "says"),
    [
        (grow, "more than 500.0 MB of memory"),
        (stop, "stops the program that reads it"),
        (wait, "takes more than 2 s"),
        (lie, "which no dataset has"),
    ],
)
def test_what_takes_too_much_is_a_sentence(work, says):
    begin = time.monotonic()
    with pytest.raises(DatasetError, match=says):
        list(rows_apart("it", work, memory=500_000_000, patience=2 if work is wait else 60))
    assert time.monotonic() - begin < 60


def test_very_many_refusals_are_counted():
    report = ImportReport()
    for number in range(3000):
        report.refuse(f"row {number}: a\nb" + "x" * 1000)
    assert (len(report.refused), report.unnamed) == (1000, 2000)
    assert len(max(report.refused, key=len)) <= 501
    assert report.refused[0].startswith("row 0: a b")


# ---- what learns from them


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_accepted_flags_that_cannot_be_learned_from_are_skipped(store):
    cut = picture("in", 64)
    place = cut.index(b"IDAT") + 4
    damaged = cut[: place - 8] + _chunk(b"IDAT", cut[place : place + 30]) + _chunk(b"IEND", b"")
    flags = [
        flag_of(1, task="upscale", controls={"scale": "two"}),
        flag_of(2, task="upscale", controls={"scale": [1]}),
        flag_of(3, task="upscale", controls={"scale": 2}, observed=damaged),
        flag_of(4, task="upscale", controls={"scale": "2"}, observed=picture(4, 32)),
    ]
    for flag in flags:
        store.add(flag)
        store.add(Verdict(flag_id=flag.flag_id, reviewer="ada", decision="accept"))
    found, skipped = [], []
    for held_back in (False, True):
        try:
            made = pairs.snapshot(store, "upscale", 2, held_out=held_back)
        except FeedbackError as error:
            skipped.append(str(error))
            continue
        found += [pair.flag_id for pair in made.pairs]
        skipped += made.skipped
    assert found == [flags[3].flag_id]
    assert skipped


@pytest.mark.parametrize("ends", [[5, 3], [1000], [-1], [], [[1]], [0.5]])
def test_a_damaged_pack_is_refused(tmp_path, ends):
    import safetensors.numpy

    file = tmp_path / "crops.safetensors"
    facts = {"deconvdemo.corpus": json.dumps({"version": 1, "data": []})}
    safetensors.numpy.save_file({"crops": np.zeros(10, np.uint8), "ends": np.array(ends)}, file, facts)
    with pytest.raises(TrainingError, match="is damaged"):
        list(Pack(file).images())


@pytest.mark.parametrize(
    "facts", ["[" * 50_000, "[]", "{}", '{"version": 1, "data": 3}', '{"version": 1, "data": [1]}']
)
def test_a_pack_that_does_not_say_what_it_is_is_refused(tmp_path, facts):
    import safetensors.numpy

    file = tmp_path / "crops.safetensors"
    safetensors.numpy.save_file({"crops": np.zeros(1, np.uint8)}, file, {"deconvdemo.corpus": facts})
    with pytest.raises(TrainingError):
        Pack(file).data()
