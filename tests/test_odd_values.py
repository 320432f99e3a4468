"""Whatever is sent to whichever route or endpoint, the answer is a sentence, and the server goes on."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
import httpx
import pytest
from demo_app import App, png, running_app
from gradio_client import Client
from gradio_client.exceptions import AppError
from starlette.routing import Route
from tiny import picture

from deconvdemo.settings import Settings
from deconvdemo.tasks import TASKS
from deconvdemo.web.demo import build
from deconvdemo.web.server.sentences import SpeakingBlocks
from deconvdemo.web.server.strict_json import DEEPEST, JSONError, strict_json

# as text, since some of them are no JSON
ODD = [
    "null", "true", "-1", "0.5", '""', "[]", "{}", "1e400", "-1e400", "NaN", "Infinity", "9" * 25, "9" * 5000,
    '"\\ud800"', '"\\udfff tail"', '"a\\u0000b"', '"' + "x" * 100_000 + '"', "[" * 3000, "[" * 60 + "]" * 60,
    '{"a":' * 3000, '{"path": "/etc/passwd"}', '{"path": "a\\u0000b", "meta": {"_type": "gradio.FileData"}}',
    '{"path": null, "url": "data:image/png;base64,AAAA"}', '[null, {"b": [1e308]}]', '"../../x"', '"<script>"',
]  # fmt: skip
BODIES = [b"", b"{", b"\xff\xfe", b'"\xed\xa0\x80"', b"[]", b"null", *(f'{{"data": {odd}}}'.encode() for odd in ODD)]
SEED = 13


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    limits: Any = {"flags_per_visitor": 10_000, "flags_per_hour": 10_000}
    with running_app(tiny_weights, tmp_path_factory.mktemp("data"), **limits) as started:
        yield started


@pytest.fixture(scope="module")
def visitor(app) -> Iterator[httpx.Client]:
    """With this machine's own user's cookie: a reviewer's routes are asked, too."""
    with httpx.Client(base_url=app.url, timeout=60, headers={"X-Deconvdemo": "page"}) as client:
        client.get(app.review_link)
        yield client


def a_sentence(text: Any) -> bool:
    return isinstance(text, str) and len(text.split()) > 2 and "Traceback" not in text


def answered(reply: httpx.Response) -> None:
    """2xx to 4xx or 503; JSON that is refused says why."""
    asked = f"{reply.request.method} {reply.request.url!s:.200}"
    assert reply.status_code < 500 or reply.status_code == 503, asked
    if reply.status_code >= 400 and reply.headers.get("content-type", "").startswith("application/json"):
        told = reply.json()
        assert a_sentence(told.get("error") or told.get("detail")) or reply.status_code in (404, 405), (asked, told)


@pytest.fixture(scope="module")
def arguments(visitor) -> dict[str, list[str]]:
    """For each named endpoint, what it takes, each as JSON."""
    [photo] = visitor.post("gradio_api/upload", files={"files": ("a.png", png(picture(16, 16)))}).json()
    file = json.dumps({"path": photo, "meta": {"_type": "gradio.FileData"}})
    given = {}
    for task in TASKS.values():
        files = [file, file] if task.needs_mask else [file]
        given[task.name] = [*files, *(json.dumps(control.default) for control in task.controls)]
    said = ['"0123456789abcdef0123456789abcdef"', '["good"]', '""', "true", "null", "null", '""']
    return {**given, "flag": said}


def outcome(visitor: httpx.Client, reply: httpx.Response, name: str) -> None:
    """Of a `/call`: refused at once, or an event that ends in a result or a sentence."""
    answered(reply)
    if reply.status_code != 200:
        return
    text = visitor.get(f"gradio_api/call/{name}/{reply.json()['event_id']}").text
    event, data = text.strip().split("\n\n")[-1].split("\n")[:2]
    if event == "event: error":
        told = json.loads(data.removeprefix("data: "))
        assert a_sentence(told if isinstance(told, str) else told["error"]), text[:300]
    else:
        assert event == "event: complete", text[:300]


@pytest.mark.parametrize("name", [*TASKS, "flag"])
def test_an_endpoint_answers_odd_values_in_sentences(visitor, arguments, name):
    usual, chance = arguments[name], random.Random(SEED)
    lists = [[], usual[:-1], [*usual, "1"]]
    for odd in ODD:  # each of them once, at a place of its own
        place = chance.randrange(len(usual))
        lists.append([*usual[:place], odd, *usual[place + 1 :]])
    for values in lists:
        body = '{"data": [' + ", ".join(values) + "]}"
        reply = visitor.post(f"gradio_api/call/{name}", content=body, headers={"Content-Type": "application/json"})
        outcome(visitor, reply, name)
    assert visitor.get("healthz").json()["status"] == "ok"


def test_gradios_own_routes_answer_odd_bodies_in_sentences(visitor):
    header = {"Content-Type": "application/json"}
    paths = ["call/denoise", "call/nothing", "call/v2/denoise", "call/v2/nothing", "queue/join", "cancel", "reset"]
    paths += ["component_server", "run/nothing", "stream/nothing"]
    for path in paths:
        for body in BODIES:
            reply = visitor.post(f"gradio_api/{path}", content=body, headers=header)
            # a job that begins in the queue ends by itself; nobody waits for it
            answered(reply)
    joins = [{"fn_index": index, "session_hash": "s", "data": []} for index in (-1, 10**6, 2**62)]
    joins += [{"data": [], "session_hash": "s"}, {"fn_index": 0, "data": {}}, {"fn_index": "x", "session_hash": {}}]
    for said in joins:
        answered(visitor.post("gradio_api/queue/join", json=said))
    assert visitor.get("healthz").json()["status"] == "ok"


def own_routes(restorer, tmp_path) -> list[Route]:
    return build(Settings(data_dir=tmp_path), restorer).routes


def test_our_own_routes_answer_odd_requests_in_sentences(visitor, restorer, tmp_path):
    chance = random.Random(SEED)
    words = ["x", "0" * 32, "%00", "a%00b", "%ed%a0%80", "%F0%9F%98%80", "-1", "x" * 3000, "..%2f..", "%27%22%3C", "٣"]
    names = ["limit", "after", "id", "sort", "text", "since", "status", "key", "page", "before", "format", "weights"]
    fields = [
        "flag_id",
        "decision",
        "comment",
        "client_token",
        "reasons",
        "target",
        "controls",
        "mask",
        "choice",
        "task",
    ]
    for route in own_routes(restorer, tmp_path):
        for _ in range(3):
            path = route.path
            while "{" in path:
                before, _, rest = path.partition("{")
                path = before + chance.choice(words) + rest.partition("}")[2]
            query = f"{chance.choice(names)}={chance.choice([*words, quote('9' * 400)])}"
            if "GET" in route.methods:
                answered(visitor.get(f"{path[1:]}?{query}"))
            if "POST" in route.methods:
                said = ", ".join(f'"{field}": {chance.choice(ODD)}' for field in chance.sample(fields, 4))
                for body in (f"{{{said}}}".encode(), chance.choice(BODIES)):
                    answered(visitor.post(path[1:], content=body, headers={"Content-Type": "application/json"}))
                form = {chance.choice(["key", "name", "password", "verdict"]): chance.choice(["\0", "x" * 3000, ""])}
                answered(visitor.post(path[1:], data=form))
                answered(visitor.post(path[1:], files={"clean": ("a", b"\0\xff")}, data=form))
    assert visitor.get("healthz").json()["status"] == "ok"


def test_a_comment_with_half_a_character_is_taken_without_it(app, visitor, arguments):
    photo = json.loads(f"[{', '.join(arguments['denoise'])}]")
    reply = visitor.post("gradio_api/call/denoise", json={"data": photo})
    text = visitor.get(f"gradio_api/call/denoise/{reply.json()['event_id']}").text
    report = json.loads(text.split("event: complete\ndata: ")[1].split("\n")[0])[1]
    said = ", ".join([json.dumps(report["restoration_id"]), '["halo"]', '"cut \\ud83d here\\u0000"', "true"])
    body = f'{{"data": [{said}, null, null, ""]}}'
    header = {"Content-Type": "application/json"}
    outcome(visitor, visitor.post("gradio_api/call/flag", content=body, headers=header), "flag")
    assert app.flags()[-1].comment == "cut � here"


def test_the_python_client_is_told_in_a_sentence_too(app):
    client = Client(app.url, verbose=False)
    for given in ([None], [{"path": "x"}], ["x", "y", "z"], [{"path": "x" * 5000}, 10**30]):
        with pytest.raises((AppError, ValueError, httpx.HTTPStatusError)) as refusal:
            client.predict(*given, api_name="/denoise")
        assert a_sentence(str(refusal.value))


def test_what_nobody_foresaw_is_a_sentence_and_in_the_log(caplog):
    with SpeakingBlocks() as blocks:
        number, file = gr.Number(), gr.File()
        gr.Button().click(lambda number: {}[number], [number], [number])
        gr.Button().click(lambda file: Path("/home/ada/x").read_text(), [file], [number])
    cases: list[tuple[int, list[Any]]] = [(0, [1]), (0, []), (1, [{"path": "/etc/hostname"}]), (1, [None])]
    for event, values in cases:
        with pytest.raises(gr.Error) as refusal:
            # in a thread: a browser's tests may have left a loop in this one
            ThreadPoolExecutor(1).submit(asyncio.run, blocks.process_api(event, values)).result()
        assert a_sentence(refusal.value.message)
        assert "/" not in refusal.value.message
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("text", ["1e400", "NaN", '{"a": -Infinity}', "9" * 19, "9" * 5000, "[" * 5000, "{", "'x'"])
def test_what_is_no_value_of_ours_is_refused(text):
    with pytest.raises(JSONError):
        strict_json(text)


def test_depth_is_counted_and_halves_of_characters_are_mended():
    assert strict_json("[" * DEEPEST + "]" * DEEPEST)[1] is False
    with pytest.raises(JSONError, match="nested"):
        strict_json("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
    assert strict_json('{"a\\ud800": ["\\udc00", 1, "\\ud83d\\ude00"]}') == ({"a�": ["�", 1, "😀"]}, True)
