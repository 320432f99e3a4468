"""The store's laws: what was acknowledged is there, once, unchanged, in order; what was refused is not."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import shutil
import sqlite3
import threading
import time
from collections import namedtuple
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from feedback_flags import NASTY_COMMENTS, flag_of, picture
from sqlalchemy import event

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.records import Flag
from deconvdemo.feedback.store import store as store_module
from deconvdemo.feedback.store.blobs import STALE_SECONDS, DamagedBlobError, blob_name
from deconvdemo.feedback.store.stats import stats
from deconvdemo.feedback.store.store import FeedbackStore

# processes of their own, not forks: a fork shares locks and SQLite's open files with its parent
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["deconvdemo.feedback.store.store", "PIL.Image"])


def files_in(folder: Path) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file()}


def again(store: FeedbackStore) -> FeedbackStore:
    """Another process's store of the same data."""
    return FeedbackStore(store.folder.parent, store.database_url, min_free_mb=0)


def blobs_of(*flags: Flag) -> set[str]:
    return {blob_name(data) for flag in flags for data in flag.images.values()}


def test_a_flag_comes_back_as_it_went_in(store):
    flag = flag_of(
        1,
        task="inpaint",
        reasons=("seams", "other"),
        mask=picture("mask"),
        clean=picture("clean", format="WEBP", lossless=True),
        region=picture("mask"),  # the same bytes as the mask: one blob, two roles
        comment="the sky",
        controls={"grow": 3, "feather": 0.5, "auto": None, "words": "ñ漢👩‍👩‍👧"},
        checkpoint={"name": "deconv_unet", "sha256": "ab" * 32, "source": "bundled"},
    )
    acknowledgement = store.add(flag)
    assert (acknowledgement.flag_id, acknowledgement.state) == (flag.flag_id, "saved")
    store.close()
    stored = again(store).get(flag.flag_id)
    for field in fields(Flag):
        assert getattr(stored, field.name) == getattr(flag, field.name), field.name
    assert (stored.sequence, stored.schema_version) == (1, 1)
    assert files_in(store.folder / "blobs") == blobs_of(flag)


def test_any_comment_comes_back(store):
    for number, comment in enumerate(NASTY_COMMENTS):
        store.add(flag_of(number, comment=comment))
    assert [flag.comment for flag in store.flags()] == NASTY_COMMENTS


def test_flags_come_in_the_order_of_their_acknowledgement(store, monkeypatch):
    monkeypatch.setattr(store_module, "PAGE", 3)
    early, late = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    flags = [flag_of(number, created_at=late if number % 2 else early) for number in range(8)]
    for flag in flags:
        store.add(flag)
    assert list(store.flag_ids()) == [flag.flag_id for flag in flags]
    reading = store.flags()
    assert next(reading).observed == flags[0].observed
    store.add(flag_of(99))  # a reader sees what was there when it began, and does not stop a writer
    assert [flag.flag_id for flag in reading] == [flag.flag_id for flag in flags[1:]]


def test_making_a_store_touches_nothing(tmp_path):
    FeedbackStore(tmp_path / "data").close()
    assert not (tmp_path / "data").exists()


def test_an_empty_store_is_empty(store):
    assert list(store.flags()) == []
    counted = stats(store)
    assert (counted["total"], counted["tasks"], counted["first"], counted["last"]) == (0, {}, None, None)
    with pytest.raises(FeedbackError, match="no flag has the id 'nobody'"):
        store.get("nobody")


def test_stats_count_what_is_stored(store):
    first, last = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    served = {"name": "unet", "sha256": "0123456789abcdef"}
    flags = [
        flag_of(1, reasons=("seams", "halo"), created_at=last, checkpoint=served),
        flag_of(2, reasons=("seams",), created_at=first, checkpoint=served),
        flag_of(3, reasons=("good",), created_at=last, task="upscale"),
    ]
    for flag in flags:
        store.add(flag)
    counted = stats(store)
    blobs = {blob_name(data): len(data) for flag in flags for data in flag.images.values()}
    assert counted == {
        "total": 3,
        "tasks": {"denoise": 2, "upscale": 1},
        "reasons": {"seams": 2, "halo": 1, "good": 1},
        "checkpoints": {"unet@0123456789ab": 2, "unknown": 1},
        "days": {"2026-11-01": 1, "2026-11-20": 2},
        "verdicts": 0,
        "votes": 0,
        "bytes": sum(blobs.values()),
        "first": first.isoformat(timespec="microseconds"),
        "last": last.isoformat(timespec="microseconds"),
    }


# ---- once


def test_the_same_flag_or_token_again_gets_the_first_answer(store):
    first = store.add(flag_of(1, client_token="click"))
    assert store.add(flag_of(2, client_token="click")) == first
    untold = flag_of(3, client_token="")
    assert store.add(untold) == store.add(untold)
    store.add(flag_of(4, client_token=""))  # no token is not a token
    assert len(list(store.flag_ids())) == 3
    assert files_in(store.folder / "blobs") == blobs_of(*store.flags())


def test_a_double_click_from_threads_stores_one(store):
    together = threading.Barrier(8)

    def click(number):
        together.wait()
        return store.add(flag_of(number, client_token="click"))

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(click, range(8)))
    (stored,) = store.flags()
    assert {answer.flag_id for answer in answers} == {stored.flag_id}
    assert files_in(store.folder / "blobs") == blobs_of(stored)


def write_many(folder: Path, database_url: str, writer: int, start: float) -> list[str]:
    """In a process of its own: 4 threads add 6 flags each; a token that both writers use comes in between."""
    store = FeedbackStore(folder, database_url, min_free_mb=0)
    time.sleep(max(0.0, start - time.time()))
    with ThreadPoolExecutor(4) as threads:
        numbers = range(writer * 1000, writer * 1000 + 24)
        ids = list(threads.map(lambda number: store.add(flag_of(number)).flag_id, numbers))
        clicks = threads.map(lambda n: store.add(flag_of(n, client_token=f"click-{n % 5}")).flag_id, range(10))
        ids += clicks
    store.close()
    return ids


def test_many_writers_in_two_processes_lose_nothing_and_see_no_lock(store):
    start = time.time() + 1.0  # both find no database and make it at once
    with ProcessPoolExecutor(2, mp_context=PROCESSES) as processes:
        writers = [
            processes.submit(write_many, store.folder.parent, store.database_url, writer, start) for writer in (1, 2)
        ]
        one, two = (writer.result(timeout=60) for writer in writers)
    assert one[24:] == two[24:]  # the double clicks, across processes: the same five flags
    assert set(one[24:29]) == set(one[29:])
    ids = list(store.flag_ids())
    assert len(ids) == len(set(ids)) == 24 + 24 + 5
    assert set(ids) == {*one, *two}
    assert files_in(store.folder / "blobs") == blobs_of(*store.flags())


def test_a_database_that_another_process_is_just_making_is_waited_for(sqlite_store):
    (sqlite_store.folder / "feedback.sqlite3").unlink()
    other = sqlite3.connect(sqlite_store.folder / "feedback.sqlite3", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # SQLite itself does not wait here: "database is locked" at once
    threading.Timer(0.2, other.rollback).start()
    sqlite_store.add(flag_of(1))
    other.close()


# ---- durable


def test_bytes_are_on_the_disk_before_their_name_and_names_before_the_commit(store, monkeypatch):
    happened = []
    sync, rename = os.fsync, os.replace

    def noted_sync(descriptor):
        happened.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).parent.name}")
        sync(descriptor)

    def noted_rename(source, target):
        happened.append(f"rename into {Path(target).parent.name}")
        rename(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to see which file is synced")
    flag = flag_of(1, restored=picture(("observed", 1)))  # one blob
    shelf = blob_name(flag.observed)[:2]
    event.listen(store.engine(), "commit", lambda connection: happened.append("commit"))
    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_rename)
    store.add(flag)
    written = happened[happened.index("sync incoming") :]
    # the bytes; the new shelf's name in its folder; the blob's name in its shelf; the row
    assert written == ["sync incoming", "sync feedback", f"rename into {shelf}", "sync blobs", "commit"]


def test_a_commit_is_synced(sqlite_store):
    with sqlite_store.engine().connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_what_a_killed_process_left_half_written_is_removed_and_a_living_ones_stays(store):
    store.add(flag_of(1))
    left, living = (store.folder / "blobs" / "incoming" / name for name in ("left", "living"))
    for file in (left, living):
        file.write_bytes(b"half")
    long_ago = time.time() - STALE_SECONDS - 1
    os.utime(left, (long_ago, long_ago))
    store.close()
    store.check()
    assert not left.exists()
    assert living.exists()


def test_a_damaged_image_is_named_and_flagging_it_again_repairs_it(store):
    flag = flag_of(1)
    store.add(flag)
    blob = store.folder / "blobs" / blob_name(flag.observed)[:2] / blob_name(flag.observed)
    blob.write_bytes(flag.observed[:-1] + b"?")
    with pytest.raises(DamagedBlobError, match=f"{flag.flag_id}.*damaged"):
        store.get(flag.flag_id)
    blob.unlink()
    with pytest.raises(DamagedBlobError, match=f"{flag.flag_id}.*missing"):
        store.get(flag.flag_id)
    store.add(flag_of(2, observed=flag.observed))
    assert store.get(flag.flag_id).observed == flag.observed


# ---- refused


def test_a_nearly_full_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    store = FeedbackStore(tmp_path, min_free_mb=200)
    flag = flag_of(1)
    usage = namedtuple("usage", "total used free")
    free = 200_000_000 + sum(map(len, flag.images.values()))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free * 2, free, free - 1))
    with pytest.raises(FeedbackError, match="the flag was not saved: the disk is full"):
        store.add(flag)
    assert files_in(store.folder / "blobs") == set()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free * 2, free, free))
    saved = store.add(flag)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free * 2, free * 2, 0))
    assert store.add(flag) == saved  # it is saved: a full disk does not unsay that
    with pytest.raises(FeedbackError, match="flags cannot be saved: the disk is full"):
        store.check()


def test_a_disk_that_fills_at_any_moment_leaves_no_trace_of_the_flag(store, monkeypatch):
    before = flag_of(1)
    store.add(before)
    sync, said = os.fsync, []

    def save_on_a_disk_that_is_full_at_sync(flag: Flag, failing: int) -> bool:
        calls = iter(range(100))

        def full(descriptor):
            if next(calls) == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            sync(descriptor)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            try:
                store.add(flag)
            except FeedbackError as refusal:
                said.append(str(refusal))
                return False
        return True

    moments = 0
    # each flag shares a blob with one that must survive, and brings one of its own
    while not save_on_a_disk_that_is_full_at_sync(flag_of(10 + moments, observed=before.observed), moments):
        moments += 1
        assert files_in(store.folder / "blobs") == blobs_of(before)
        assert store.get(before.flag_id).observed == before.observed
    assert all(sentence.startswith("the flag was not saved: the disk is full") for sentence in said)
    assert moments >= 4  # two files, and a name in each one's shelf
    assert [stored.client_token for stored in store.flags()] == ["token-1", f"token-{10 + moments}"]


def test_a_database_that_cannot_grow_leaves_no_trace_of_the_flag(sqlite_store):
    first = flag_of(1)
    sqlite_store.add(first)
    big = flag_of(2, observed=first.observed, comment="x" * 10_000, controls={"text": "y" * 90_000})
    with sqlite_store.engine().connect() as connection:  # the only connection of the pool: the next add has it
        connection.exec_driver_sql("PRAGMA max_page_count=1")  # SQLite takes the size it has: no page more
    with pytest.raises(FeedbackError, match="the flag was not saved: the disk is full"):
        sqlite_store.add(big)
    assert files_in(sqlite_store.folder / "blobs") == blobs_of(first)
    sqlite_store.close()
    sqlite_store.add(big)
    assert [flag.flag_id for flag in sqlite_store.flags()] == [first.flag_id, big.flag_id]


def fill_up(folder: Path) -> tuple[list[str], list[str]]:
    """In a process whose files may not grow beyond 500 kB: ids acknowledged, and what refusals said."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    store, saved, refused = FeedbackStore(folder, min_free_mb=0), [], []
    for number in range(40):
        big = {"observed": picture(number, side=800)} if number == 3 else {}
        try:
            saved.append(store.add(flag_of(number, comment="x" * 9_000, **big)).flag_id)
        except FeedbackError as refusal:
            refused.append(str(refusal))
    return saved, refused


def test_a_process_whose_files_cannot_grow_keeps_what_it_acknowledged(sqlite_store):
    with ProcessPoolExecutor(1, mp_context=PROCESSES) as process:
        saved, refused = process.submit(fill_up, sqlite_store.folder.parent).result(timeout=60)
    assert len(saved) > 3  # it went on after the picture that was too large
    assert len(refused) > 1  # and then its database could not grow
    assert all(said.startswith("the flag was not saved: ") and "\n" not in said for said in refused)
    assert [flag.flag_id for flag in sqlite_store.flags()] == saved
    assert files_in(sqlite_store.folder / "blobs") == blobs_of(*sqlite_store.flags())
    sqlite_store.add(flag_of(100))


def add_as_nobody(folder: Path) -> str:
    flag = flag_of(1)
    if os.geteuid() == 0:
        os.seteuid(65534)  # root may write everywhere
    with pytest.raises(FeedbackError) as refusal:
        FeedbackStore(folder, min_free_mb=0).add(flag)
    return str(refusal.value)


def test_a_folder_that_cannot_be_written_is_one_clear_sentence(tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(FeedbackError, match="the flag was not saved: DECONVDEMO_DATA_DIR cannot be used"):
        FeedbackStore(tmp_path / "a file").add(flag_of(1))
    (tmp_path / "read-only").mkdir(mode=0o555)
    with ProcessPoolExecutor(1, mp_context=PROCESSES) as process:
        said = process.submit(add_as_nobody, tmp_path / "read-only").result(timeout=60)
    assert "the flag was not saved: DECONVDEMO_DATA_DIR cannot be used (Permission denied)" in said


def test_a_newer_database_is_refused_and_left_alone(sqlite_store):
    sqlite_store.add(flag_of(1))
    sqlite_store.close()
    with sqlite3.connect(sqlite_store.folder / "feedback.sqlite3") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(FeedbackError, match=r"has version 9999 but this deconvdemo knows 0008.*update"):
        sqlite_store.add(flag_of(2))
    with pytest.raises(FeedbackError, match="update"):
        stats(sqlite_store)


def test_a_file_that_is_no_database_is_one_clear_sentence(sqlite_store):
    (sqlite_store.folder / "feedback.sqlite3").write_text("these are my notes, please keep them" * 100)
    with pytest.raises(FeedbackError, match="file is not a database"):
        sqlite_store.add(flag_of(1))
    assert "my notes" in (sqlite_store.folder / "feedback.sqlite3").read_text()


@pytest.mark.parametrize("url", ["mysql://here/feedback", "no url"])
def test_a_database_of_another_kind_is_refused(tmp_path, url):
    with pytest.raises(FeedbackError, match="DECONVDEMO_DATABASE_URL"):
        FeedbackStore(tmp_path, database_url=url).add(flag_of(1))


def test_rows_may_be_in_a_database_elsewhere(tmp_path):
    flag = flag_of(1)
    elsewhere = f"sqlite:///{tmp_path / 'rows.sqlite3'}"
    FeedbackStore(tmp_path / "data", database_url=elsewhere).add(flag)
    assert list(FeedbackStore(tmp_path / "data", database_url=elsewhere).flag_ids()) == [flag.flag_id]
    assert list(FeedbackStore(tmp_path / "data").flag_ids()) == []
