"""The page that explains: both languages whole, nothing from elsewhere, and every word where it belongs."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from deconvdemo.web.asset import ASSETS, asset
from deconvdemo.web.learn import words
from deconvdemo.web.learn.routes import BUNDLED, SCRIPTS, SECTIONS, learn_routes, page_of

TEMPLATES = ("learn.html", *(f"learn_{name}.html" for name in SECTIONS))


@pytest.fixture(scope="module")
def visitor(restorer) -> TestClient:
    return TestClient(Starlette(routes=learn_routes(restorer)))


def test_every_sentence_is_in_every_language():
    for key, said in words.sentences().items():
        assert set(said) == set(words.LANGUAGES), key
        assert all(said.values()), key
        # what is filled in, and how it is marked up, is the same
        for pattern in (r"\{\w+\}", r"</?\w+>"):
            assert len({frozenset(re.findall(pattern, text)) for text in said.values()}) == 1, key
        for text in said.values():
            assert all(text.count(f"<{tag}>") == text.count(f"</{tag}>") for tag in ("b", "em", "i")), key
        plain = re.sub(r"\{\w+\}", "", said["en"])
        assert re.search(r"[\u4e00-\u9fff]", said["zh"]) or not re.search(r"[a-z]{4}", plain), key


def test_words_and_their_places_fit_each_other():
    known = set(words.sentences())
    shown = set().union(*(words.used_in(asset(name)) for name in TEMPLATES))
    script = asset(*SCRIPTS)
    exact = {key for key in known if f'"{key}"' in script}
    # say(`page.${name}`): every sentence with that beginning may be meant
    parts = tuple(re.findall(r"say\(`([a-z]+\.[a-z_]*)\$\{", script))
    assert not shown - known
    assert not set(re.findall(r'say\((?:\w+ \? )?"([a-z_.]+)"', script)) - known
    titles = {"page.title"}
    assert not {key for key in known - shown - exact - titles if not key.startswith(parts)}


def test_attributes_take_plain_text_alone():
    for name in TEMPLATES:
        for key in re.findall(r'="\{\{([a-z0-9_.]+)\}\}"', asset(name)):
            assert not [text for text in words.sentences()[key].values() if re.search(r'[<>"&]', text)], key


def test_nothing_is_asked_of_another_host():
    for file in ASSETS.glob("learn*"):
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")  # a name, no address
        assert not re.search(r"https?:|[\"'(]//|@import", text), file.name
    assert not [said for said in words.sentences().values() if any("http" in text for text in said.values())]


@pytest.mark.parametrize(
    ("asked", "accepted", "expected"),
    [
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "de-DE,en;q=0.9,zh;q=0.4", "en"),
        ("", "fr", "en"),
        ("", "", "en"),
        ("", "en;q=0.2, zh;q=nonsense", "zh"),
        ("en", "zh-CN", "en"),
        ("zh", "en", "zh"),
        ("<b>", "en", "en"),
    ],
)
def test_the_page_speaks_the_browsers_language_or_the_chosen_one(visitor, asked, accepted, expected):
    reply = visitor.get("/learn", params={"lang": asked}, headers={"Accept-Language": accepted})
    assert reply.status_code == 200
    tag = words.TAGS[expected]
    assert f'<html lang="{tag}">' in reply.text
    assert reply.headers["content-language"] == tag
    assert "Accept-Language" in reply.headers["vary"]
    assert words.sentences()["page.h1"][expected] in reply.text
    assert "default-src 'self'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_section_has_a_heading_a_figure_and_a_task(language):
    text = page_of(language)
    assert "{{" not in text
    for name in SECTIONS:
        assert f'<section id="{name}" aria-labelledby="{name}-title"' in text
        assert f'<h2 id="{name}-title">' in text
    assert text.count('<div class="figure" role="group" aria-label=') == len(SECTIONS)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_the_section_on_pictures_from_noise_is_there_where_they_are_made(visitor, restorer):
    assert 'id="generated"' not in visitor.get("/learn").text
    assert '"generated"]' not in visitor.get("/learn/page.js").text
    route = Route("/learn/generate", lambda request: Response())
    maker = TestClient(Starlette(routes=learn_routes(restorer, generated=[route])))
    assert 'id="generated"' in maker.get("/learn").text
    assert '"generated"]' in maker.get("/learn/page.js").text
    assert maker.get("/learn/generate").status_code == 200


def test_free_photos_and_nothing_else_are_served(visitor):
    for name in BUNDLED:
        reply = visitor.get(f"/learn/photo/{name}.webp")
        assert reply.headers["content-type"] == "image/webp"
        assert reply.content[8:12] == b"WEBP"
    for name in ("none", "..%2f..%2fsettings", "cat.webp/.."):
        assert visitor.get(f"/learn/photo/{name}.webp").status_code == 404
