"""Images in a bucket, by any file system that fsspec knows: the store's laws hold there, too."""

from __future__ import annotations

from uuid import uuid4

import fsspec
import pytest
from feedback_flags import flag_of, picture

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.store.blobs import DamagedBlobError, RemoteBlobs, blob_name
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.sweeping import sweep, tidy


@pytest.fixture
def url() -> str:
    return f"memory://bucket-{uuid4().hex}/images"


@pytest.fixture
def store(tmp_path, url):
    store = FeedbackStore(tmp_path, min_free_mb=0, blobs_url=url)
    yield store
    store.close()


def files_in(url: str) -> set[str]:
    files, root = fsspec.core.url_to_fs(url)
    return {path.rpartition("/")[2] for path in files.find(root)}


def test_images_are_in_the_bucket_and_only_there(store, url, tmp_path):
    flag = flag_of(1, mask=picture("mask"))
    store.add(flag)
    assert files_in(url) == {blob_name(data) for data in flag.images.values()}
    assert store.get(flag.flag_id).images == flag.images
    assert not [file for file in tmp_path.rglob("*") if file.suffix in (".png", ".webp")]


def test_another_process_with_the_same_bucket_reads_them(store, url, tmp_path):
    saved = store.add(flag_of(1))
    assert FeedbackStore(tmp_path, blobs_url=url + "/").get(saved.flag_id).observed == flag_of(1).observed


def test_a_damaged_or_missing_object_is_named(store, url):
    flag = flag_of(1)
    store.add(flag)
    files, root = fsspec.core.url_to_fs(url)
    name = blob_name(flag.observed)
    files.pipe_file(f"{root}/{name[:2]}/{name}", flag.observed[:-1] + b"?")
    with pytest.raises(DamagedBlobError, match="is damaged"):
        store.get(flag.flag_id)
    files.rm_file(f"{root}/{name[:2]}/{name}")
    with pytest.raises(DamagedBlobError, match="is missing"):
        store.get(flag.flag_id)
    store.add(flag_of(2, observed=flag.observed))  # the same image again: it is brought back
    assert store.get(flag.flag_id).observed == flag.observed


def test_a_flag_that_failed_leaves_nothing_and_takes_nothing_away(store, url, monkeypatch):
    first = flag_of(1)
    store.add(first)
    monkeypatch.setattr(store, "insert", lambda *arguments: (_ for _ in ()).throw(OSError(5, "no answer")))
    with pytest.raises(FeedbackError, match="the flag was not saved"):
        store.add(flag_of(2, observed=first.observed))
    assert files_in(url) == {blob_name(data) for data in first.images.values()}


def test_removed_flags_take_their_images_along(store, url):
    first, second = flag_of(1), flag_of(2, observed=flag_of(1).observed)
    store.add(first)
    store.add(second)
    with store.writing() as connection:
        store.remove(connection, KINDS["flags"], first.flag_id)
    assert sweep(store) == 1
    assert files_in(url) == {blob_name(data) for data in second.images.values()}


def test_what_a_killed_process_left_in_the_bucket_is_tidied(store, url, monkeypatch):
    saved = flag_of(1)
    store.add(saved)
    lost = picture("lost")
    with store.blobs.staged({blob_name(lost): lost}):
        pass  # uploaded, and then the process was killed
    assert tidy(store) == 0  # it may be a living process's
    monkeypatch.setattr("deconvdemo.feedback.store.sweeping.STALE_SECONDS", -1)
    assert tidy(store) == 1
    assert files_in(url) == {blob_name(data) for data in saved.images.values()}


def test_a_bucket_of_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(FeedbackError, match="DECONVDEMO_BLOBS_URL cannot be opened: correct it"):
        FeedbackStore(tmp_path, blobs_url="nowhere://x").check()


def test_a_bucket_that_does_not_answer_is_one_sentence(tmp_path, monkeypatch, url):
    store = FeedbackStore(tmp_path, blobs_url=url, min_free_mb=0)
    store.check()
    assert isinstance(store.blobs, RemoteBlobs)
    monkeypatch.setattr(store.blobs._fs, "pipe_file", lambda *arguments: (_ for _ in ()).throw(TimeoutError("slow")))
    with pytest.raises(FeedbackError, match=r"the flag was not saved: .*DECONVDEMO_BLOBS_URL"):
        store.add(flag_of(1))
