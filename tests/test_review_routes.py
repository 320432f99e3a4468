"""The review page's routes: strangers get nothing, reviewers what is theirs, and every verdict carries its author."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from demo_app import png
from feedback_flags import NASTY_COMMENTS, flag_of, picture
from PIL import Image
from pyarrow.parquet import read_table
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.review.gold_items import Accuracy, GoldItems
from deconvdemo.feedback.review.likeness import Likenesses
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.image.metrics import psnr
from deconvdemo.web.review import routes as routes_module
from deconvdemo.web.review.reviewers import HOURS, Reviewers
from deconvdemo.web.review.routes import review_routes
from deconvdemo.web.review.service import ReviewService

ADDRESSES = (
    "/review/queue",
    "/review/counts",
    "/review/flags/{flag}",
    "/review/flags/{flag}/observed",
    "/review/flags/{flag}/restored",
    "/review/flags/{flag}/observed?small",
    "/review/flags/{flag}/metrics",
    "/review/cards?id={flag}",
    "/review/audit",
    "/review/verdicts/{flag}/clean",
)


@pytest.fixture
def store(sqlite_store):
    """The queue itself is tested on both databases, in test_feedback_review.py."""
    return sqlite_store


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(routes_module, "WRONG_WAIT", 0.0)


def visitor(
    store,
    password="",
    local=False,
    address="127.0.0.1",
    host="http://127.0.0.1",
    clock=time.time,
    needed=1,
    restorer=None,
):
    desk = ReviewService(ReviewQueue(store, needed), restorer, 1_000_000)
    app = Starlette(routes=review_routes(desk, Reviewers(store, password, local, clock=clock)))
    page = {"X-Deconvdemo": "page"}
    return TestClient(app, base_url=host, client=(address, 5000), follow_redirects=False, headers=page)


def signed_in(store, name: str, **options) -> TestClient:
    client = visitor(store, "word", **options)
    assert client.post("/review/sign_in", data={"name": name, "password": "word"}).status_code == 303
    return client


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


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
    for address in ("verdicts/bulk", f"flags/{flag_id}/rerun", f"flags/{flag_id}/catch"):
        answer = client.post(f"/review/{address}", json={"flag_ids": [flag_id], "decision": "accept"})
        assert answer.status_code in (401, 404)
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
    client.cookies.set(
        "deconvdemo_reviewer", good.cookies["deconvdemo_browser"].strip('"')
    )  # signed, but for another use
    assert client.get("/review/queue").status_code == 401
    slow = visitor(store, "word", clock=lambda: time.time() - 5)  # its clock is behind that of who signed
    slow.cookies.set("deconvdemo_reviewer", cookie)
    assert slow.get("/review/queue").status_code == 200
    replica = visitor(store, "word")  # another process of the same database
    replica.cookies.set("deconvdemo_reviewer", cookie)
    assert replica.get("/review/queue").status_code == 200


def test_the_cookie_is_for_this_site_alone_and_not_for_scripts(store):
    client = visitor(store, "word", host="https://demo.example")
    header = client.post("/review/sign_in", data={"name": "ada", "password": "word"}).headers["set-cookie"].lower()
    assert all(word in header for word in ("httponly", "samesite=strict", "secure"))


def test_a_form_of_another_site_cannot_judge(store):
    flag_id, client = store.add(flag_of(1)).flag_id, signed_in(store, "ada")
    del client.headers["X-Deconvdemo"]
    verdict = {"flag_id": flag_id, "decision": "accept"}
    for sent in (
        {"data": verdict},
        {"json": verdict},
        {"data": {"verdict": json.dumps(verdict)}, "files": {"clean": b""}},
    ):
        assert client.post("/review/verdicts", **sent).status_code == 415
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


def test_the_verdict_before_stands_again_with_all_that_went_with_it(store):
    flag_id, client = store.add(flag_of(1)).flag_id, signed_in(store, "ada")
    told = {"flag_id": flag_id, "reasons": ["halo"], "comment": "at the roof", "may_be_shown": True}
    painted = {**told, "decision": "accept", "region": painted_value(8, 8)}
    first = client.post("/review/verdicts", json=painted).json()["verdict_id"]
    client.post("/review/verdicts", json={"flag_id": flag_id, "decision": "reject"})
    again = {"flag_id": flag_id, "back_to": first, "client_token": "t"}
    for _ in range(2):  # a repetition stores nothing more
        assert client.post("/review/verdicts", json=again).json()["mine"] == "accept"
    assert store.totals()["verdicts"] == 3
    before, _, now = store.events("verdicts")
    assert (now.decision, now.reasons, now.comment, now.may_be_shown) == ("accept", ("halo",), "at the roof", True)
    assert now.images == before.images
    assert now.images["region"]
    for wrong in ({**again, "flag_id": store.add(flag_of(2)).flag_id}, {**again, "back_to": "0" * 32}):
        assert client.post("/review/verdicts", json={**wrong, "client_token": ""}).status_code == 400
    stranger = signed_in(store, "bob").post("/review/verdicts", json={**again, "client_token": ""})
    assert stranger.status_code == 400
    assert "not one of yours" in stranger.json()["error"]


def test_the_verdicts_of_a_page_that_is_left_are_stored_in_their_order(store):
    first, second = (store.add(flag_of(number)).flag_id for number in range(2))
    client = signed_in(store, "ada")
    said = [
        {"flag_id": first, "decision": "accept", "client_token": "a"},
        {"flag_id": first, "decision": "reject", "client_token": "b"},
        {"flag_ids": [second], "decision": "accept", "client_token": "c"},
        {"flag_id": "nobody", "decision": "accept"},
        7,
    ]
    assert client.post("/review/verdicts/several", json={"said": said}).json() == {"stored": 3}
    assert client.post("/review/verdicts/several", json={"said": said[:1]}).json() == {"stored": 1}  # it is there
    given = [(verdict.flag_id, verdict.decision) for verdict in store.events("verdicts")]
    assert given == [(first, "accept"), (first, "reject"), (second, "accept")]
    for none in ([], "x", [{}] * 101):
        assert client.post("/review/verdicts/several", json={"said": none}).status_code == 400


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
        b"x" * 2_000_001,
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


def painted_value(width, height):
    """What the painter sends: everything marked."""
    bits = base64.b64encode(bytes([255] * ((width * height + 7) // 8))).decode()
    return {"width": width, "height": height, "mask": {"width": width, "height": height, "bits": bits}}


def test_a_target_a_mask_and_a_painted_region_go_with_a_verdict(store):
    flag_id = store.add(flag_of(1, task="inpaint", mask=picture("mask"))).flag_id
    client = signed_in(store, "ada")
    said = {"flag_id": flag_id, "decision": "accept", "target": {"source": "upload"}, "mask": painted_value(8, 8)}
    said |= {"region": painted_value(8, 8)}
    target = picture("better", format="JPEG")
    answer = client.post("/review/verdicts", data={"verdict": json.dumps(said)}, files={"clean": ("t.jpg", target)})
    assert answer.status_code == 200, answer.text
    (verdict,) = store.events("verdicts")
    assert verdict.target == {"source": "upload"}
    assert np.array_equal(opened(verdict.clean), opened(target))
    assert opened(verdict.mask).min() == opened(verdict.region).min() == 255
    own = client.get(f"/review/flags/{flag_id}").json()["my_verdict"]
    assert set(own["images"]) == {"clean", "mask", "region"}
    address = f"/review/verdicts/{verdict.verdict_id}/clean"
    assert np.array_equal(opened(client.get(address).content), opened(target))
    stranger = signed_in(store, "bob")  # who has not judged the flag
    assert stranger.get(address).status_code == 400


@pytest.mark.parametrize(
    ("said", "clean", "why"),
    [
        ({}, b"no image", "not"),
        ({}, picture("other", side=9), "9×9 but the result is 8×8"),
        ({"mask": painted_value(9, 8)}, None, "another size"),
        ({"region": {"width": 8, "height": 8, "mask": {"width": 8, "height": 8, "bits": "AAAA"}}}, None, "incomplete"),
        ({"target": "x"}, picture("t"), "reload"),
    ],
)
def test_a_correction_that_is_none_is_one_sentence_and_nothing_is_stored(store, said, clean, why):
    flag_id, client = store.add(flag_of(1)).flag_id, signed_in(store, "ada")
    form = {"verdict": json.dumps({"flag_id": flag_id, "decision": "accept", **said})}
    files = {"clean": ("t.png", clean)} if clean else {"none": ("x", b"")}
    answer = client.post("/review/verdicts", data=form, files=files)
    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert store.totals()["verdicts"] == 0


def test_a_flag_is_run_again_with_other_settings(store, restorer):
    clean = picture("clean", side=24)
    flag = flag_of(1, observed=picture("o", side=24), restored=picture("r", side=24), clean=clean)
    flag_id = store.add(dataclasses.replace(flag, controls={"sigma": 10.0, "strength": 1.0, "gone": 3})).flag_id
    client = signed_in(store, "ada", restorer=restorer)
    again = client.post(f"/review/flags/{flag_id}/rerun", json={"controls": {"sigma": 40}})
    report = json.loads(again.headers["x-report"])
    expected = restorer.restore("denoise", picture("o", side=24), sigma=40, strength=1.0)
    assert np.array_equal(opened(again.content), expected.photo.pixels)
    assert report["controls"]["sigma"] == 40
    assert report["checkpoint"]["sha256"] == expected.checkpoint["sha256"]
    measured = client.get(f"/review/flags/{flag_id}/metrics").json()
    assert measured["restored"]["psnr"] == round(psnr(opened(flag.restored), opened(clean)), 2)
    assert report["metrics"]["psnr"] == round(psnr(expected.photo.pixels, opened(clean)), 2)
    wrong = client.post(f"/review/flags/{flag_id}/rerun", json={"controls": {"sigma": -1}})
    assert "sigma is -1" in wrong.json()["error"]


def test_a_mask_can_be_changed_and_run_again(store, restorer):
    holes = np.zeros((24, 24), np.uint8)
    holes[4:9, 4:9] = 255
    flag = flag_of(1, task="inpaint", observed=picture("o", side=24), restored=picture("r", side=24), mask=png(holes))
    flag_id = store.add(flag).flag_id
    client = signed_in(store, "ada", restorer=restorer)
    first = client.post(f"/review/flags/{flag_id}/rerun", json={})
    other = client.post(f"/review/flags/{flag_id}/rerun", json={"mask": painted_value(24, 24)})
    known = holes == 0
    assert np.array_equal(opened(first.content)[known], opened(flag.observed)[known])
    assert other.status_code == 400  # nothing known is left to fill from
    assert "mask" in other.json()["error"]


def test_many_flags_get_one_verdict_and_what_could_not_be_saved_is_named(store):
    ids = [store.add(flag_of(number)).flag_id for number in range(4)]
    erase(store, ids[3:])
    client = signed_in(store, "ada")
    said = {"flag_ids": ids, "decision": "reject", "client_token": "t"}
    found, again = (client.post("/review/verdicts/bulk", json=said).json() for _ in range(2))
    assert found == again
    assert found["saved"] == ids[:3]
    assert "erased" in found["refused"][ids[3]]
    assert [(v.flag_id, v.decision) for v in store.events("verdicts")] == [(flag_id, "reject") for flag_id in ids[:3]]
    for wrong in ([], "x", ["f"] * 101):
        assert client.post("/review/verdicts/bulk", json={**said, "flag_ids": wrong}).status_code == 400


def test_the_grid_shows_flags_of_one_picture_as_a_family(store):
    same = picture("same", side=64)
    ids = [store.add(flag_of(n, observed=same if n < 2 else picture(n, side=64))).flag_id for n in range(3)]
    assert Likenesses(store).note() == 3
    client = signed_in(store, "ada")
    cards = client.get("/review/cards", params={"id": [*ids, "nobody"]}).json()["cards"]
    assert [(card["flag_id"], card["alike"]) for card in cards] == [(ids[0], 1), (ids[1], 1), (ids[2], 0)]
    assert client.get(f"/review/queue?family={cards[0]['family']}&sort=oldest").json()["flags"] == ids[:2]
    small = client.get(f"/review/flags/{ids[0]}/observed?small")
    assert small.headers["content-type"] == "image/webp"
    erase(store, ids[:1])
    assert client.get(f"/review/flags/{ids[0]}/observed?small").status_code == 400


def test_the_audit_list_tells_who_but_not_what_before_ones_own_verdict(store):
    ids = [store.add(flag_of(number)).flag_id for number in range(2)]
    ada, bob = signed_in(store, "ada"), signed_in(store, "bob")
    for flag_id in ids:
        decide(ada, flag_id, "reject")
    decide(bob, ids[0], "accept")
    told = bob.get("/review/audit").json()["verdicts"]
    assert [(entry["reviewer"], entry["decision"]) for entry in told] == [
        ("bob", "accept"),
        ("ada", ""),
        ("ada", "reject"),
    ]
    assert len(bob.get(f"/review/audit?before={told[0]['verdict_id']}").json()["verdicts"]) == 2


def test_catch_items_come_to_every_reviewer_and_measure_them(store):
    ids = [store.add(flag_of(number)).flag_id for number in range(30)]
    ada, bob = signed_in(store, "ada"), signed_in(store, "bob")
    oldest = ids[0]  # the last page of the queue
    assert ada.post(f"/review/flags/{oldest}/catch", json={"decision": "reject"}).json() == {"catch": "reject"}
    decide(ada, oldest, "accept")  # one verdict is enough for other flags
    assert ada.get("/review/queue?limit=10").json()["flags"] == ids[:-11:-1]
    page = bob.get("/review/queue?limit=10").json()["flags"]
    assert oldest in page[:-1]
    assert [flag_id for flag_id in page if flag_id != oldest] == ids[:-11:-1]
    decide(bob, oldest, "reject")
    catches = GoldItems(store)
    assert catches.accuracy() == [Accuracy("bob", 1, 1)]  # ada knows the truth, since she stated it
    assert ada.post(f"/review/flags/{oldest}/catch", json={"decision": "maybe"}).status_code == 400
    refused = bob.post(f"/review/flags/{oldest}/catch", json={"decision": ""})
    assert "somebody else stated what is true" in refused.json()["error"]
    told = [client.get(f"/review/flags/{oldest}").json()["catch"] for client in (ada, bob)]
    assert told == ["reject", ""]  # bob must not know which they are
    ada.post(f"/review/flags/{oldest}/catch", json={"decision": ""})
    assert catches.all() == {}


def test_verdicts_from_before_a_flag_became_a_catch_item_do_not_count(store):
    flag_id = store.add(flag_of(1)).flag_id
    bob = signed_in(store, "bob")
    decide(bob, flag_id, "accept")
    GoldItems(store).set(flag_id, "reject", "command")
    assert GoldItems(store).accuracy() == []
    decide(bob, flag_id, "reject")
    assert GoldItems(store).accuracy() == [Accuracy("bob", 1, 1)]


def test_an_owner_decides_sees_the_catch_items_and_takes_everything_away(store):
    """The owners' password signs in as one; a name beside the reviewers' password proves nothing."""
    ids = [store.add(flag_of(number)).flag_id for number in range(2)]
    app = Starlette(
        routes=review_routes(
            ReviewService(ReviewQueue(store, 2), None, 1_000_000),
            Reviewers(store, "word", owner_password="key", owners=frozenset({"olga"})),
        )
    )

    def client(name, password):
        made = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False, headers={"X-Deconvdemo": "page"})
        assert made.post("/review/sign_in", data={"name": name, "password": password}).status_code == 303
        return made

    ada, bob, false_olga = (client(name, "word") for name in ("ada", "bob", "olga"))
    olga = client("O", "key")
    for reviewer, decision in ((ada, "accept"), (bob, "accept"), (false_olga, "reject")):
        decide(reviewer, ids[0], decision)
    assert [verdict.adjudicates for verdict in store.events("verdicts")] == [False] * 3
    decide(olga, ids[0], "reject", comment="no", may_be_shown=True)
    opinions = ada.get(f"/review/flags/{ids[0]}").json()["opinions"]
    assert (opinions["consensus"], opinions["ruled_by"], opinions["why"]) == ("reject", "O", "no")
    ada.post(f"/review/flags/{ids[1]}/catch", json={"decision": "accept"})
    assert [one.get(f"/review/flags/{ids[1]}").json()["catch"] for one in (olga, bob)] == ["accept", ""]
    cards = olga.get(f"/review/cards?id={ids[0]}&id={ids[1]}").json()["cards"]
    assert [card["catch"] for card in cards] == ["", "accept"]
    olga.post(f"/review/flags/{ids[1]}/catch", json={"decision": ""})
    assert GoldItems(store).all() == {}

    def taken(who):
        answer = who.get("/review/export?format=parquet&status=all")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            files = [name for name in archive.namelist() if name.endswith(".parquet")]
            rows = {name: len(read_table(io.BytesIO(archive.read(name)))) for name in files}
        return {kind: sum(rows[name] for name in files if f"data/{kind}/" in name) for kind in ("flags", "verdicts")}

    assert taken(olga) == {"flags": 2, "verdicts": 4}
    assert taken(ada) == {"flags": 1, "verdicts": 0}  # what was rejected is left out


def test_who_judged_nothing_takes_nobodys_verdicts_away(store):
    ids = [store.add(flag_of(number)).flag_id for number in range(2)]
    ada, bob = signed_in(store, "Ada Zed"), signed_in(store, "bob")
    for flag_id in ids:
        decide(ada, flag_id, "accept")

    def verdicts(client, form):
        answer = client.get(f"/review/export?format={form}&status=all")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            lines = archive.read(next(name for name in archive.namelist() if name.endswith("deconvdemo.jsonl")))
            whole = b"".join(map(archive.read, archive.namelist()))
        told = [row for line in lines.splitlines() if (row := json.loads(line))["kind"] == "verdicts"]
        assert (b"Ada Zed" in whole) == bool(told)
        return sorted(row["flag_id"] for row in told)

    for form in ("csv", "imagefolder", "labelstudio", "argilla"):
        assert verdicts(bob, form) == []
    decide(bob, ids[0], "accept")
    for form in ("csv", "imagefolder", "labelstudio", "argilla"):
        assert verdicts(bob, form) == [ids[0]] * 2
        assert verdicts(ada, form) == sorted([ids[0], *ids])


def test_two_reviewers_at_the_same_moment_are_both_heard(store):
    ids = [store.add(flag_of(number)).flag_id for number in range(5)]
    reviewers = [signed_in(store, name, needed=2) for name in ("ada", "bob", "cyd")]

    def judge(client: TestClient) -> list[int]:
        return [decide(client, flag_id, "accept").status_code for flag_id in ids]

    with ThreadPoolExecutor(3) as pool:
        assert [*pool.map(judge, reviewers)] == [[200] * 5] * 3
    queue = ReviewQueue(store, needed=2)
    assert [(queue.opinions(flag_id).reviewers, queue.opinions(flag_id).accepted) for flag_id in ids] == [(3, 3)] * 5


class Session:
    """What Starlette's SessionMiddleware does for the routes: puts a session into the scope."""

    def __init__(self, app, told):
        self.app, self.told = app, told

    async def __call__(self, scope, receive, send):
        await self.app({**scope, "session": {"oauth_info": self.told}}, receive, send)


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"userinfo": {"preferred_username": "Ada"}, "expires_at": 2e9}, 200),
        ({"userinfo": {"preferred_username": "mallory"}, "expires_at": 2e9}, 401),
        ({"userinfo": {"preferred_username": "ada"}, "expires_at": 5}, 401),
        ({"userinfo": {}}, 401),
        (None, 401),
    ],
)
def test_hugging_face_opens_it_to_the_listed_alone(store, told, status):
    reviewers = Reviewers(store, listed=frozenset({"ada"}), oauth=True)
    app = Starlette(routes=review_routes(ReviewService(ReviewQueue(store), None, 1), reviewers))
    client = TestClient(Session(app, told), base_url="https://demo.example")
    assert client.get("/review/queue").status_code == status
    page = client.get("/review").text
    assert ("login/huggingface" in page) == (status != 200)
    assert "password" not in page
    if status == 200:
        assert client.get("/review/queue").json()["reviewer"] == "Ada"


def test_nobody_takes_a_listed_reviewers_name_by_the_password(store):
    reviewers = Reviewers(store, "word", listed=frozenset({"ada"}), oauth=True)
    app = Starlette(routes=review_routes(ReviewService(ReviewQueue(store), None, 1), reviewers))
    client = TestClient(app, base_url="https://demo.example", follow_redirects=False)
    for name, told in (("Ada", "signs%20in%20with%20Hugging%20Face"), ("bob", "../review")):
        assert told in client.post("/review/sign_in", data={"name": name, "password": "word"}).headers["location"]
    assert client.get("/review/queue").json()["reviewer"] == "bob"


def test_in_the_hubs_page_the_cookie_is_that_of_another_site(store):
    desk = ReviewService(ReviewQueue(store), None, 1_000_000)
    app = Starlette(routes=review_routes(desk, Reviewers(store, "word", embedded=True)))
    client = TestClient(app, base_url="https://demo.hf.space", follow_redirects=False)
    answer = client.post("/review/sign_in", data={"name": "ada", "password": "word"})
    for cookie in answer.headers.get_list("set-cookie"):
        assert "SameSite=none" in cookie
        assert "Secure" in cookie
        assert cookie.endswith("; Partitioned")
    assert client.get("/review/queue").json()["reviewer"] == "ada"
