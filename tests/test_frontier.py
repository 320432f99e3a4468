"""Whose pages may ask, by which name, and what browsers may do with the answers; local mode is local."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from demo_app import App, running_app
from feedback_flags import flag_of
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from deconvdemo.errors import ControlError
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.web.server.frontier import Frontier, Rules, is_local, origins_of

EVIL = ("https://evil.example", "http://localhost:9999", "http://127.0.0.1:9999", "null", "http://[::1]:9999")
PAGES = ("", "insight", "duel", "review", "review/releases", f"erase/{'0' * 32}?key=x")
ANSWERS = ("config", "healthz", "duel/ranking", "review/queue", "theme.css", "gradio_api/info", "results/x/y")


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    with running_app(tiny_weights, tmp_path_factory.mktemp("data")) as started:
        yield started


@pytest.fixture
def reviewer(app) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, follow_redirects=True) as client:
        client.get(app.review_link)
        yield client


@pytest.mark.parametrize("origin", EVIL)
def test_a_page_of_another_origin_gets_nothing_also_with_a_reviewers_cookie(app, reviewer, origin):
    store = FeedbackStore(app.data_dir, min_free_mb=0)
    flag_id = store.add(flag_of(1, comment="secret words")).flag_id
    store.close()
    for path in (*ANSWERS, f"review/flags/{flag_id}", f"flags/{flag_id}"):
        answer = reviewer.get(path, headers={"Origin": origin})
        assert answer.status_code == 403, path
        assert "may not use this demo" in answer.json()["error"]
        assert "secret words" not in answer.text
        assert not [name for name in answer.headers if name.startswith("access-control-allow-o")]
    for path in ("gradio_api/queue/join", "gradio_api/upload", "review/verdicts", "duel/new", f"erase/{flag_id}"):
        assert reviewer.post(path, headers={"Origin": origin, "X-Deconvdemo": "page"}).status_code == 403
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert "access-control-allow-origin" not in reviewer.options(path, headers=asks).headers


def test_our_own_pages_and_programs_get_what_they_ask_for(app, reviewer):
    own = app.url.rstrip("/")
    for headers in ({}, {"Origin": own}, {"Origin": "http://x.example", "Sec-Fetch-Site": "same-origin"}):
        assert reviewer.get("review/queue", headers=headers).status_code == 200
        assert reviewer.get("config", headers=headers).status_code == 200
    # a picture in another page, which sends no origin
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
        assert reviewer.get("review/queue", headers=headers).status_code == 403


def test_another_name_that_leads_to_this_machine_gets_nothing(app):
    for path in (*PAGES, *ANSWERS, app.review_link):
        answer = httpx.get(f"{app.url}{path}", headers={"Host": "evil.example"})
        assert (answer.status_code, "for this machine alone" in answer.text) == (403, True)


@pytest.mark.parametrize("path", [*PAGES, *ANSWERS])
def test_every_answer_has_the_headers_by_which_browsers_are_careful(reviewer, path):
    headers = reviewer.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in ("same-origin", "no-referrer")
    if headers["content-type"].startswith("text/html"):
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy or "default-src 'none'" in policy
        assert policy.count("frame-ancestors 'self'") == 1


def test_this_machines_own_user_is_who_has_the_link_and_no_address(app):
    store = FeedbackStore(app.data_dir, min_free_mb=0)
    flag_id = store.add(flag_of(2)).flag_id
    store.close()
    with httpx.Client(base_url=app.url) as stranger:  # as a proxy on this machine asks, that tells of nobody
        page = stranger.get("review")
        assert (page.status_code, "it printed a link" in page.text) == (401, True)
        for path in ("review/queue", f"review/flags/{flag_id}", f"review/flags/{flag_id}/observed", "review/export"):
            assert stranger.get(path).status_code == 401
        for key in ("", "x", "ñ", app.review_link.partition("=")[2][:-1]):
            assert stranger.get("review", params={"key": key}).status_code == 401
        assert not stranger.cookies
        headers = {"X-Forwarded-For": "203.0.113.7"}
        assert stranger.get(app.review_link, headers=headers).status_code == 404
        opened = stranger.get(f"{app.review_link}&sort=oldest")
        assert (opened.status_code, opened.headers["location"]) == (303, "review?sort=oldest")
        assert "HttpOnly" in opened.headers["set-cookie"]
        assert stranger.get("review").status_code == 200
        assert stranger.get("review/queue").json()["reviewer"] == "me"


def test_with_a_password_there_is_no_link(tiny_weights, tmp_path):
    with running_app(tiny_weights, tmp_path, review_password="word") as app:
        assert app.review_link == ""
        assert "password" in httpx.get(f"{app.url}review", params={"key": ""}).text.lower()
        assert httpx.get(f"{app.url}review/queue").status_code == 401


# ---- the rules, without a demo


def visit(rules: Rules, **headers: str):
    routes = [Route(path, lambda request: HTMLResponse("page")) for path in ("/", "/review", "/demo/review")]
    routes.append(Route("/json", lambda request: PlainTextResponse("x", headers={"X-Frame-Options": "DENY"})))
    path = headers.pop("path", "/")
    client = TestClient(Frontier(Starlette(routes=routes), rules), base_url="http://demo.example")
    return client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_named_origin_may_ask_for_everything_but_the_review():
    rules = Rules(origins=origins_of("https://Friend.example/, http://localhost:3000"), path="/demo")
    answer = visit(rules, Origin="https://friend.example")
    assert answer.headers["access-control-allow-origin"] == "https://friend.example"
    assert (
        "frame-ancestors 'self' http://localhost:3000 https://friend.example"
        in answer.headers["content-security-policy"]
    )
    for path in ("/review", "/demo/review"):
        refused = visit(rules, Origin="https://friend.example", path=path)
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
    assert visit(rules, Origin="https://friend.example.evil.example").status_code == 403


@pytest.mark.parametrize("text", ["*", "example.org", "ftp://x", "https://x/path", "https://"])
def test_what_is_no_origin_is_one_sentence(text):
    with pytest.raises(ControlError, match="DECONVDEMO_ALLOW_ORIGINS"):
        origins_of(text)


def test_a_demo_is_itself_by_every_name_that_it_has():
    named = Rules(names=("demo.hf.space", "example.org:8443"))
    for origin in (
        "https://demo.hf.space",
        "https://example.org:8443",
        "http://demo.example",
        "http://demo.example:80",
    ):
        assert visit(named, Origin=origin).status_code == 200
    assert visit(Rules(), Origin="https://front.example").status_code == 403
    assert visit(Rules(), Origin="https://front.example", X_Forwarded_Host="front.example").status_code == 200


def test_on_a_space_the_hubs_page_may_show_ours_and_nobody_elses():
    answer = visit(Rules(space=True))
    assert (
        "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co"
        in answer.headers["content-security-policy"]
    )
    assert "https://huggingface.co" not in visit(Rules()).headers["content-security-policy"]


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1:7860", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("[::1]:7860", True),
        ("demo.localhost:7860", True),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("0.0.0.0:7860", False),
        ("192.168.1.2", False),
        ("", False),
        ("[", False),
    ],
)
def test_which_names_are_this_machines(host, local):
    assert is_local(host) is local
