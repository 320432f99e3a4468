"""How the demo looks and reads: on a phone, in light and dark, in every tab, before and after."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from demo_app import App, png, running_app
from playwright.sync_api import Page, expect
from test_demo import EXAMPLES, flag, paint, restored, says, seen, upload, visit
from tiny import picture

from deconvdemo.tasks import TASKS

# what a finger or a mouse aims at; text in a sentence and Gradio's own hidden inputs are no targets
TARGETS = """() => [...document.querySelectorAll('button, a, select, input, textarea, summary')].filter(e => {
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  return box.width > 1 && box.height > 1 && style.visibility !== 'hidden' && style.opacity !== '0';
}).map(e => {
  const of = ['checkbox', 'radio'].includes(e.type) ? e.closest('label') : e;
  const box = of.getBoundingClientRect();
  return [e.tagName + ' ' + (e.ariaLabel || e.innerText || e.type), box.width, box.height];
})"""

# every text on the page against what is behind it, as WCAG computes it
CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => a * v + (1 - a) * under[i]);
  const behind = e => {
    if (!e) return [255, 255, 255];
    const own = rgba(getComputedStyle(e).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, behind(e.parentElement));
  };
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, words = texts.currentNode.data.trim();
    const box = e.getBoundingClientRect();
    if (!words || box.width < 2 || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (e.closest(':disabled, .chip, .dd-late, script, style')) continue;
    const under = behind(e), [a, b] = [light(over(rgba(getComputedStyle(e).color), under)), light(under)];
    found.push([words.slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    with running_app(tiny_weights, tmp_path_factory.mktemp("data")) as started:
        yield started


def fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def reads(page: Page) -> None:
    faint = [f"{words!r} {ratio:.1f}" for words, ratio in page.evaluate(CONTRASTS) if ratio < 4.5]
    assert not faint


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_everything_fits_and_can_be_hit(open_page, app, dark):
    page = visit(open_page, app, "inpaint", width=390, dark=dark, touch=True)
    for task in TASKS.values():
        tab = page.get_by_role("tab", name=task.title)
        expect(tab).to_be_visible()
        tab.click()
        expect(seen(page, ".dd-run")).to_be_visible()
        fits(page)
        reads(page)
    page.get_by_role("tab", name=TASKS["inpaint"].title).click()
    page.get_by_role("button", name=EXAMPLES["inpaint"]).click()
    says(page, " bit")
    restored(page, "inpaint")
    flag(page, "Visible seams", comment="here", consent=False)
    says(page, "only with your consent")
    seen(page, ".dd-flag").get_by_text("Mark where").click()
    expect(seen(page, ".dd-flag .stage")).to_be_visible()
    fits(page)
    reads(page)
    small = [target for target in page.evaluate(TARGETS) if min(target[1:]) < 40 and not is_a_thin_slider(target)]
    assert not small


def is_a_thin_slider(target: list) -> bool:
    """Its track may be thin, since all of its width can be hit, and the number beside it does the same."""
    return target[0].startswith("INPUT range slider") and target[2] >= 24


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_desk_everything_can_be_read(open_page, app, dark):
    page = visit(open_page, app, "denoise", dark=dark)
    reads(page)
    upload(page, "notes.png", b"no photo")
    says(page, "not a photo")
    reads(page)
    upload(page, "photo.png", png(picture(60, 80)))
    says(page, "80×60")
    restored(page, "denoise")
    flag(page, "Too smooth")
    says(page, "Saved, thank you")
    reads(page)
    fits(page)


def test_on_a_phone_the_work_is_in_order(open_page, app):
    """One column: the photo, what is painted on it, the settings, the result."""
    page = visit(open_page, app, "inpaint", width=390, touch=True)
    page.get_by_role("button", name=EXAMPLES["inpaint"]).click()
    says(page, " bit")
    paint(page)
    parts = [".dd-photo", ".dd-examples", ".dd-status", ".dd-painter .stage", ".dd-run", ".dd-viewer"]
    tops = [seen(page, part).first.bounding_box()["y"] for part in parts]
    assert tops == sorted(tops)


def test_the_keyboard_alone_restores_a_photo(open_page, app):
    page = visit(open_page, app)
    page.get_by_role("button", name=EXAMPLES["denoise"]).focus()
    page.keyboard.press("Enter")
    says(page, " bit")
    for _ in range(12):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        shadow = page.evaluate("getComputedStyle(document.activeElement).boxShadow")
        assert outline != "none" or shadow != "none", page.evaluate("document.activeElement.outerHTML")[:200]
        if page.evaluate("document.activeElement.classList.contains('dd-run')"):
            break
    page.keyboard.press("Enter")
    says(page, "Done in", 60)
