"""A reviewer at the board of releases: counts, filters, pictures side by side and large; desktop and phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from demo_app import App, png, running_app
from feedback_flags import NASTY_COMMENTS, flag_of
from playwright.sync_api import Page, expect

from deconvdemo.checkpoints.index import add_to_index
from deconvdemo.checkpoints.promotion import promote
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.evaluation.replaying import ReleaseRestorers, Replayer
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.review.replays import Replays
from deconvdemo.feedback.store.store import FeedbackStore

LOOKS = [{"width": 1280}, {"width": 390, "dark": True, "touch": True}]
NAME, FLAGS = "denoise-fast", 23


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    """Shaken weights and the good ones that took their place, both replayed; one flag was bad by its own settings."""
    folder: Path = tmp_path_factory.mktemp("releases")
    good, weights = Weights().load(NAME), folder / "weights"
    add_to_index(tiny.shaken(good, weights / f"{NAME}.safetensors", 0.25))
    store = FeedbackStore(folder, min_free_mb=0)
    restorer = Restorer(Weights(weights), Compute("cpu", "fp32", "a test"))
    for number in range(FLAGS):
        noisy, clean = tiny.noisy_and_clean(number, 64)
        strength = 1.0 if number else 0.0  # what was flagged is the photo itself, and so it stays
        done = restorer.restore("denoise", noisy, variant="fast", sigma=25.0, strength=strength)
        images = {"observed": png(noisy), "restored": png(done.photo.pixels), "clean": png(clean)}
        comment = NASTY_COMMENTS[number % len(NASTY_COMMENTS)]
        flag_id = store.add(flag_of(number, comment=comment, controls=done.controls, **images)).flag_id
        store.add(Verdict(flag_id=flag_id, reviewer="ada", decision="accept"))
    for amount in (None, 0.0):
        if amount is not None:
            promote(tiny.shaken(good, folder / "new.safetensors", amount), weights, {})
        now = Restorer(Weights(weights), Compute("cpu", "fp32", "a test"))
        Replayer(Replays(store), ReleaseRestorers(now)).all()
    store.close()
    with running_app(weights, folder) as started:
        yield started


def board(open_page, app: App, **look) -> Page:
    page = open_page(app.review(), **look)
    page.get_by_role("link", name="Releases").click()
    expect(page.locator(".replay")).to_have_count(20)
    return page


@pytest.mark.parametrize("look", LOOKS)
def test_counts_filters_and_pictures(open_page, app, look):
    page = board(open_page, app, **look)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.locator(".release")).to_have_count(2)
    expect(page.locator(".release[aria-pressed=true]")).to_contain_text("serves now")
    expect(page.locator("[data-state=fixed]")).to_have_text(re.compile(rf"Fixed \({FLAGS - 1}\)"))
    expect(page.locator("#facts")).to_contain_text("Promoted")
    assert page.locator(".replay blockquote *").count() == 0  # what visitors wrote is text
    first = page.locator(".replay").first
    expect(first.locator(".state")).to_contain_text("Still bad")
    expect(first.locator("figcaption")).to_have_text(
        [
            re.compile("Observed"),
            re.compile(r"As flagged [\d.]+ dB"),
            re.compile(r"Now .*\(\+0.00\)"),
            re.compile("Target"),
        ]
    )
    page.locator("[data-state=fixed]").click()
    expect(page.locator(".replay .state.fixed")).to_have_count(20)
    expect(page.locator("#place")).to_have_text(f"1 to 20 of {FLAGS - 1}")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".replay")).to_have_count(2)
    assert "state=fixed&page=2" in page.url
    page.reload()
    expect(page.locator(".replay")).to_have_count(2)
    drawn = "() => [...document.querySelectorAll('.replay img')].every(one => one.complete && one.naturalWidth)"
    page.locator(".replay").last.scroll_into_view_if_needed()
    page.wait_for_function(drawn)
    page.locator(".replay .picture").nth(2).press("Enter")
    expect(page.locator("#close-up [data-part=after-label]")).to_have_text("Now")
    page.wait_for_function("() => document.querySelector('#viewer [data-part=after]').naturalWidth === 64")
    page.locator("#compare").select_option("now target")
    expect(page.locator("#close-up [data-part=after-label]")).to_have_text("Target")
    page.keyboard.press("Escape")
    expect(page.locator("#close-up")).to_be_hidden()
    page.locator("#kept").select_option("held_back")
    expect(page.locator(".replay .badge:not(.held_back)")).to_have_count(0)
    page.locator(".release").last.click()
    expect(page.locator("#facts")).not_to_contain_text("Promoted")
    expect(page.locator("[data-state=fixed]")).to_have_text(re.compile(r"Fixed \(0\)"))


def test_a_flag_of_the_board_is_found_on_the_review_page(open_page, app):
    page = board(open_page, app)
    flag_id = page.locator(".replay").first.get_attribute("data-flag")
    page.locator(".replay a").first.click()
    expect(page.locator('#review[aria-busy="false"]')).to_be_visible()
    expect(page.locator("#progress")).to_contain_text("1 of 1")
    assert f"flag={flag_id}" in page.url


def test_the_plot_of_releases_has_no_pictures(open_page, app):
    page = open_page(app.review())
    page.goto(f"{app.url}insight")
    plot = page.locator("#plot-releases .vega-embed svg")
    expect(plot).to_be_visible(timeout=20_000)
    expect(plot).to_contain_text("Still bad")
    assert page.locator("#plot-releases img").count() == 0
    page.locator(".dd-header a", has_text="Releases").click()
    expect(page.locator(".replay")).to_have_count(20)


def test_without_replays_the_page_says_what_to_do(open_page, tiny_weights, tmp_path):
    with running_app(tiny_weights, tmp_path) as app:
        page = open_page(app.review())
        page.goto(f"{app.url}review/releases")
        expect(page.locator("#empty")).to_contain_text("Nothing has been replayed yet")
        page.close()
