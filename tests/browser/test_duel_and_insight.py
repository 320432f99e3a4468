"""A visitor votes in duels and looks at the plots; both pages at desktop and phone width, light and dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from demo_app import App, running_app
from feedback_flags import flag_of, picture
from playwright.sync_api import expect

from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.store.store import FeedbackStore

LOOKS = [{"width": 1280}, {"width": 390, "dark": True, "touch": True}]


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    with running_app(tiny_weights, tmp_path_factory.mktemp("duels")) as started:
        yield started


@pytest.mark.parametrize("look", LOOKS)
def test_a_visitor_votes_by_the_keyboard_and_learns_the_names(open_page, app, look, monkeypatch):
    monkeypatch.setattr("deconvdemo.evaluation.contenders.GOLD_SHARE", 0.0)  # gold pairs rank nobody
    store = FeedbackStore(app.data_dir, min_free_mb=0)
    before = store.totals()["votes"]
    page = open_page(f"{app.url}duel", **look)
    voting = page.locator("#votes button:not([disabled])")
    expect(voting).to_have_count(4, timeout=20_000)
    assert page.locator("#names").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for key, choice in (("1", "left"), ("4", "both_bad")):
        page.keyboard.press(key)
        expect(page.locator("#names")).to_be_visible()
        assert page.inner_text("#left-name") != page.inner_text("#right-name")
        assert [*store.events("votes")][-1].choice == choice
        page.keyboard.press("n")
        expect(voting).to_have_count(4, timeout=20_000)
        assert page.locator("#names").is_hidden()
    assert store.totals()["votes"] == before + 2
    expect(page.locator("#tables .row").first).to_be_visible()
    page.keyboard.down("b")
    expect(page.locator("#viewer [data-part=after-label]")).to_have_text("What came in")
    page.keyboard.up("b")
    expect(page.locator("#viewer [data-part=after-label]")).to_have_text("Right")
    store.close()


@pytest.mark.parametrize("look", LOOKS)
def test_the_plots_are_drawn(open_page, app, look):
    store = FeedbackStore(app.data_dir, min_free_mb=0)
    flag_id = store.add(flag_of(1, observed=picture(1), comment="<b>x</b>")).flag_id
    store.add(Verdict(flag_id=flag_id, reviewer="<i>ada</i>", decision="accept", client_token="once"))
    page = open_page(app.review(), **look)
    page.goto(f"{app.url}insight")
    plots = page.locator(".vega-embed svg")
    expect(plots).to_have_count(9, timeout=20_000)
    for place in range(9):
        box = plots.nth(place).bounding_box()
        assert box["width"] > 250
        assert box["height"] > 50
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.locator("#plot-reviewers")).to_contain_text("<i>ada</i>")
    expect(page.locator(".dd-agreement")).to_contain_text("Krippendorff's alpha")
    page.locator(".dd-header a", has_text="Demo").click()
    expect(page.locator(".dd-header a", has_text="Review")).to_be_visible()
    store.close()


def test_strangers_are_shown_no_reviewers(open_page, tiny_weights, tmp_path):
    with running_app(tiny_weights, tmp_path, review_password="word") as app:
        store = FeedbackStore(app.data_dir, min_free_mb=0)
        store.add(Verdict(flag_id=store.add(flag_of(1)).flag_id, reviewer="ada", decision="accept"))
        page = open_page(f"{app.url}insight")
        expect(page.locator(".vega-embed svg")).to_have_count(7, timeout=20_000)
        assert "ada" not in page.content()
        page.close()
        store.close()
