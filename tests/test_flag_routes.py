"""What a flag's visitor can ask: its state, and its erasure by the private link alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from feedback_flags import NASTY_COMMENTS, flag_of
from sqlalchemy import insert, update
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deconvdemo.evaluation.lineage import helped_train
from deconvdemo.feedback.review.lineage import note_weights
from deconvdemo.feedback.store.tables import flags, shards
from deconvdemo.web.restore.flag_routes import erase_link, flag_routes


@pytest.fixture
def visit(store) -> TestClient:
    return TestClient(Starlette(routes=flag_routes(store, lambda commit: f"https://hub.example/{commit}")))


def shard(store, state: str) -> None:
    with store.writing() as connection:
        values = {"kind": "flags", "path": state, "sha256": "", "bytes": 1, "rows": 1, "state": state}
        row = insert(shards).values({**values, "commit": "c0ffee", "created_at": ""}).returning(shards.c.shard)
        connection.execute(update(flags).values(shard=connection.execute(row).scalar_one()))


def test_a_flags_state_is_told_and_nothing_else(store, visit):
    saved = store.add(flag_of(1, comment="secret", visitor="someone"))
    url = f"/flags/{saved.flag_id}"
    assert visit.get(url).json() == {"flag_id": saved.flag_id, "state": "saved"}
    shard(store, "sending")
    assert visit.get(url).json()["state"] == "publishing"
    shard(store, "committed")
    published = {"state": "published", "revision": "c0ffee", "url": "https://hub.example/c0ffee"}
    assert visit.get(url).json() == {"flag_id": saved.flag_id, **published}
    assert visit.get("/flags/nobody").status_code == 404


def test_a_flags_page_says_what_it_helped_train(store):
    lines = [
        {"what": "promoted", "name": "denoise", "sha256": "a", "learned": ["other"]},  # of an earlier version
        {"what": "promoted", "name": "upscale-x2", "sha256": "b", "learned": []},
        {"what": "rolled back", "name": "denoise", "sha256": "0"},
        {"what": "promoted", "name": "denoise", "sha256": "c"},
    ]
    weights: Any = SimpleNamespace(history=lambda: lines, past=lambda sha256: None)
    routes = flag_routes(store, lambda commit: "", lambda flag_id: helped_train(store, weights, flag_id))
    visit, saved = TestClient(Starlette(routes=routes)), store.add(flag_of(1))
    link = "/" + erase_link(saved.flag_id, saved.erase_key)
    assert "helped train" not in visit.get(link).text
    assert "helped_train" not in visit.get(f"/flags/{saved.flag_id}").json()
    recipe = {"parent": "a", "flags": {"from": "a snapshot"}, "learned": ["other", saved.flag_id]}
    note_weights(store, "denoise", "c", "", {}, recipe)
    assert "Your flag helped train denoise v3." in visit.get(link).text
    assert visit.get(f"/flags/{saved.flag_id}").json()["helped_train"] == ["denoise v3"]
    assert helped_train(store, weights, "other") == ["denoise v2", "denoise v3"]
    visit.post(f"/erase/{saved.flag_id}", data={"key": saved.erase_key})
    assert "helped_train" not in visit.get(f"/flags/{saved.flag_id}").json()


def test_only_the_button_erases(store, visit):
    saved = store.add(flag_of(1))
    link = "/" + erase_link(saved.flag_id, saved.erase_key)
    for _ in range(2):  # a messenger that previews the link, and then the visitor
        shown = visit.get(link)
        assert (shown.status_code, store.totals()["flags"]) == (200, 1)
    assert "Erase it?" in shown.text
    assert shown.headers["referrer-policy"] == "no-referrer"
    gone = visit.post(f"/erase/{saved.flag_id}", data={"key": saved.erase_key})
    assert "1 flag" in gone.text
    assert store.totals() == {"flags": 0, "verdicts": 0, "votes": 0, "bytes": 0}
    assert not [file for file in (store.folder / "blobs").rglob("*") if file.is_file()]
    assert visit.get(f"/flags/{saved.flag_id}").json()["state"] == "erased"
    assert "erased already" in visit.get(link).text


def test_another_flags_key_opens_nothing(store, visit):
    mine, other = store.add(flag_of(1)), store.add(flag_of(2))
    for key in (other.erase_key, "", "0" * 64, mine.flag_id):
        assert visit.get(f"/erase/{mine.flag_id}", params={"key": key}).status_code == 404
        assert visit.post(f"/erase/{mine.flag_id}", data={"key": key}).status_code == 403
    assert store.totals()["flags"] == 2


@pytest.mark.parametrize("comment", NASTY_COMMENTS)
def test_comments_are_text(store, visit, comment):
    saved = store.add(flag_of(1, comment=comment))
    page = visit.get("/" + erase_link(saved.flag_id, saved.erase_key)).text
    assert "<script" not in page
    assert "<img" not in page


def test_a_flag_erased_by_someone_else_meanwhile_is_said(store, visit):
    saved = store.add(flag_of(1))
    for expected in ("1 flag,", "0 flags,"):
        assert expected in visit.post(f"/erase/{saved.flag_id}", data={"key": saved.erase_key}).text


def test_a_flag_sent_again_has_the_same_link(store):
    assert store.add(flag_of(1)) == store.add(flag_of(1))
