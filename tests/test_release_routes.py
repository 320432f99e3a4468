"""The releases' page: reviewers alone see it, and a picture of now is made by exactly the weights of its release."""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from demo_app import png, running_app
from feedback_flags import flag_of
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deconvdemo.checkpoints.index import add_to_index
from deconvdemo.checkpoints.promotion import promote
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.evaluation.replaying import ReleaseRestorers, Replayer
from deconvdemo.feedback import background
from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.dataset.publish import NoPublisher
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.review.lineage import noted_weights
from deconvdemo.feedback.review.replays import Replays
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.web.insight.tab import Insight
from deconvdemo.web.releases.routes import release_routes
from deconvdemo.web.releases.service import ReleaseService
from deconvdemo.web.review.reviewers import Reviewers

NAME = "denoise-fast"
LIST = "/review/releases/list"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Shaken weights."""
    return _shaken(tmp_path)


def _shaken(place: Path) -> Path:
    file = tiny.shaken(Weights().load(NAME), place / "weights" / f"{NAME}.safetensors", 0.25)
    add_to_index(file)
    return file.parent


def restorer_of(folder: Path) -> Restorer:
    return Restorer(Weights(folder), Compute("cpu", "fp32", "a test"))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, list[str]]:
    """A data folder with `weights` of two releases and three accepted flags, replayed by both; the new one learned from
    the second flag."""
    place = tmp_path_factory.mktemp("made")
    store, folder, ids = FeedbackStore(place, min_free_mb=0), _shaken(place), []
    restorer = restorer_of(folder)
    for number in range(3):
        noisy, clean = tiny.noisy_and_clean(number)
        done = restorer.restore("denoise", noisy, variant="fast", sigma=25.0)
        flag = flag_of(
            number,
            observed=png(noisy),
            restored=png(done.photo.pixels),
            clean=png(clean),
            controls=done.controls,
            comment=f"<b>{number}</b>",
        )
        ids.append(store.add(flag).flag_id)
        store.add(Verdict(flag_id=ids[-1], reviewer="ada", decision="accept"))
    replay(store, folder)
    new = tiny.shaken(Weights().load(NAME), place / "new.safetensors", 0.0, flags={"from": "s", "target": 1})
    found = [{"images": "held-back flags", "setting": "", "mean": 0.67, "worst": {"difference": -0.2}}]
    openings = {"pictures": 100, "false": 1, "worst": {"image": "net in set5", "share": 0.1}}
    facts = {"learned": ids[1:2], "flags": {"from": "s", "target": 1}, "found": found, "openings": openings}
    promote(new, folder, facts)
    replay(store, folder)
    store.close()
    return place, ids


@pytest.fixture
def replayed(sqlite_store, folder, tmp_path, made) -> tuple[FeedbackStore, list[str]]:
    """What was `made`, to change it."""
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    return sqlite_store, [*made[1]]


def replay(store, folder: Path) -> None:
    assert Replayer(Replays(store), ReleaseRestorers(restorer_of(folder))).all()[1] == []


def client_of(store, folder: Path, **reviewers) -> TestClient:
    desk = ReleaseService(Replays(store), ReleaseRestorers(restorer_of(folder)))
    routes = release_routes(desk, Reviewers(store, **{"local": True, **reviewers}))
    app = Starlette(routes=routes)
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000), follow_redirects=False)


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("stranger", [{"local": False}, {"password": "word"}], ids=str)
def test_a_stranger_gets_no_page_no_figure_and_no_picture(replayed, folder, stranger):
    store, ids = replayed
    client = client_of(store, folder, **stranger)
    page = client.get("/review/releases")
    assert (page.status_code, page.headers.get("location")) == (
        (303, "../review") if "password" in stranger else (404, None)
    )
    sha256 = Weights(folder).sha256(NAME)
    for address in (LIST, f"/review/releases/{sha256}", f"/review/releases/{sha256}/{ids[0]}/observed"):
        for more in ("", "?small"):
            answer = client.get(address + more)
            assert answer.status_code in (401, 404)
            assert set(answer.json()) == {"error"}


def test_releases_tell_their_counts_and_their_history(replayed, folder):
    store, _ = replayed
    told = client_of(store, folder).get(LIST).json()
    now, before = told["releases"]
    assert (now["all"], before["all"]) == (
        {"newly_bad": 0, "still_bad": 0, "fixed": 3},
        {"newly_bad": 0, "still_bad": 3, "fixed": 0},
    )
    assert (now["serves"], before["serves"], now["here"], before["here"]) == (True, False, True, True)
    assert (now["learned"], before["learned"]) == (1, 0)
    assert [(line["what"], line["found"][0]["mean"]) for line in now["history"]] == [("promoted", 0.67)]
    assert now["history"][0]["found"][0]["worst"] == {"difference": -0.2}
    assert now["history"][0]["openings"]["worst"] == {"image": "net in set5", "share": 0.1}
    assert before["history"] == []


def test_each_flag_says_whether_it_was_learned_from(replayed, folder):
    store, ids = replayed
    with store.writing() as connection:
        connection.exec_driver_sql(f"UPDATE replays SET held_back = 1 WHERE flag_id = '{ids[0]}'")
        connection.exec_driver_sql(f"UPDATE replays SET held_back = 0 WHERE flag_id <> '{ids[0]}'")
    client, (now, before) = client_of(store, folder), Replays(store).releases()
    marks = lambda sha256: {
        one["flag_id"]: one["learned"] for one in client.get(f"/review/releases/{sha256}").json()["replays"]
    }
    assert marks(now.sha256) == {ids[0]: "held_back", ids[1]: "trained", ids[2]: "not"}
    assert marks(before.sha256) == {ids[0]: "held_back", ids[1]: "not", ids[2]: "not"}  # by its header: from none
    (folder / "history.json").unlink()
    assert marks(now.sha256) == {ids[0]: "held_back", ids[1]: "unknown", ids[2]: "unknown"}
    assert client.get(LIST).json()["releases"][0]["learned"] == 1  # its header tells how many, not which
    assert len(client.get(f"/review/releases/{now.sha256}?kept=held_back").json()["replays"]) == 1


def test_pictures_of_now_are_of_the_releases_own_weights(replayed, folder):
    store, ids = replayed
    client, (now, before) = client_of(store, folder), Replays(store).releases()
    flag = store.get(ids[0])
    for sha256, weights in ((now.sha256, folder), (before.sha256, folder / f"{NAME}.safetensors")):
        alone = Restorer(Weights(spec=str(weights)), Compute("cpu", "fp32", "a test"))
        expected = alone.restore("denoise", flag.observed, variant="fast", sigma=25.0).photo.pixels
        for _ in range(2):  # made, and kept
            picture = client.get(f"/review/releases/{sha256}/{ids[0]}/now")
            assert np.array_equal(opened(picture.content), expected)
        assert "private" in picture.headers["cache-control"]
    assert np.array_equal(
        opened(client.get(f"/review/releases/{now.sha256}/{ids[0]}/target").content), opened(flag.clean)
    )
    assert client.get(f"/review/releases/{now.sha256}/{ids[0]}/restored").content == flag.restored
    small = client.get(f"/review/releases/{now.sha256}/{ids[0]}/now?small")
    assert small.headers["content-type"] == "image/webp"


def test_without_the_weights_the_figures_stand_and_the_picture_is_a_sentence(replayed, folder):
    store, ids = replayed
    (folder / f"{NAME}.safetensors").unlink()
    client, before = client_of(store, folder), Replays(store).releases()[1]
    assert client.get(LIST).json()["releases"][1]["here"] is False
    answer = client.get(f"/review/releases/{before.sha256}/{ids[0]}/now")
    assert answer.status_code == 400
    assert "are not here any more: their figures stand" in answer.json()["error"]
    assert client.get(f"/review/releases/{before.sha256}/{ids[0]}/observed").status_code == 200


def test_nothing_is_shown_of_an_erased_flag_though_it_was_seen_before(replayed, folder):
    store, ids = replayed
    client, now = client_of(store, folder), Replays(store).releases()[0]
    addresses = [f"/review/releases/{now.sha256}/{ids[0]}/{role}" for role in ("now", "now?small", "target?small")]
    assert [client.get(address).status_code for address in addresses] == [200] * 3
    erase(store, ids[:1])
    assert [client.get(address).status_code for address in addresses] == [400] * 3
    assert client.get(LIST).json()["releases"][0]["all"]["fixed"] == 2


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("f" * 64, "choose a release"),
        ("{sha256}?state=good", "choose among"),
        ("{sha256}?kept=x", "choose among"),
        ("{sha256}?page=x", "whole number"),
        ("{sha256}/nobody/now", "no replay of flag"),
        ("{sha256}/{flag}/mask", "it has observed"),
        ("{sha256}x/{flag}/now", "choose a release"),
    ],
)
def test_what_is_not_there_is_one_sentence(replayed, folder, address, why):
    store, ids = replayed
    address = address.format(sha256=Weights(folder).sha256(NAME), flag=ids[0])
    answer = client_of(store, folder).get(f"/review/releases/{address}")
    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_a_running_demo_replays_what_is_promoted(replayed, folder, tmp_path, monkeypatch):
    store, ids = replayed
    monkeypatch.setattr(background, "PAUSE", 0.1)
    with running_app(folder, store.folder.parent):
        newer = tiny.shaken(Weights().load(NAME), tmp_path / "newer.safetensors", 0.01)
        sha256 = promote(newer, folder, {}).sha256
        deadline = time.monotonic() + 60
        while (found := Replays(store).releases()[0]).sha256 != sha256 or found.all.total() < len(ids):
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_weights_that_took_others_place_are_noted_though_nothing_was_restarted(sqlite_store, folder, tmp_path):
    restorer = restorer_of(folder)
    insight = Insight(Replays(sqlite_store), restorer, NoPublisher(), Reviewers(sqlite_store))
    insight.public()
    promote(tiny.shaken(Weights().load(NAME), tmp_path / "new.safetensors", 0.0), folder, {})
    restorer.weights._take_over("bundled", restorer.swap)
    insight._kept.clear()
    insight.public()
    assert len(noted_weights(sqlite_store)) == 2


def test_a_picture_larger_than_all_that_is_kept_is_kept_alone(sqlite_store, folder, monkeypatch):
    monkeypatch.setattr("deconvdemo.web.releases.service.KEPT_BYTES", 10)
    made = ReleaseService(Replays(sqlite_store), ReleaseRestorers(restorer_of(folder)))._made
    made["small", "1"] = b"1234"
    made["small", "2"] = b"5678"
    assert len(made) == 2
    made["large", "3"] = bytes(11)
    assert list(made) == [("large", "3")]
    made["small", "1"] = b"1234"
    assert list(made) == [("small", "1")]
