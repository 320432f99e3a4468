"""What is sent to the demo is bounded in bytes, in time and in number, on our routes and on Gradio's."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from demo_app import App, running_app

from deconvdemo.tasks import TASKS
from deconvdemo.web.components.examples import examples_of
from deconvdemo.web.restore.cancellations import Cancellations
from deconvdemo.web.server import bodies, patience

HEAD, BODY = 1.0, 1.5  # seconds


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GRADIO_TEMP_DIR", raising=False)
        patch.setattr(patience, "HEAD_SECONDS", HEAD)
        patch.setattr(bodies, "PATIENCE", BODY)
        patch.setattr(bodies, "TOGETHER", 2_500_000)
        with running_app(tiny_weights, tmp_path_factory.mktemp("bodies"), max_upload_mb=1, uploads_mb=4) as app:
            yield app
        os.environ.pop("GRADIO_TEMP_DIR", None)


JSON, FORM, FILES = "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n'
READ = {
    "duel/new": JSON,
    "learn/features": "image/png",
    f"duel/{'0' * 32}/vote": JSON,
    f"erase/{'0' * 32}": FORM,
    f"erase/{'1' * 32}": FILES,
    "review/verdicts/bulk": JSON,
    "gradio_api/queue/join": JSON,
    "gradio_api/run/denoise": JSON,
    "gradio_api/api/denoise": JSON,
    "gradio_api/call/denoise": JSON,
    "gradio_api/call/v2/denoise": JSON,
    "gradio_api/upload": FILES,
    "gradio_api/cancel": JSON,
    "gradio_api/reset": JSON,
    "gradio_api/component_server": JSON,
    "gradio_api/process_recording": FILES,
    "gradio_api/stream/x": JSON,
    "login": FORM,
}


@pytest.mark.parametrize("route", READ)
def test_no_route_takes_a_body_without_end(app, route):
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield PART if READ[route] == FILES else b" "
        for _ in range(1000):
            sent += 65536
            yield b" " * 65536

    kind = {"Content-Type": READ[route], "x-deconvdemo": "1"}
    visitor = httpx.Client(headers=kind, follow_redirects=True, timeout=20)
    visitor.get(app.review())  # a reviewer's bodies have limits, too
    for body in (endless(), b" " * 6_000_000):
        reply = visitor.post(f"{app.url}{route}", content=body)
        if reply.status_code == 400 and "review" in route:
            assert "are taken at once" in reply.json()["error"]  # it wants to know the length, and reads nothing
            sent = 0
            continue
        assert reply.status_code == 413, reply.text
        assert reply.json()["error"] == reply.json()["detail"]
        assert "send less" in reply.json()["error"]
    assert sent < 1000 * 65536, "it was read to its end"
    assert not [file for file in (app.data_dir / "uploads").iterdir() if file.is_file()], "half an upload is kept"


def test_files_are_taken_where_there_are_files_alone(app):
    before = disk(app)
    for data in ({"files": {"a": b"x" * 900_000}}, {"data": {"a": "x" * 900_000}, "files": {"b": b""}}):
        reply = httpx.post(f"{app.url}erase/{'0' * 32}", **data)
        assert reply.status_code == 413
    reply = httpx.post(f"{app.url}gradio_api/upload", data={"a": "x" * 900_000}, files={"files": b"x"})
    assert reply.status_code == 400
    assert "files alone" in reply.text
    reply = httpx.post(f"{app.url}gradio_api/upload", files={"files": b"x" * 1_200_000})
    assert reply.status_code == 413
    assert disk(app) == before


def test_what_the_page_sends_is_taken(app):
    """A painted mask of four megapixels, as a job, is less than the limit; so is a whole upload."""
    mask = {"width": 2000, "height": 2000, "bits": "A" * (2000 * 2000 // 6)}
    painted = {"photo": "x", "width": 4000, "height": 4000, "mask": mask}
    body = json.dumps({"data": [None, "", painted], "fn_index": 999, "session_hash": "a"})
    reply = httpx.post(f"{app.url}gradio_api/queue/join", content=body)
    assert reply.status_code not in (408, 413, 503)
    assert httpx.post(f"{app.url}gradio_api/upload", files={"files": b"x" * 900_000}).status_code == 200


def test_all_bodies_together_have_a_budget_that_small_ones_do_not_need(app):
    join = f"{app.url}gradio_api/queue/join"
    with closing(connected(app)) as half:
        half.sendall(b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1900000\r\n\r\n")
        half.sendall(b" " * 1_800_000)
        time.sleep(0.3)
        reply = httpx.post(join, content=b" " * 1_500_000)
        assert reply.status_code == 503
        assert "try again" in reply.json()["detail"]
        assert httpx.post(join, content=b" " * 60_000).status_code == 400
    time.sleep(0.3)
    for _ in range(2):
        assert httpx.post(join, content=b" " * 1_500_000).status_code == 400, "what is answered counts no more"


def test_a_body_that_trickles_is_given_up(app):
    with closing(connected(app)) as connection:
        connection.sendall(
            b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
        )
        begun = time.monotonic()
        connection.settimeout(20)
        reply = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert b"408" in reply.splitlines()[0]
    assert b"too slowly" in reply
    assert time.monotonic() - begun < BODY + 5


def connected(app: App) -> socket.socket:
    where = urlsplit(app.url)
    return socket.create_connection((where.hostname, where.port), timeout=20)


def test_300_half_sent_requests_are_closed_in_time_and_others_are_served_meanwhile(app):
    heads = [b"", b"G", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"POST /duel/new HTTP/1.1\r\nX: " + b"x" * 2000]
    half = [connected(app) for _ in range(300)]
    try:
        for i, connection in enumerate(half):
            connection.sendall(heads[i % len(heads)])
        begun = time.monotonic()
        assert httpx.get(f"{app.url}healthz", timeout=5).status_code == 200
        assert [closes(connection, begun + HEAD + 10) for connection in half] == [True] * 300
    finally:
        for connection in half:
            connection.close()


def closes(connection: socket.socket, until: float) -> bool:
    try:
        while True:  # what is left of an earlier reply comes first
            connection.settimeout(max(0.1, until - time.monotonic()))
            if connection.recv(10_000) == b"":
                return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_a_second_request_that_trickles_on_a_connection_is_closed_too(app):
    with closing(connected(app)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200" in connection.recv(100_000)
        until = time.monotonic() + HEAD + 4
        for letter in b"GET /healthz HTTP/1.1":
            try:
                connection.sendall(bytes([letter]))
            except OSError:
                break
            time.sleep(0.2)
        assert closes(connection, until)


def test_the_example_photos_work_when_there_is_no_room_for_uploads(app):
    from gradio_client import Client, handle_file

    replies = [httpx.post(f"{app.url}gradio_api/upload", files={"files": os.urandom(900_000)}) for _ in range(6)]
    assert {reply.status_code for reply in replies} == {200, 507}
    assert "example photos work" in replies[-1].json()["error"]
    assert disk(app) < 4_500_000
    example = examples_of(TASKS["denoise"])[0].photo
    page = httpx.get(f"{app.url}config").json()
    opened = next(one for one in page["dependencies"] if one["api_name"] == "opens_1")
    client = httpx.Client(base_url=app.url, timeout=30)
    body = {"data": ["", "standard"], "fn_index": opened["id"], "session_hash": "full"}
    assert client.post("gradio_api/queue/join", json=body).status_code == 200
    said = client.get("gradio_api/queue/data", params={"session_hash": "full"}).text
    assert "Estimated noise" in said
    assert str(example.name) in said
    with pytest.raises(Exception, match=r"507|no room"):
        Client(app.url, verbose=False).predict(handle_file(str(example)), api_name="/denoise")


def disk(app: App) -> int:
    return sum(file.stat().st_size for file in (app.data_dir / "uploads").rglob("*") if file.is_file())


@pytest.mark.parametrize("door", ["queue/join", "call/denoise"])
def test_sessions_have_short_names(app, door):
    body = {"data": [None] * 7, "fn_index": 0, "session_hash": "x" * 1000}
    reply = httpx.post(f"{app.url}gradio_api/{door}", json=body)
    assert reply.status_code == 400
    assert "a session is" in reply.json()["detail"]


def test_upload_ids_are_short_and_forgotten(app, monkeypatch):
    from gradio.routes import file_upload_statuses

    from deconvdemo.web.server import uploads

    monkeypatch.setattr(uploads, "_FORGOTTEN_AFTER", 0.2)
    for wrong in ("x" * 65, "a/b", ""):
        reply = httpx.post(f"{app.url}gradio_api/upload", params={"upload_id": wrong}, files={"files": b"x"})
        assert reply.status_code == 400
        assert "upload_id" in reply.json()["error"]
    httpx.post(f"{app.url}gradio_api/upload", params={"upload_id": "mine"}, files={"files": b"x"})
    httpx.get(f"{app.url}gradio_api/upload_progress", params={"upload_id": "none"}, timeout=10)
    time.sleep(0.6)
    assert not {"mine", "none"} & {*file_upload_statuses._statuses, *file_upload_statuses._signals}


def test_what_is_remembered_of_tickets_has_a_size():
    turns = Cancellations()
    turns.call_off("x" * 1_000_000, "a page")
    assert sum(map(len, turns._called_off)) < 100


@pytest.mark.parametrize("ticket", ["1732665123456-0.12345678901234567", "1732665123456-0", "1-5.551115123125783e-17"])
def test_tickets_of_the_page_are_known(ticket):
    turns = Cancellations()
    turns.call_off(ticket, "a page")
    with turns.turn(ticket, "a page") as called_off:
        assert called_off()
