"""A reviewer at work, in a real browser: fifty flags by the keyboard alone, and what goes wrong in the middle of it."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator

import numpy as np
import pytest
from demo_app import App, running_app
from feedback_flags import NASTY_COMMENTS, flag_of, picture
from PIL import Image
from playwright.sync_api import Page, expect

from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.web.review.service import ReviewService

SEEN = lambda page: page.locator('#review[aria-busy="false"]')  # a flag, not one on its way
LOOKS = [{"width": 1280}, {"width": 390, "dark": True, "touch": True}]


@pytest.fixture
def app(tiny_weights, tmp_path) -> Iterator[App]:
    with running_app(tiny_weights, tmp_path) as started:
        yield started


@pytest.fixture
def open_page(app: App, open_page):
    """As elsewhere; the pages are closed before the demo is: what they are still loading is there."""
    return open_page


def seen(page: Page, place: str) -> None:
    """Waits for the flag at this place: a key pressed before it is there judges nothing."""
    expect(page.locator("#progress")).to_contain_text(place)
    expect(SEEN(page)).to_be_visible()


def filled(store: FeedbackStore, number: int) -> list[str]:
    def flag(place: int):
        images = {role: picture((role, place), side=64) for role in ("observed", "restored")}
        return flag_of(place, comment=NASTY_COMMENTS[place % len(NASTY_COMMENTS)], **images)

    return [store.add(flag(place)).flag_id for place in range(number)]


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def review(open_page, app: App, query: str = "", **look) -> Page:
    page = open_page(app.review(query.removeprefix("?")), **look)
    expect(SEEN(page)).to_be_visible()
    return page


def stored(page: Page, store: FeedbackStore, number: int) -> list:
    """The verdicts in the store, once there are so many."""
    for _ in range(150):
        if store.totals()["verdicts"] >= number:
            break
        page.wait_for_timeout(100)
    return [(verdict.flag_id, verdict.decision) for verdict in store.events("verdicts")]


@pytest.fixture
def in_trouble(browser, app):
    """A page whose log of failed requests is expected."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_fifty_flags_by_the_keyboard_alone(open_page, app, store, look):
    ids = filled(store, 52)
    page, waits, keys = review(open_page, app, "?sort=oldest", **look), [], "art"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for number in range(50):
        before = page.inner_text("#progress")
        begin = time.perf_counter()
        page.keyboard.press(keys[number % 3])
        page.wait_for_function(
            "before => document.getElementById('progress').textContent !== before"
            " && document.getElementById('review').ariaBusy === 'false'"
            " && [...document.querySelectorAll('#viewer img')].every(image => image.complete && image.naturalWidth)",
            arg=before,
        )
        waits.append(time.perf_counter() - begin)
    # seconds, nine of ten; a third of it alone, but the tests share their cores with others
    assert sorted(waits)[45] < 0.9
    decisions = {"a": "accept", "r": "reject", "t": "needs_target"}
    assert stored(page, store, 50) == [
        (flag_id, decisions[keys[number % 3]]) for number, flag_id in enumerate(ids[:50])
    ]
    page.keyboard.press("u")
    expect(page.locator("#message")).to_have_text("Taken back.")
    assert stored(page, store, 51)[-1] == (ids[49], "withdrawn")


def test_what_visitors_wrote_is_text_and_a_view_is_a_link(open_page, app, store):
    filled(store, len(NASTY_COMMENTS))
    longest = "<b>endless</b>" + "x" * 9_980  # without a place to break it
    store.add(flag_of(99, comment=longest, observed=picture("o", side=64), restored=picture("r", side=64)))
    page = review(open_page, app, "?sort=oldest&task=denoise")
    for comment in [*NASTY_COMMENTS, longest]:
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        expect(page.locator("#comment")).to_have_text(comment, use_inner_text=False)
        assert page.locator("#comment *").count() == 0
        page.keyboard.press("j")
    expect(page.locator("#empty")).to_be_visible()
    page.locator("select[name=reason]").select_option("seams")
    expect(page.locator("#review")).to_be_visible()
    assert "reason=seams" in page.url
    assert "sort=oldest" in page.url
    page.reload()
    expect(SEEN(page)).to_be_visible()
    assert page.locator("select[name=reason]").input_value() == "seams"


def test_a_verdict_given_offline_is_stored_when_the_network_is_back(in_trouble, app, store):
    ids = filled(store, 3)
    page = in_trouble
    page.goto(app.review("sort=oldest"))
    expect(SEEN(page)).to_be_visible()
    dropped = []

    def drop(route):
        dropped.append(route.request.url)
        route.abort() if len(dropped) < 3 else route.continue_()

    page.route("**/review/verdicts", drop)
    page.keyboard.press("a")
    seen(page, "2 of 3")
    page.keyboard.press("r")  # waits for its turn
    assert stored(page, store, 2) == [(ids[0], "accept"), (ids[1], "reject")]
    page.route("**/review/verdicts", lambda route: route.abort())
    seen(page, "3 of 3")
    page.keyboard.press("r")
    expect(page.locator("#message")).to_contain_text("The demo cannot be reached", timeout=15_000)
    assert page.inner_text("#progress").startswith("3 of 3")  # the flag is back


def test_who_judges_quickly_and_leaves_loses_no_verdict(in_trouble, app, store, monkeypatch):
    ids, page = filled(store, 8), in_trouble
    give = ReviewService.give

    def slowly(*given):
        time.sleep(0.4)
        return give(*given)

    monkeypatch.setattr(ReviewService, "give", slowly)
    page.goto(app.review("sort=oldest"))
    for place in range(8):
        seen(page, f"{place + 1} of 8")
        page.keyboard.press("a")
    expect(page.locator("#unsent")).to_contain_text("on their way")
    page.route("**/review/verdicts", lambda route: route.abort())  # nothing goes out any more, not even at the end
    page.goto("about:blank")
    page.unroute("**/review/verdicts")
    page.goto(app.review("sort=oldest"))
    expect(page.locator("#message")).to_contain_text("from before you left are stored", timeout=20_000)
    assert sorted(stored(page, store, 8)) == sorted((flag_id, "accept") for flag_id in ids)
    expect(page.locator("#unsent")).to_be_hidden()
    page.reload()  # nothing is left to be sent again
    expect(page.locator("#empty")).to_be_visible()
    assert page.evaluate("localStorage.getItem('deconvdemo-verdicts')") == "[]"


def test_undo_gives_back_the_verdict_before(open_page, app, store):
    ids = filled(store, 2)
    page = review(open_page, app, "?sort=oldest")
    page.keyboard.press("a")
    assert stored(page, store, 1) == [(ids[0], "accept")]
    seen(page, "2 of 2")
    page.keyboard.press("k")
    seen(page, "1 of 2")
    page.keyboard.press("r")
    assert stored(page, store, 2)[1:] == [(ids[0], "reject")]
    page.keyboard.press("u")
    expect(page.locator("#message")).to_contain_text("your verdict before it stands again")
    assert stored(page, store, 3)[2:] == [(ids[0], "accept")]


def test_a_flag_erased_while_open_says_so_and_the_others_go_on(in_trouble, app, store):
    ids = filled(store, 3)
    page = in_trouble
    page.goto(app.review("sort=oldest"))
    expect(SEEN(page)).to_be_visible()
    erase(store, [ids[0]])
    page.keyboard.press("a")
    expect(page.locator("#message")).to_contain_text("was erased while you looked at it")
    page.keyboard.press("j")
    seen(page, "2 of 3")
    page.keyboard.press("r")
    assert stored(page, store, 1) == [(ids[1], "reject")]


def test_a_result_with_other_settings_becomes_the_target(open_page, app, store):
    filled(store, 2)
    page = review(open_page, app, "?sort=oldest")
    page.fill("input[name=sigma]", "40")
    page.locator("input[name=sigma]").press("Escape")
    page.keyboard.press("w")
    expect(page.locator("#take")).to_be_enabled()
    assert page.locator("#compare").input_value() == "restored rerun"
    page.keyboard.press("n")
    page.keyboard.press("p")
    middle = page.locator("#painter .stage").bounding_box()
    page.mouse.click(middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2)
    page.click("#paint-done")
    expect(page.locator("#attached li")).to_have_text(
        [re.compile("Target: this result"), re.compile("Where it is bad")]
    )
    held = []
    page.route("**/review/verdicts", lambda route: held.append(route))
    page.keyboard.press("a")
    page.keyboard.press("k")  # back before the answer came
    seen(page, "1 of 2")
    expect(page.locator("#standing")).to_be_empty()
    page.wait_for_function("waiting.length == 1")
    held.pop().continue_()
    page.unroute("**/review/verdicts")
    stored(page, store, 1)
    (verdict,) = store.events("verdicts")
    assert verdict.target["source"] == "rerun"
    assert verdict.target["controls"]["sigma"] == 40
    again = app.restorer.restore("denoise", store.get(verdict.flag_id).observed, sigma=40)
    assert np.array_equal(pixels(verdict.clean), again.photo.pixels)
    assert 0 < np.count_nonzero(pixels(verdict.region)) < 64 * 64
    expect(page.locator("#standing")).to_contain_text("Your verdict: Accept")
    page.keyboard.press("v")
    assert page.locator("#compare").input_value() == "restored mine"


def test_a_target_of_another_size_is_refused_before_it_is_sent(open_page, app, store):
    filled(store, 1)
    page = review(open_page, app)
    page.set_input_files("#file", {"name": "t.png", "mimeType": "image/png", "buffer": picture("t", side=32)})
    expect(page.locator("#message")).to_have_text(re.compile("32×32 but the result is 64×64"))
    page.set_input_files("#file", {"name": "t.png", "mimeType": "image/png", "buffer": picture("t", side=64)})
    expect(page.locator("#attached li")).to_have_text(re.compile("Target: your file"))
    page.keyboard.press("a")
    stored(page, store, 1)
    (verdict,) = store.events("verdicts")
    assert np.array_equal(pixels(verdict.clean), pixels(picture("t", side=64)))


@pytest.mark.parametrize("look", LOOKS)
def test_many_at_once_and_back(open_page, app, store, look):
    ids = filled(store, 5)
    page = review(open_page, app, "?sort=oldest", **look)
    page.keyboard.press("g")
    expect(page.locator(".card")).to_have_count(5)
    page.keyboard.press(" ")  # the first is chosen
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    expect(page.locator("#chosen")).to_have_text("2 chosen")
    page.keyboard.press("r")
    expect(page.locator(".card")).to_have_count(3)
    assert stored(page, store, 2) == [(flag_id, "reject") for flag_id in ids[:2]]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.keyboard.press("u")
    assert stored(page, store, 4)[2:] == [(flag_id, "withdrawn") for flag_id in ids[:2]]
    expect(page.locator(".card")).to_have_count(5)  # they are there again
    page.keyboard.press("g")
    expect(SEEN(page)).to_be_visible()


def test_two_reviewers_disagree_and_the_disagreement_shows(browser, tiny_weights, tmp_path):
    with running_app(tiny_weights, tmp_path, review_password="word", verdicts_needed=2) as app:
        store = FeedbackStore(app.data_dir, min_free_mb=0)
        ids = filled(store, 2)

        def signed_in(name: str) -> Page:
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(f"{app.url}review?sort=oldest")
            assert page.locator("#review").count() == 0
            page.fill("input[name=name]", name)
            page.fill("input[name=password]", "word")
            page.keyboard.press("Enter")
            expect(SEEN(page)).to_be_visible()
            page.goto(f"{app.url}review?sort=oldest")
            expect(SEEN(page)).to_be_visible()
            return page

        ada, bob = signed_in("ada"), signed_in("bob")
        ada.keyboard.press("a")
        stored(ada, store, 1)
        bob.reload()
        expect(SEEN(bob)).to_be_visible()
        assert "accept" not in bob.inner_text("#standing").lower()  # no bias
        bob.keyboard.press("r")
        assert stored(bob, store, 2) == [(ids[0], "accept"), (ids[0], "reject")]
        for page in (ada, bob):
            page.goto(f"{app.url}review?status=disputed")
            expect(SEEN(page)).to_be_visible()
            expect(page.locator("#standing")).to_contain_text("Reviewers disagree")
            expect(page.locator("select[name=status] option[value=disputed]")).to_have_text("Reviewers disagree (1)")
            page.context.close()
        store.close()
