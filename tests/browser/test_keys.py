"""The pages' keys: one press is one verdict, on every keyboard, and never what was meant for the browser or a field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from demo_app import App, running_app
from feedback_flags import flag_of, picture
from playwright.sync_api import Page, expect

from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.web.asset import asset

TABLE = ["a", "r", "t", "w", "q", "m", "b", "n", "1", "2", "3", "4", "0", "[", "]", "?", "-", "ArrowLeft"]
SHIFT, ALT_GR = {"shiftKey": True}, {"modifierAltGraph": True}
KEYS = [
    ("a", "KeyA", {}, "a"),
    ("A", "KeyA", SHIFT, "a"),  # Caps Lock
    ("ф", "KeyA", {}, "a"),  # Russian
    ("Ф", "KeyA", SHIFT, "a"),
    ("х", "BracketLeft", {}, "["),
    ("ъ", "BracketRight", {}, "]"),
    ("ж", "Semicolon", {}, ""),
    ("?", "Digit7", SHIFT, "?"),
    ("α", "KeyA", {}, "a"),  # Greek
    ("ש", "KeyA", {}, "a"),  # Hebrew
    ("'", "KeyW", {}, "w"),
    ("/", "KeyQ", {}, "q"),
    ("ش", "KeyA", {}, "a"),  # Arabic
    ("١", "Digit1", {}, "1"),
    ("ㅁ", "KeyA", {}, "a"),  # Korean
    ("ち", "KeyA", {}, "a"),  # Japanese kana
    ("a", "KeyQ", {}, "a"),  # AZERTY: what is printed wins
    ("q", "KeyA", {}, "q"),
    ("z", "KeyW", {}, ""),
    (",", "KeyM", {}, ""),
    ("&", "Digit1", {}, "1"),
    ("é", "Digit2", {}, "2"),
    ("à", "Digit0", {}, "0"),
    ("1", "Digit1", SHIFT, "1"),
    ("-", "Digit6", {}, "-"),
    ("[", "Digit5", ALT_GR, "["),
    ("ě", "Digit2", {}, "2"),  # Czech
    ("ü", "BracketLeft", {}, "["),  # German
    ("ą", "KeyA", ALT_GR, ""),  # Polish, where AltGr makes letters
    ("r", "KeyO", {}, "r"),  # Dvorak
    ("o", "KeyS", {}, ""),
    (",", "KeyW", {}, ""),
    ("'", "KeyQ", {}, ""),
    ("!", "Digit1", SHIFT, ""),  # QWERTY
    ("1", "Numpad1", {}, "1"),
    ("ArrowLeft", "ArrowLeft", {}, "ArrowLeft"),
    ("Dead", "KeyA", {}, ""),
    ("Process", "KeyA", {}, ""),  # an input method at work
    ("a", "KeyA", {"isComposing": True}, ""),
    ("a", "KeyA", {"keyCode": 229}, ""),
]
PRESS = """([key, code, more]) => {
  const options = { key, code, bubbles: true, cancelable: true, ...more };
  const target = document.activeElement ?? document;
  const went = target.dispatchEvent(new KeyboardEvent("keydown", options));
  target.dispatchEvent(new KeyboardEvent("keyup", options));
  return went;
}"""


def test_a_key_is_known_on_every_keyboard(browser):
    page = browser.new_page()
    page.add_script_tag(content=asset("keys.js"))
    script = """([names, rows]) => {
      const table = Object.fromEntries(names.map((name) => [name, 1]));
      return rows.map(([key, code, more]) => keyIn(table, new KeyboardEvent("keydown", { key, code, ...more })));
    }"""
    found = page.evaluate(script, [TABLE, [row[:3] for row in KEYS]])
    page.close()
    assert [(*row[:3], name) for row, name in zip(KEYS, found, strict=True)] == KEYS


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    with running_app(tiny_weights, tmp_path_factory.mktemp("keys")) as started:
        yield started


def review(open_page, app: App, store: FeedbackStore, about: str, number: int) -> tuple[Page, list[str]]:
    """The review page on new flags whose comment is `about`."""
    images = {role: picture((about, role), side=32) for role in ("observed", "restored")}
    flags = [flag_of(place, comment=about, client_token=f"{about} {place}", **images) for place in range(number)]
    ids = [store.add(flag).flag_id for flag in flags]
    page = open_page(app.review(f"sort=oldest&text={about}"))
    expect(page.locator('#review[aria-busy="false"]')).to_be_visible()
    return page, ids


def press(page: Page, key: str, code: str, **more: Any) -> bool:
    """Whether the browser would go on to do what the key is for."""
    return page.evaluate(PRESS, [key, code, more])


def judged(page: Page, store: FeedbackStore, ids: list[str], number: int) -> list[str]:
    """The decisions on these flags, once there are so many and no more on their way."""
    expect(page.locator("#progress")).to_contain_text(f"{number + 1} of")
    page.wait_for_function("sending.then(() => true)")
    return [verdict.decision for verdict in store.events("verdicts") if verdict.flag_id in ids]


def hold(page: Page, key: str, seconds: float = 1.5) -> None:
    for _ in range(round(seconds / 0.05)):
        page.keyboard.down(key)
        page.wait_for_timeout(50)
    page.keyboard.up(key)


@pytest.mark.parametrize("how", ["r", "Enter"])
def test_a_key_held_down_is_one_verdict(open_page, app, store, how):
    page, ids = review(open_page, app, store, f"held{how}", 5)
    if how == "Enter":
        page.locator("#review .reject").focus()
    hold(page, how)
    assert judged(page, store, ids, 1) == ["reject"]


def test_verdicts_on_other_keyboards(open_page, app, store):
    page, ids = review(open_page, app, store, "keyboards", 6)
    rows = [("ф", "KeyA"), ("к", "KeyR"), ("a", "KeyQ"), ("е", "KeyT"), ("r", "KeyO")]
    for place, row in enumerate(rows):
        assert not press(page, *row)
        expect(page.locator("#progress")).to_contain_text(f"{place + 2} of")
        expect(page.locator('#review[aria-busy="false"]')).to_be_visible()
    assert judged(page, store, ids, 5) == ["accept", "reject", "accept", "needs_target", "reject"]


def test_keys_for_the_browser_and_for_fields_judge_nothing(open_page, app, store):
    page, ids = review(open_page, app, store, "others", 2)
    for held in ("ctrlKey", "metaKey", "altKey"):
        for key, code in (("r", "KeyR"), ("ф", "KeyA")):
            assert press(page, key, code, **{held: True})
    assert press(page, "a", "KeyA", isComposing=True)
    page.evaluate("document.dispatchEvent(new Event('keydown'))")  # as a browser does that fills a form in
    for field in ("#said", "[name=text]", "[name=status]"):
        page.locator(field).focus()
        assert press(page, "r", "KeyR")
        assert press(page, "ф", "KeyA")
    page.keyboard.press("Escape")
    assert judged(page, store, ids, 0) == []
    page.keyboard.press("a")
    assert judged(page, store, ids, 1) == ["accept"]


def test_a_key_pressed_while_the_answer_is_on_its_way_judges_nothing_twice(open_page, app, store):
    page, ids = review(open_page, app, store, "many", 3)
    page.keyboard.press("g")
    expect(page.locator("#cards .card")).to_have_count(3)
    page.keyboard.press("e")
    page.route("**/review/verdicts/bulk", lambda route: (page.wait_for_timeout(300), route.continue_()))
    for _ in range(3):
        page.keyboard.press("a")
    expect(page.locator("#empty")).to_be_visible()
    page.wait_for_function("sending.then(() => true)")
    assert [one.decision for one in store.events("verdicts") if one.flag_id in ids] == ["accept"] * 3


def test_a_duel_hears_other_keyboards_and_one_press_once(open_page, app, store):
    asked = []
    page = open_page(f"{app.url}duel")
    voting = page.locator("#votes button:not([disabled])")
    expect(voting).to_have_count(4, timeout=20_000)
    press(page, "é", "Digit2")
    expect(page.locator("#names")).to_be_visible()
    assert [*store.events("votes")][-1].choice == "right"
    page.route("**/duel/new", lambda route: (asked.append(route.request.url), route.continue_()))
    page.keyboard.press("n")
    expect(voting).to_have_count(4, timeout=20_000)
    asked.clear()
    for _ in range(3):
        press(page, "т", "KeyN")
    hold(page, "n", 0.3)
    expect(voting).to_have_count(4, timeout=20_000)
    assert len(asked) <= 2  # the second hold may begin when the first press has its duel
    label = page.locator("#viewer [data-part=after-label]")
    page.evaluate("document.dispatchEvent(new KeyboardEvent('keydown', { key: 'и', code: 'KeyB' }))")
    expect(label).to_have_text("What came in")
    page.evaluate("document.dispatchEvent(new KeyboardEvent('keyup', { key: 'b', code: 'KeyB' }))")  # another layout
    expect(label).to_have_text("Right")
