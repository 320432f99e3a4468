"""On every route, work ends when whoever asked for it has left, and all of it passes one door."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from demo_app import App, png, running_app
from tiny import picture

from deconvdemo.web.server import leaving

TILES = 40  # of 32 pixels
API = "/gradio_api"


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    with running_app(tiny_weights, tmp_path_factory.mktemp("leaving"), tile=32) as app:
        yield app


@pytest.fixture
def slow(app) -> Iterator[App]:
    """Each tile takes a while."""
    app.restorer.pause, app.restorer.taken = 0.1, 0
    yield app
    app.restorer.pause = 0.0
    assert waited(lambda: app.restorer.admission.under_way() == 0)


def waited(so: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not so() and time.monotonic() < until:
        time.sleep(0.05)
    return so()


def uploaded(app: App, photo: bytes) -> dict:
    path = httpx.post(f"{app.url}gradio_api/upload", files={"files": ("photo.png", photo)}).json()[0]
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def called(app: App, photo: dict) -> str:
    data = [photo, None, 1.0, "standard"]
    reply = httpx.post(f"{app.url}gradio_api/call/denoise", json={"data": given(app, data)})
    assert reply.status_code == 200, reply.text
    return f"{app.url}gradio_api/call/denoise/{reply.json()['event_id']}"


def given(app: App, data: list) -> list:
    """As many values as the endpoint takes: the rest are its defaults."""
    parameters = httpx.get(f"{app.url}gradio_api/info").json()["named_endpoints"]["/denoise"]["parameters"]
    values = {"photo": data[0], "sigma": 20}
    return [values.get(one["parameter_name"], one.get("parameter_default")) for one in parameters]


@pytest.fixture(scope="module")
def large(app) -> dict:
    return uploaded(app, png(picture(32 * 5, 32 * 8)))


def stops(app: App) -> bool:
    """That no tile is begun any more, and that the place is free."""
    assert waited(lambda: app.restorer.admission.under_way() == 0), "it goes on"
    taken = app.restorer.taken
    time.sleep(0.4)
    return app.restorer.taken == taken < TILES


def test_a_call_whose_client_leaves_ends_at_the_next_tile(slow, large):
    with httpx.stream("GET", called(slow, large), timeout=20):
        assert waited(lambda: slow.restorer.taken > 2)
    assert stops(slow)


def test_a_call_that_nobody_comes_to_fetch_ends(slow, large, monkeypatch):
    monkeypatch.setattr(leaving, "UNHEARD", 1.0)
    called(slow, large)
    assert waited(lambda: slow.restorer.taken > 2)
    assert stops(slow)


def test_a_call_that_is_fetched_in_time_is_answered(slow, large, monkeypatch):
    monkeypatch.setattr(leaving, "UNHEARD", 1.0)
    slow.restorer.pause = 0.05
    url = called(slow, large)
    time.sleep(0.5)
    with httpx.stream("GET", url, timeout=30) as reply:
        said = "".join(reply.iter_text())
    assert "event: complete" in said
    assert slow.restorer.taken >= TILES


def test_a_page_that_is_closed_ends_its_restoration_whether_it_waits_or_works(slow, large):
    config = httpx.get(f"{slow.url}config").json()
    run = next(one for one in config["dependencies"] if one["api_name"] == "restore")
    values = [component_value(config, id) for id in run["inputs"]]
    values[0], values[1] = large, f"{time.time_ns() // 10**6}-0.{time.time_ns() % 997}"
    body = {"data": values, "fn_index": run["id"], "session_hash": "visitor", "trigger_id": None}
    with httpx.Client(base_url=slow.url, timeout=20) as client:
        assert client.post("gradio_api/queue/join", json=body).status_code == 200
        with client.stream("GET", "gradio_api/queue/data", params={"session_hash": "visitor"}) as stream:
            lines = stream.iter_lines()
            next(lines)
            assert waited(lambda: slow.restorer.taken > 2)
    assert stops(slow)


def component_value(config: dict, id: int) -> object:
    return next(one["props"].get("value") for one in config["components"] if one["id"] == id)


def test_a_review_or_duel_that_is_left_ends(slow, monkeypatch):
    """Our own routes: their work is told when the connection is closed."""
    from deconvdemo.engine.admission import still_wanted
    from deconvdemo.errors import LeftError

    ended = threading.Event()

    def work(self, *asked):
        try:
            for _ in range(200):
                time.sleep(0.05)
                still_wanted()
        except LeftError:
            ended.set()
            raise

    monkeypatch.setattr("deconvdemo.web.duel.routes.Duels.new", work)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{slow.url}duel/new", json={}, timeout=0.5)
    assert ended.wait(5)


def test_run_does_not_pass_by_the_queue(app, large):
    for door in ("run", "api"):
        reply = httpx.post(f"{app.url}gradio_api/{door}/denoise", json={"data": given(app, [large])})
        assert reply.status_code == 404
        assert "join the queue" in reply.json()["detail"]


def test_a_small_photo_is_answered_while_large_ones_are_worked_on(slow, large):
    """Four large ones: the small one waits for none of them to end."""
    urls = [called(slow, large) for _ in range(4)]
    streams = [threading.Thread(target=lambda url=url: httpx.get(url, timeout=60)) for url in urls]
    slow.restorer.admission.small = slow.restorer.cost(large["path"]) - 1
    try:
        for stream in streams:
            stream.start()
        assert waited(lambda: slow.restorer.admission.under_way() > 0)
        small = uploaded(slow, png(picture(24, 24)))
        begun = slow.restorer.taken
        with httpx.stream("GET", called(slow, small), timeout=30) as reply:
            said = "".join(reply.iter_text())
        assert "event: complete" in said
        assert slow.restorer.taken - begun < TILES
    finally:
        slow.restorer.pause = 0.0
        for stream in streams:
            stream.join(60)
        slow.restorer.admission.small = 150_000_000


def test_too_many_at_once_are_a_sentence(slow, large, monkeypatch):
    monkeypatch.setattr(slow.restorer.admission, "room", 2)
    monkeypatch.setattr(slow.restorer.admission, "places", 1)
    urls = [called(slow, large) for _ in range(4)]
    replies: list[str] = []
    streams = [threading.Thread(target=lambda url=url: replies.append(httpx.get(url, timeout=60).text)) for url in urls]
    for stream in streams:
        stream.start()
    assert waited(lambda: any("many photos are waiting" in json.dumps(reply) for reply in replies))
    slow.restorer.pause = 0.0
    for stream in streams:
        stream.join(60)
    assert sum("event: complete" in reply for reply in replies) >= 1
