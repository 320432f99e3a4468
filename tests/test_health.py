"""/healthz is true: 503 when a flag could not be stored, and what each thread behind the demo found last."""

from __future__ import annotations

import shutil
import threading
from types import SimpleNamespace

import pytest
from feedback_flags import flag_of
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback import background
from deconvdemo.feedback.dataset.erase import erase_by_key
from deconvdemo.feedback.dataset.publish import NoPublisher, Publisher
from deconvdemo.feedback.store.blobs import RemoteBlobs
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import commits
from deconvdemo.heartbeat import Look
from deconvdemo.redaction import without_places
from deconvdemo.web.restore.flag_routes import flag_routes
from deconvdemo.web.server.health import health_route


@pytest.fixture
def visit(store, restorer):
    routes = [health_route(restorer, store, NoPublisher(), {}), *flag_routes(store, str)]
    return TestClient(Starlette(routes=routes))


def taken_away(store) -> None:
    store.folder.rename(store.folder.with_name("moved"))


def images_taken_away(store) -> None:
    shutil.rmtree(store.folder / "blobs")


def made_anew(store) -> None:
    """As when a disk is mounted over it: another file of the same name."""
    if not (file := store.folder / "feedback.sqlite3").exists():
        pytest.skip("the rows are in PostgreSQL")
    file.rename(store.folder / "old")
    file.write_bytes((store.folder / "old").read_bytes())


def nearly_full(store) -> None:
    store._min_free = 10**18


@pytest.mark.parametrize("lost", [taken_away, images_taken_away, made_anew, nearly_full])
def test_health_fails_when_a_flag_could_not_be_stored(store, visit, lost):
    store.add(flag_of(1))
    assert visit.get("/healthz").json()["status"] == "ok"
    lost(store)
    answer = visit.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (503, "failing")
    assert str(store.folder.parent) not in answer.text
    with pytest.raises(FeedbackError):
        store.add(flag_of(2))


@pytest.mark.parametrize("lost", [taken_away, images_taken_away, made_anew])
def test_an_erasure_in_a_lost_folder_does_not_say_erased(store, visit, lost):
    saved = store.add(flag_of(1))
    lost(store)
    answer = visit.post(f"/erase/{saved.flag_id}", data={"key": saved.erase_key})
    assert answer.status_code == 503
    assert "<h1>Nothing was erased</h1>" in answer.text
    with pytest.raises(FeedbackError):
        erase_by_key(store, saved.flag_id, saved.erase_key)


def test_a_folder_that_comes_back_is_used_again(sqlite_store):
    saved = sqlite_store.add(flag_of(1))
    taken_away(sqlite_store)
    with pytest.raises(FeedbackError, match="not what it was when the demo opened it: bring it back"):
        sqlite_store.check()
    sqlite_store.folder.with_name("moved").rename(sqlite_store.folder)
    sqlite_store.check()
    assert list(sqlite_store.ids()) == [saved.flag_id]


def test_a_database_that_may_not_be_written_is_told(sqlite_store):
    sqlite_store.add(flag_of(1))
    with sqlite_store.engine().connect() as connection:  # the one of the pool, which the next look gets
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(FeedbackError, match="readonly"):
        sqlite_store.check()


def test_health_tells_what_watches_and_since_when(sqlite_store, restorer):
    good, bad = Look(), Look()
    good.took_place("it was busy")
    good.took_place()
    bad.took_place("/srv/secret/index.json is damaged")
    looks = {"good": good, "bad": bad, "new": Look()}
    visit = TestClient(Starlette(routes=[health_route(restorer, sqlite_store, NoPublisher(), looks)]))
    told = visit.get("/healthz").json()["watchers"]
    assert (told["good"]["error"], told["bad"]["error"]) == ("", "index.json is damaged")
    assert (told["good"]["last_error"], told["good"]["last_error_at"]) == ("it was busy", told["good"]["last_look"])
    assert told["new"] == {**Look().facts(), "last_look": None, "age_seconds": None, "error": ""}
    assert 0 <= told["good"]["age_seconds"] < 30


def test_work_behind_the_demo_goes_on_after_what_nobody_foresaw(monkeypatch):
    monkeypatch.setattr(background, "PAUSE", 0.01)
    look, again, calls = Look(), threading.Event(), []

    def piece() -> bool:
        calls.append(look.error)
        if len(calls) == 1:
            raise ZeroDivisionError
        again.set()
        return False

    background.in_background("a test", piece, "it does not work", look)
    assert again.wait(10)
    assert calls[1] == "unexpected ZeroDivisionError, see the log"


def test_a_publisher_waits_by_a_clock_that_is_never_set(sqlite_store):
    wall, steady = [1_800_000_000.0], [50.0]
    hub = SimpleNamespace(repo="a/b", url=str)
    one = Publisher(sqlite_store, hub, clock=lambda: wall[0], steady=lambda: steady[0])
    one.publish = lambda: (_ for _ in ()).throw(FeedbackError("not now"))
    one.round()
    due = one._next
    wall[0] -= 10 * 86400
    assert steady[0] < due <= steady[0] + 5
    with sqlite_store.writing() as connection:
        connection.execute(insert(commits), [{"moment": 1_800_000_000.0}] * 20)
    assert one.publication._wait_for_the_hour() == 0  # they were made before the clock was set back
    assert one.look.error == "not now"


SECRETS = ("hunter2", "/var/run", "10.0.0.5", "ada")


def test_what_a_database_says_of_itself_is_for_the_log(caplog):
    said = 'connection to "postgresql://ada:hunter2@10.0.0.5/db" on socket "/var/run/postgresql/.s.PGSQL.5432" failed'
    error = OperationalError("SELECT 1", {}, type("Error", (Exception,), {"__module__": "psycopg"})(said))
    with pytest.raises(FeedbackError) as refusal, refusals("it cannot be read"):
        raise error
    assert not [secret for secret in SECRETS if secret in str(refusal.value)]
    assert "hunter2" not in caplog.text
    assert "postgresql://" in caplog.text


def test_a_bucket_says_no_secrets(tmp_path):
    with pytest.raises(FeedbackError) as refusal:
        FeedbackStore(tmp_path, blobs_url="nonsense://ada:hunter2@10.0.0.5/bucket").check()
    assert not [secret for secret in SECRETS if secret in str(refusal.value)]
    bucket = RemoteBlobs("memory://x")
    bucket.open()
    bucket._fs = SimpleNamespace(info=lambda path: (_ for _ in ()).throw(OSError("ada hunter2 at 10.0.0.5")))
    with pytest.raises(OSError, match="does not do its part") as failure:
        bucket.size("name")
    assert not [secret for secret in SECRETS if secret in str(failure.value)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/ada/weights/index.json is not an index", "index.json is not an index"),
        ("hf://ada/weights@main/x.safetensors and https://hub/a/b/c", None),
        ("denoise and/or upscale, 24/7, 1/2", None),
        (r"C:\Users\ada\x.safetensors is damaged", "x.safetensors is damaged"),
        ("s3://key:secret@host/bucket failed", "s3://host/bucket failed"),
        ("see '/var/run/postgresql/.s.PGSQL.5432'", "see '.s.PGSQL.5432'"),
        ("bundled", None),
    ],
)
def test_strangers_are_told_names_and_no_places(text, told):
    assert without_places(text) == (told or text)
