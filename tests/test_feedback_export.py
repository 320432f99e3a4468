"""The exported folder is a dataset: `datasets` opens it, images are the stored bytes, no kill spoils it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import socket
from io import BytesIO
from pathlib import Path

import pytest
from feedback_flags import NASTY_COMMENTS, flag_of, picture
from PIL import Image

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.rows import dataset_row
from deconvdemo.feedback.dataset.state import state_of
from deconvdemo.feedback.events.opinions import Verdict, Vote
from deconvdemo.feedback.events.records import IMAGES, REASONS
from deconvdemo.feedback.exchange import export
from deconvdemo.feedback.exchange.annotation_export import FORMATS
from deconvdemo.feedback.exchange.export import ShardLimits, export_dataset
from deconvdemo.feedback.store.blobs import blob_name
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.ruling import LEFT_OUT
from deconvdemo.feedback.store.store import FeedbackStore

COLUMNS = [
    "flag_id",
    "created_at",
    "task",
    "observed",
    "restored",
    "mask",
    "clean",
    "region",
    "reasons",
    "comment",
    "controls",
    "checkpoint",
    "app_version",
    "consent",
    "schema_version",
]

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["deconvdemo.feedback.store.store", "PIL.Image"])


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store with every kind of flag, read by the tests; those that write make their own."""
    store = FeedbackStore(tmp_path_factory.mktemp("data"), min_free_mb=0)
    images = {role: picture(role) for role in ("mask", "clean", "region")}
    reasons = list(REASONS)
    for number, comment in enumerate(NASTY_COMMENTS):
        store.add(
            flag_of(
                number,
                comment=comment,
                reasons=(reasons[number],),
                controls={"sigma": number, "word": "ñ"},
                checkpoint={"name": "unet", "sha256": "ab" * 32, "source": "bundled"},
                **(images if number % 2 else {}),
            )
        )
    yield store
    store.close()


@pytest.fixture
def store(tmp_path):
    store = FeedbackStore(tmp_path / "data", min_free_mb=0)
    for number in range(7):
        store.add(flag_of(number))
    yield store
    store.close()


def opened(folder: Path, cache: Path, **options):
    """The dataset as a reader opens it; a reader without a network, here."""
    import datasets

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
        return datasets.load_dataset(
            str(folder), "flags", split="train", **({} if options else {"cache_dir": str(cache)}), **options
        )


def raw(rows):
    """With the images' bytes instead of pixels."""
    import datasets

    for role in IMAGES:
        rows = rows.cast_column(role, datasets.Image(decode=False))
    return list(rows)


def ids_in(folder: Path) -> list[str]:
    from pyarrow import parquet

    files = sorted((folder / "data" / "flags").glob("*.parquet"))
    return [row for file in files for row in parquet.read_table(file)["flag_id"].to_pylist()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_no_row_tells_where_files_are_on_this_machine(tmp_path):
    """A demo of `--weights FILE` knows its weights by a path."""
    source, remote = "/home/ada/private/denoise.safetensors", "hf://owner/repo@abc1234/denoise.safetensors"
    store = FeedbackStore(tmp_path / "data", min_free_mb=0)
    for number, place in enumerate((source, remote)):
        store.add(flag_of(number, checkpoint={"source": place}, controls={"kernel": source}))
    export_dataset(store, tmp_path / "flags")
    rows = list(opened(tmp_path / "flags", tmp_path / "cache"))
    assert [json.loads(row["checkpoint"])["source"] for row in rows] == ["denoise.safetensors", remote]
    assert {json.loads(row["controls"])["kernel"] for row in rows} == {"denoise.safetensors"}


def test_datasets_opens_it_with_images_and_the_designed_columns(filled, tmp_path):
    import datasets

    report = export_dataset(filled, tmp_path / "out")
    rows = opened(tmp_path / "out", tmp_path / "cache")
    assert rows.column_names == COLUMNS
    assert all(isinstance(rows.features[role], datasets.Image) for role in IMAGES)
    assert rows.features["created_at"] == datasets.Value("timestamp[us, tz=UTC]")
    assert rows.features["reasons"] == datasets.List(datasets.Value("string"))
    assert (report.rows, report.shards, report.damaged) == (len(rows), 1, ()) == (len(NASTY_COMMENTS), 1, ())
    assert report.bytes == sum(file.stat().st_size for file in (tmp_path / "out/data/flags").iterdir())
    assert rows[0]["observed"].size == (8, 8)


def test_every_row_is_what_was_stored_in_order_also_streaming(filled, tmp_path):
    export_dataset(filled, tmp_path / "out", limits=ShardLimits(rows_a_group=2, rows_a_shard=4))
    loaded = raw(opened(tmp_path / "out", tmp_path / "cache"))
    assert loaded == raw(opened(tmp_path / "out", tmp_path / "cache", streaming=True))
    for row, flag in zip(loaded, filled.flags(), strict=True):
        assert {role: row[role]["bytes"] for role in IMAGES if row[role]} == flag.images
        assert row["observed"]["path"] == f"{flag.flag_id}-observed.png"
        for column in (
            "flag_id",
            "created_at",
            "task",
            "comment",
            "app_version",
            "consent",
            "schema_version",
        ):
            assert row[column] == getattr(flag, column), column
        assert tuple(row["reasons"]) == flag.reasons
        assert row["controls"] == f'{{"sigma":{flag.controls["sigma"]},"word":"ñ"}}'
        assert row["checkpoint"] == f'{{"name":"unet","sha256":"{"ab" * 32}","source":"bundled"}}'


def test_images_keep_sixteen_bits(tmp_path):
    deep = BytesIO()
    Image.new("I;16", (3, 3), 54_321).save(deep, "PNG")
    store = FeedbackStore(tmp_path / "data", min_free_mb=0)
    store.add(flag_of(1, observed=deep.getvalue()))
    export_dataset(store, tmp_path / "out")
    assert opened(tmp_path / "out", tmp_path / "cache")[0]["observed"].getpixel((1, 1)) == 54_321


@pytest.mark.parametrize(
    ("limits", "groups_of_shards"),
    [
        (ShardLimits(), [[7]]),
        (ShardLimits(rows_a_group=3), [[3, 3, 1]]),
        (ShardLimits(rows_a_group=2, rows_a_shard=4), [[2, 2], [2, 1]]),
        (ShardLimits(bytes_a_group=1), [[1] * 7]),  # a row larger than the limit has a group to itself
        (ShardLimits(bytes_a_group=1, bytes_a_shard=1), [[1]] * 7),
    ],
)
def test_pieces_are_bounded_by_rows_and_by_bytes_and_have_a_page_index(store, tmp_path, limits, groups_of_shards):
    from pyarrow import parquet

    report = export_dataset(store, tmp_path / "out", limits=limits)
    shards = [parquet.ParquetFile(file).metadata for file in sorted((tmp_path / "out/data/flags").iterdir())]
    assert [[m.row_group(i).num_rows for i in range(m.num_row_groups)] for m in shards] == groups_of_shards
    assert report.shards == len(groups_of_shards)
    assert all(b'"_type": "Image"' in metadata.metadata[b"huggingface"] for metadata in shards)
    columns = [shards[0].row_group(0).column(i) for i in range(shards[0].num_columns)]
    assert all(column.has_offset_index for column in columns)


def test_the_defaults_are_the_viewers():
    assert ShardLimits().rows_a_group <= 100


def test_the_card_has_the_config_and_no_sizes_that_would_forbid_more_rows(filled, tmp_path):
    from huggingface_hub import DatasetCard

    export_dataset(filled, tmp_path / "out")
    card = DatasetCard.load(tmp_path / "out" / "README.md")
    (config,) = card.data.configs
    assert config["config_name"] == "flags"
    assert config["data_files"] == [{"split": "train", "path": "data/flags/**/*.parquet"}]
    (info,) = card.data.dataset_info
    assert set(info) == {"config_name", "features"}  # the columns, and nothing that the next rows would change
    assert [column["name"] for column in info["features"]] == COLUMNS
    assert card.data.license == "cc-by-4.0"
    assert all(f"| `{column}` |" in card.text for column in COLUMNS)


def test_the_same_flags_are_the_same_bytes(filled, tmp_path):
    for name in ("one", "two"):
        export_dataset(filled, tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_exporting_again_replaces_and_leaves_other_files(store, tmp_path):
    out = tmp_path / "out"
    export_dataset(store, out, limits=ShardLimits(rows_a_group=1, rows_a_shard=1))
    (out / "data" / "mine").mkdir()
    (out / "data" / "mine" / "rows.parquet").write_text("mine")
    (out / "notes.txt").write_text("mine")
    store.add(flag_of(100))
    export_dataset(store, out)
    assert sorted(contents(out)) == [
        "README.md",
        "data/flags/flags-00000.parquet",
        "data/mine/rows.parquet",
        "notes.txt",
    ]
    assert ids_in(out) == list(store.flag_ids())


def die_in_the_middle(data_dir: Path, out: Path) -> None:
    store = FeedbackStore(data_dir, min_free_mb=0)
    read, count = store.get, iter(range(100))

    def get(flag_id, kind):
        if next(count) == 5:
            assert any(out.glob(f"{export.PARTIAL}*/flags/*.parquet"))
            os.kill(os.getpid(), signal.SIGKILL)
        return read(flag_id, kind)

    store.get = get
    export_dataset(store, out, limits=ShardLimits(rows_a_group=1, rows_a_shard=2))


def test_a_killed_export_leaves_the_earlier_one_and_no_half_file(store, tmp_path):
    out = tmp_path / "out"
    export_dataset(store, out)
    before = contents(out)
    store.add(flag_of(100))
    child = PROCESSES.Process(target=die_in_the_middle, args=(tmp_path / "data", out))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    partial = {name for name in contents(out) if name.startswith(export.PARTIAL)}
    assert partial  # it was in the middle
    assert {name: data for name, data in contents(out).items() if name not in partial} == before
    export_dataset(store, out)
    assert sorted(contents(out)) == ["README.md", "data/flags/flags-00000.parquet"]
    assert ids_in(out) == list(store.flag_ids())


def test_a_full_disk_leaves_the_earlier_export(store, tmp_path, monkeypatch):
    out = tmp_path / "out"
    export_dataset(store, out)
    before = contents(out)
    store.add(flag_of(100))

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "sync", full)
    with pytest.raises(FeedbackError, match="No space left on device"):
        export_dataset(store, out)
    assert contents(out) == before


def test_a_damaged_flag_is_named_and_the_others_are_exported(store, tmp_path):
    ids = list(store.flag_ids())
    name = blob_name(store.get(ids[3]).observed)
    (store.folder / "blobs" / name[:2] / name).unlink()
    report = export_dataset(store, tmp_path / "out")
    assert ids_in(tmp_path / "out") == ids[:3] + ids[4:]
    (said,) = report.damaged
    assert ids[3] in said
    assert "missing" in said


def test_an_empty_store_is_one_clear_error_and_makes_no_folder(tmp_path):
    with pytest.raises(FeedbackError, match="nothing to export: no flag has been saved"):
        export_dataset(FeedbackStore(tmp_path / "data", min_free_mb=0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["README.md", "data/flags/flags-00000.parquet", "holiday.jpg"])
def test_a_folder_with_something_else_in_it_is_refused_and_untouched(store, tmp_path, name):
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text("mine")
    before = contents(tmp_path / "out")
    with pytest.raises(FeedbackError, match="has other files in it: choose an empty folder"):
        export_dataset(store, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_file_instead_of_a_folder_is_refused(store, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FeedbackError, match="is a file"):
        export_dataset(store, tmp_path / "out")
    with pytest.raises(FeedbackError, match="cannot be written"):
        export_dataset(store, tmp_path / "out" / "deeper")


SOURCES = {
    "/home/ada/My Models/our net.safetensors": "our net.safetensors",
    "C:\\Users\\ada b\\net.safetensors": "net.safetensors",
    "models/secret client/net.safetensors": "net.safetensors",
    "file:///home/ada l/net.safetensors": "net.safetensors",
    "hf://owner/repo@1234/net.safetensors": "hf://owner/repo@1234/net.safetensors",
    "bundled": "bundled",
}


@pytest.mark.parametrize("source", SOURCES)
def test_files_are_published_by_their_names_alone(sqlite_store, source):
    facts = {"name": "denoise", "sha256": "0" * 64, "source": source}
    flag, contender = flag_of(1, checkpoint=facts), {"kind": "network", "checkpoint": facts}
    vote = Vote("denoise", "left", left_contender=contender, right_contender=contender)
    verdict = Verdict("f", "ada", "accept", target={"source": "rerun", "checkpoint": facts})
    for event in (flag, vote, verdict):
        sqlite_store.add(event)
    rows = {name: dataset_row(kind, next(sqlite_store.events(name))) for name, kind in KINDS.items()}
    told = [
        json.loads(rows["flags"]["checkpoint"]),
        json.loads(rows["votes"]["left_contender"])["checkpoint"],
        json.loads(rows["verdicts"]["target"])["checkpoint"],
    ]
    assert [one["source"] for one in told] == [SOURCES[source]] * 3


@pytest.mark.parametrize("decision", LEFT_OUT)
def test_what_was_rejected_or_withheld_is_in_no_export_unless_everything_is_asked_for(sqlite_store, tmp_path, decision):
    store = sqlite_store
    ids = [store.add(flag_of(number)).flag_id for number in range(2)]
    store.add(Vote("denoise", "left", observed=picture("o"), flag_id=ids[0]))
    store.add(Verdict(ids[0], "ada", decision))
    for form, write in FORMATS.items():
        assert write(store, tmp_path / form).counts == {"flags": 1}
    assert export_dataset(store, tmp_path / "all", everything=True).counts == {"flags": 2, "verdicts": 1, "votes": 1}


def test_a_flag_that_waits_for_a_reviewer_is_told_to_be_private(sqlite_store):
    store = sqlite_store
    flag_id = store.add(flag_of(1)).flag_id
    assert (state_of(store, flag_id).state, state_of(store, flag_id, moderated=True).state) == ("saved", "private")
    store.add(Verdict(flag_id, "ada", "accept"))
    assert state_of(store, flag_id, moderated=True).state == "saved"
    store.add(Verdict(flag_id, "bob", "hide"))
    assert state_of(store, flag_id).state == "private"
