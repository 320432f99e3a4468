"""The review page's routes: strangers get nothing, reviewers what is theirs, and every verdict carries its author."""

from __future__ import annotations

import time

import pytest
from feedback_flags import NASTY_COMMENTS, flag_of, picture
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deconvdemo.feedback.erase import erase
from deconvdemo.feedback.review import ReviewQueue
from deconvdemo.ui import review_routes as routes_module
from deconvdemo.ui.review_routes import review_routes
from deconvdemo.ui.reviewers import HOURS, Reviewers

ADDRESSES = (
    "/review/queue",
    "/review/counts",
    "/review/flags/{flag}",
    "/review/flags/{flag}/observed",
    "/review/flags/{flag}/restored",
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(routes_module, "WRONG_WAIT", 0.0)


def visitor(store, password="", local=False, address="127.0.0.1", host="http://127.0.0.1", clock=time.time, needed=1):
    routes = review_routes(ReviewQueue(store, needed), Reviewers(store, password, local, clock))
    return TestClient(Starlette(routes=routes), base_url=host, client=(address, 5000), follow_redirects=False)


def signed_in(store, name: str, **options) -> TestClient:
    client = visitor(store, "word", **options)
    assert client.post("/review/sign_in", data={"name": name, "password": "word"}).status_code == 303
    return client


def decide(client: TestClient, flag_id: str, decision: str = "accept", **more):
    return client.post("/review/verdicts", json={"flag_id": flag_id, "decision": decision, **more})


@pytest.mark.parametrize(
    "stranger",
    [
        {},
        {"local": True, "address": "203.0.113.7"},
        {"local": True, "host": "http://evil.example"},  # a name of another site that leads to this machine
        {"password": "word"},
        {"password": "word", "local": True},
    ],
    ids=str,
)
def test_a_stranger_gets_no_page_no_answer_and_no_image(store, stranger):
    flag_id = store.add(flag_of(1, comment="secret words")).flag_id
    client = visitor(store, **stranger)
    page = client.get("/review")
    assert page.status_code == (200 if stranger.get("password") else 404)
    assert 'id="filters"' not in page.text
    for address in ADDRESSES:
        answer = client.get(address.format(flag=flag_id))
        assert answer.status_code in (401, 404)
        assert "secret words" not in answer.text
        assert not answer.headers["content-type"].startswith("image")
    assert decide(client, flag_id).status_code in (401, 404)
    assert store.totals()["verdicts"] == 0


def test_a_proxy_in_front_of_this_machine_is_no_local_user(store):
    client = visitor(store, local=True)
    assert client.get("/review/queue").status_code == 200
    assert client.get("/review/queue", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 404


def test_a_wrong_password_a_forged_cookie_and_an_old_one_open_nothing(store):
    client = visitor(store, "word")
    wrong = client.post("/review/sign_in", data={"name": "ada", "password": "Word"})
    assert "not%20the%20reviewers" in wrong.headers["location"]
    assert client.post("/review/sign_in", data={"name": " ", "password": "word"}).headers["location"] != "../review"
    assert client.get("/review/queue").status_code == 401

    good = signed_in(store, "ada")
    assert good.get("/review/queue").json()["reviewer"] == "ada"
    cookie = good.cookies["deconvdemo_reviewer"].strip('"')
    for forged in (
        cookie[:-1] + ("0" if cookie[-1] != "0" else "1"),
        "x" + cookie,
        "bm8=." + cookie.split(".")[1],
        "",
        ".",
    ):
        client.cookies.set("deconvdemo_reviewer", forged)
        assert client.get("/review/queue").status_code == 401
    later = visitor(store, "word", clock=lambda: time.time() + HOURS * 3600 + 60)
    later.cookies.set("deconvdemo_reviewer", cookie)
    assert later.get("/review/queue").status_code == 401
    changed = visitor(store, "another word")
    changed.cookies.set("deconvdemo_reviewer", cookie)
    assert changed.get("/review/queue").status_code == 401
    replica = visitor(store, "word")  # another process of the same database
    replica.cookies.set("deconvdemo_reviewer", cookie)
    assert replica.get("/review/queue").status_code == 200


def test_the_cookie_is_for_this_site_alone_and_not_for_scripts(store):
    client = visitor(store, "word", host="https://demo.example")
    header = client.post("/review/sign_in", data={"name": "ada", "password": "word"}).headers["set-cookie"].lower()
    assert all(word in header for word in ("httponly", "samesite=strict", "secure"))


def test_a_form_of_another_site_cannot_judge(store):
    flag_id, client = store.add(flag_of(1)).flag_id, signed_in(store, "ada")
    answer = client.post("/review/verdicts", data={"flag_id": flag_id, "decision": "accept"})
    assert answer.status_code == 415
    assert store.totals()["verdicts"] == 0


def test_a_verdict_carries_its_author_and_one_token_is_one(store):
    flag_id, client = store.add(flag_of(1)).flag_id, signed_in(store, "Ada Lovelace")
    told = {"reasons": ["halo"], "comment": "at the roof", "client_token": "t", "reviewer": "somebody else"}
    first, again = (decide(client, flag_id, "reject", **told).json() for _ in range(2))
    assert first == again == {"verdict_id": first["verdict_id"], "mine": "reject"}
    (verdict,) = store.events("verdicts")
    assert (verdict.reviewer, verdict.decision, verdict.reasons, verdict.comment) == (
        "Ada Lovelace",
        "reject",
        ("halo",),
        "at the roof",
    )


def test_others_opinions_are_told_after_ones_own(store):
    flag_id = store.add(flag_of(1)).flag_id
    ada, bob = signed_in(store, "ada", needed=2), signed_in(store, "bob", needed=2)
    decide(ada, flag_id, "accept")
    assert bob.get(f"/review/flags/{flag_id}").json()["opinions"] is None
    assert bob.get("/review/queue").json()["flags"] == [flag_id]
    decide(bob, flag_id, "reject")
    opinions = bob.get(f"/review/flags/{flag_id}").json()["opinions"]
    assert (opinions["accepted"], opinions["rejected"], opinions["disputed"]) == (1, 1, True)
    assert ada.get("/review/queue?status=disputed").json()["flags"] == [flag_id]


def test_a_flag_is_shown_with_its_images_and_its_words_as_text(store):
    for number, comment in enumerate(NASTY_COMMENTS):
        flag_id = store.add(flag_of(number, comment=comment, mask=picture("mask"))).flag_id
        client = signed_in(store, "ada")
        facts = client.get(f"/review/flags/{flag_id}")
        assert facts.headers["content-type"] == "application/json"
        assert facts.json()["comment"] == comment
        assert facts.json()["images"]["observed"]["width"] == 8
    image = client.get(f"/review/flags/{flag_id}/mask")
    assert (image.content, image.headers["content-type"]) == (picture("mask"), "image/png")
    assert "private" in image.headers["cache-control"]
    assert client.get(f"/review/flags/{flag_id}/clean").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'"x"',
        b'{"flag_id": 7}',
        b'{"flag_id": "f", "decision": "maybe"}',
        b'{"reasons": 3}',
        b"x" * 100_001,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_verdict_that_is_none_is_one_sentence(store, body):
    client = signed_in(store, "ada")
    answer = client.post("/review/verdicts", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("query", ["status=x", "sort=x", "limit=x", "since=1", "after=nobody"])
def test_a_view_that_is_none_is_one_sentence(store, query):
    answer = signed_in(store, "ada").get(f"/review/queue?{query}")
    assert answer.status_code == (200 if query.startswith("after") else 400)


def test_a_flag_erased_while_it_is_open_says_so(store):
    flag_id, client = store.add(flag_of(1)).flag_id, signed_in(store, "ada")
    client.get(f"/review/flags/{flag_id}")
    erase(store, [flag_id])
    assert "was erased while you looked at it" in decide(client, flag_id).json()["error"]
    assert client.get(f"/review/flags/{flag_id}/observed").status_code == 400
