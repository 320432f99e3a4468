"""Duels: blind until the vote, one vote each, on photos that are public anyway."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil

import numpy as np
import pytest
from demo_app import png
from feedback_flags import flag_of, picture
from PIL import Image
from sqlalchemy import insert, update
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deconvdemo.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.promotion import shadow
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import FeedbackError
from deconvdemo.evaluation import contenders
from deconvdemo.evaluation.contenders import DuelSampler, words_of
from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.store.limits import FlagLimits
from deconvdemo.feedback.store.tables import flags, shards
from deconvdemo.image.metrics import psnr
from deconvdemo.web.asset import ASSETS
from deconvdemo.web.duel import routes as duel_routes
from deconvdemo.web.duel.routes import Duels

TASKS = ("denoise", "upscale", "inpaint")


def visitor(duels: Duels) -> TestClient:
    return TestClient(Starlette(routes=duel_routes.duel_routes(duels, False)), client=("203.0.113.7", 5000))


@pytest.fixture
def duels(sqlite_store, restorer) -> Duels:
    return Duels(DuelSampler(restorer, sqlite_store), FlagLimits(sqlite_store), np.random.default_rng(7))


def judge(store, flag_id: str, decision: str = "accept", reviewer: str = "ada", mark: bool = True) -> None:
    store.add(Verdict(flag_id=flag_id, reviewer=reviewer, decision=decision, may_be_shown=mark))


def publish(store, flag_id: str) -> None:
    """As if the publisher had committed it."""
    facts = {"kind": "flags", "path": f"data/{flag_id}", "sha256": "0", "bytes": 1, "rows": 1, "created_at": "2026"}
    with store.writing() as connection:
        shard = connection.execute(insert(shards).values(**facts, state="committed")).inserted_primary_key[0]
        connection.execute(update(flags).where(flags.c.flag_id == flag_id).values(shard=shard))


@pytest.mark.parametrize("task", TASKS)
def test_nothing_tells_the_contenders_apart_before_the_vote(duels, task):
    client = visitor(duels)
    told = client.post("/duel/new", json={"task": task}).json()
    assert set(told) == {"duel_id", "task", "told", "width", "height"}
    assert told["task"] == task
    duel = duels.get(told["duel_id"])
    for side in ("left", "right"):
        answer = client.get(f"/duel/{told['duel_id']}/{side}")
        image = Image.open(io.BytesIO(answer.content))
        assert image.size == (told["width"], told["height"])
        words = json.dumps(dict(answer.headers)) + repr(image.info)
        assert not any(str(value) in words for value in ("network", "classical", "sha256"))
    revealed = client.post(f"/duel/{told['duel_id']}/vote", json={"choice": "left"}).json()["made"]
    assert revealed == {side: words_of(duel.contenders[side]) for side in ("left", "right")}
    (vote,) = duels.limits.store.events("votes")
    assert (vote.task, vote.choice) == (task, "left")
    assert vote.left_contender == duel.contenders["left"] != vote.right_contender
    assert vote.left == duel.images["left"]


def test_a_duel_has_one_vote(duels):
    client = visitor(duels)
    duel_id = client.post("/duel/new", json={}).json()["duel_id"]
    first, again = (
        client.post(f"/duel/{duel_id}/vote", json={"choice": choice}).json() for choice in ("left", "right")
    )
    assert first == again
    assert [vote.choice for vote in duels.limits.store.events("votes")] == ["left"]


@pytest.mark.parametrize("choice", ["", "middle", None, 3])
def test_a_choice_that_is_none_is_one_sentence(duels, choice):
    client = visitor(duels)
    duel_id = client.post("/duel/new", json={}).json()["duel_id"]
    answer = client.post(f"/duel/{duel_id}/vote", json={"choice": choice})
    assert answer.status_code == 400
    assert "choose among left, right, same, both_bad" in answer.json()["error"]
    assert duels.limits.store.totals()["votes"] == 0


def test_what_is_not_there_is_one_sentence(duels):
    client = visitor(duels)
    for answer in (
        client.get("/duel/nobody/left"),
        client.post("/duel/nobody/vote", json={"choice": "left"}),
        client.post("/duel/new", json={"task": "colourise"}),
        client.post("/duel/new", content=b"[]"),
        client.post("/duel/new", content=b"x" * 2_000_001),
    ):
        assert answer.status_code == 400
        assert "\n" not in answer.json()["error"]


def test_a_visitor_has_so_many_votes_an_hour(sqlite_store, restorer):
    duels = Duels(
        DuelSampler(restorer, sqlite_store), FlagLimits(sqlite_store, per_visitor=2), np.random.default_rng(0)
    )
    client = visitor(duels)
    answers = []
    for _ in range(3):
        duel_id = client.post("/duel/new", json={"task": "upscale"}).json()["duel_id"]
        answers.append(client.post(f"/duel/{duel_id}/vote", json={"choice": "same"}))
    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert "votes came from you within an hour" in answers[-1].json()["error"]


def test_sides_are_random_and_contenders_differ(duels):
    rng = np.random.default_rng(3)
    subject = duels.ring.subject("upscale", rng)
    pairs = []
    for _ in range(60):
        made = [make(subject)[1] for make in duels.ring.pair(subject, rng)]
        assert made[0] != made[1]
        pairs.append(tuple(map(words_of, made)))
    assert any((right, left) in pairs for left, right in pairs)
    assert any("The original" in pair for pair in pairs)


@pytest.mark.parametrize("task", TASKS)
def test_a_bundled_photo_is_damaged_as_it_is_told(duels, task):
    found = [contenders._bundled(task, np.random.default_rng(seed)) for seed in range(6)]
    for subject in found:
        if task == "denoise":
            noise = subject.observed.astype(float) - subject.clean
            assert noise.std() == pytest.approx(subject.controls["sigma"], rel=0.15)  # what leaves 0…255 is cut
            assert f"sigma {subject.controls['sigma']:g}" in subject.told
        elif task == "upscale":
            assert [side * subject.scale for side in subject.observed.shape[:2]] == list(subject.clean.shape[:2])
        else:
            assert np.array_equal(subject.observed[~subject.mask], subject.clean[~subject.mask])
            assert 0 < subject.mask.mean() < 0.5


def test_only_published_flags_that_reviewers_accepted_are_shown(duels, monkeypatch):
    monkeypatch.setattr(contenders, "FLAG_SHARE", 1.0)
    store, rng = duels.ring.store, np.random.default_rng(0)
    secret, shown, unseen, unmarked = (store.add(flag_of(n, observed=picture(n, side=24))).flag_id for n in range(4))
    for flag_id in (secret, shown):
        judge(store, flag_id)
    judge(store, unmarked, mark=False)
    assert duels.ring.subject("denoise", rng).flag_id == ""
    for flag_id in (shown, unseen, unmarked):
        publish(store, flag_id)
    assert {duels.ring.subject("denoise", rng).flag_id for _ in range(20)} == {shown}
    duel = duels.new("denoise")
    assert duel.subject.flag_id == shown != secret
    assert duels.get(duel.duel_id)
    judge(store, shown, "reject", reviewer="bob")
    assert duels.ring.subject("denoise", rng).flag_id == ""


@pytest.mark.parametrize("gone", ["reject", "unsafe", "hide", "erased"])
def test_a_photo_that_is_rejected_withheld_or_erased_leaves_the_duels_under_way(duels, monkeypatch, gone):
    monkeypatch.setattr(contenders, "FLAG_SHARE", 1.0)
    store = duels.ring.store
    flag_id = store.add(flag_of(1, observed=picture(1, side=24))).flag_id
    judge(store, flag_id)
    publish(store, flag_id)
    client, duel = visitor(duels), duels.new("denoise")
    assert client.get(f"/duel/{duel.duel_id}/observed").status_code == 200
    if gone == "erased":
        erase(store, [flag_id])
    else:
        judge(store, flag_id, gone)
    for answer in (
        client.get(f"/duel/{duel.duel_id}/observed"),
        client.post(f"/duel/{duel.duel_id}/vote", json={"choice": "left"}),
    ):
        assert answer.status_code == 400
    assert not duels._kept
    assert store.totals()["votes"] == 0


def test_a_skipped_duel_is_over_and_nothing_of_it_is_stored(duels):
    client, duel = visitor(duels), duels.new("denoise")
    assert client.post(f"/duel/{duel.duel_id}/skip", json={}).status_code == 200
    assert client.post(f"/duel/{duel.duel_id}/vote", json={"choice": "left"}).status_code == 400
    assert duels.limits.store.totals()["votes"] == 0


def test_a_gold_pair_is_an_original_beside_a_spoilt_one(duels, monkeypatch):
    monkeypatch.setattr(contenders, "GOLD_SHARE", 1.0)
    rng = np.random.default_rng(0)
    subject = contenders._bundled("upscale", rng)
    sides = [[make(subject) for make in duels.ring.pair(subject, rng)] for _ in range(12)]
    kinds = [[facts["kind"] for _, facts in pair] for pair in sides]
    assert sorted(kinds[0]) == ["clean", "spoilt"]
    assert [*kinds[0][::-1]] in kinds  # from either side
    clean, spoilt = sorted(sides[0], key=lambda made: made[1]["kind"])
    assert clean[0].shape == spoilt[0].shape
    assert psnr(spoilt[0], clean[0]) < 30
    assert clean[1]["scale"] == subject.scale


def test_two_and_three_times_are_different_contenders(duels):
    found = set()
    for seed in range(12):
        subject = contenders._bundled("upscale", np.random.default_rng(seed))
        for make in duels.ring.contenders(subject):
            facts = make(subject)[1]
            assert f"×{subject.scale}" in words_of(facts)
            if facts["kind"] == "classical":
                found.add((facts["method"], facts["scale"]))
    assert len({scale for _, scale in found}) > 1


def test_a_flag_with_a_mask_or_of_a_large_photo_can_be_fought_over(duels, monkeypatch):
    monkeypatch.setattr(contenders, "FLAG_SHARE", 1.0)
    monkeypatch.setattr(contenders, "SIDE", 32)
    mask = np.zeros((50, 40), np.uint8)
    mask[20:30, 15:25] = 255
    photo = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    store = duels.ring.store
    flag = dataclasses.replace(flag_of(1, observed=png(photo), restored=png(photo), mask=png(mask)), task="inpaint")
    flag_id = store.add(flag).flag_id
    judge(store, flag_id)
    publish(store, flag_id)
    subject = duels.ring.subject("inpaint", np.random.default_rng(0))
    assert subject.observed.shape == (32, 32, 3)
    assert np.array_equal(subject.observed, photo[9:41, 4:36])
    assert np.array_equal(subject.mask, mask[9:41, 4:36] > 0)
    assert duels.new("inpaint").images["left"]


def test_too_many_at_once_are_asked_to_wait_and_old_ones_go(duels, monkeypatch):
    for _ in range(duel_routes.AT_ONCE):
        assert duels._making.acquire(blocking=False)
    with pytest.raises(FeedbackError, match="try again in a few seconds"):
        duels.new()
    for _ in range(duel_routes.AT_ONCE):
        duels._making.release()
    monkeypatch.setattr(duel_routes, "KEPT", 2)
    made = [duels.new("upscale").duel_id for _ in range(3)]
    with pytest.raises(FeedbackError, match="this duel is over"):
        duels.get(made[0])
    assert duels.get(made[2])


def test_a_candidate_meets_what_it_would_replace(sqlite_store, tiny_weights, restorer, tmp_path):
    folder, file = tmp_path / "weights", tmp_path / "candidate.safetensors"
    shutil.copytree(tiny_weights, folder)
    served = load_checkpoint(folder / "denoise.safetensors")
    save_checkpoint(file, served.header, {name: 1.5 * value.float() for name, value in served.tensors.items()})
    ring = DuelSampler(Restorer(Weights(folder), restorer.compute_on), sqlite_store)
    rng = np.random.default_rng(0)
    before = {task: len(ring.contenders(ring.subject(task, rng))) for task in TASKS}
    candidate = shadow(file, folder).sha256
    met = 0
    for _ in range(30):
        subject = ring.subject("denoise", rng)
        made = [make(subject)[1] for make in ring.pair(subject, rng)]
        shas = {facts.get("checkpoint", {}).get("sha256") for facts in made}
        if candidate in shas:
            met += 1
            assert shas == {candidate, served.sha256}
            assert made[0]["controls"] == made[1]["controls"] == {"variant": "standard"}
    assert 6 < met < 24
    # nor is it offered otherwise, or for another task
    assert before == {task: len(ring.contenders(ring.subject(task, rng))) for task in TASKS}
    assert not ring.candidates(ring.subject("inpaint", rng))
    (folder / f"denoise-{candidate[:12]}.safetensors").write_bytes(b"damaged")
    assert not DuelSampler(ring.restorer, sqlite_store).candidates(ring.subject("denoise", rng))


def test_one_visitors_duels_do_not_take_everyones_away(duels, monkeypatch):
    monkeypatch.setattr(duel_routes, "KEPT", 8)
    mine = duels.new("denoise", "203.0.113.7")
    neighbours = duels.new("denoise", "198.51.9.9")
    own = [duels.new("denoise", "198.51.100.9").duel_id for _ in range(7)]
    with pytest.raises(FeedbackError, match="over"):
        duels.get(own[0])
    for number in range(9):  # many addresses of one network
        duels.new("denoise", f"2001:db8:{number}::1")
    assert duels.get(mine.duel_id) is mine
    assert duels.get(neighbours.duel_id) is neighbours
    assert len(duels._kept) == 8


def test_no_vote_can_be_pressed_before_the_page_listens():
    """As served, until the script has a pair to vote on: a press before that would be lost."""
    acts = re.findall(r"<button[^>]*(?:data-choice|id=\"skip\")[^>]*>", (ASSETS / "duel.html").read_text())
    assert len(acts) == 5
    assert all(" disabled" in act for act in acts)
