"""The before/after viewer, driven as a person would."""

from __future__ import annotations

import io
import re

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from deconvdemo.web.components.viewer import comparison, viewer

# noise: any blur, shift or lossy step on the way to the screen changes it
CLEAN = np.random.default_rng(0).integers(0, 256, (600, 900, 3), np.uint8)
NOISY = np.clip(CLEAN + np.random.default_rng(1).normal(0, 6, CLEAN.shape), 0, 255).astype(np.uint8)
SMALL = np.ascontiguousarray(CLEAN[:300, :450])
FILES = {"/pictures/clean.png": CLEAN, "/pictures/noisy.png": NOISY, "/pictures/small.png": SMALL}
DENOISED = comparison("/pictures/noisy.png", "/pictures/clean.png", 900, 600, "Noisy", "Denoised")
UPSCALED = comparison("/pictures/small.png", "/pictures/clean.png", 900, 600)
EMPTY = "Open a photo: the comparison appears here."


@pytest.fixture(scope="module")
def address(serve) -> str:
    swapped = {**DENOISED, "before": "/pictures/clean.png", "after": "/pictures/noisy.png"}
    with gr.Blocks() as blocks:
        with gr.Tab("Denoise"):
            first = viewer(EMPTY, elem_id="first", value=DENOISED)
            again, remove = gr.Button("Again"), gr.Button("Remove")
        with gr.Tab("Upscale"):
            viewer(EMPTY, elem_id="second", value=UPSCALED)
        with gr.Tab("Nothing"):
            viewer(EMPTY, elem_id="third")
        again.click(lambda: swapped, outputs=first)
        remove.click(lambda: None, outputs=first)
    return serve(blocks, FILES)


def stage_of(page: Page, name: str = "first") -> Locator:
    stage = page.locator(f"#{name} .stage")
    expect(stage).to_be_visible()
    page.wait_for_function("s => [...s.querySelectorAll('img')].every(i => i.naturalWidth)", arg=stage.element_handle())
    return stage


def shown(stage: Locator) -> np.ndarray:
    """What is on the screen, in screen pixels, without the stage's corners and labels (60 CSS pixels)."""
    picture = Image.open(io.BytesIO(stage.screenshot())).convert("RGB")
    margin = 60 * stage.evaluate("devicePixelRatio")
    return np.asarray(picture)[margin:-margin, margin:-margin].astype(int)


def corner(stage: Locator) -> tuple[int, int]:
    """Where the photo's first pixel is, in screen pixels from the first one that `shown` returns."""
    script = """s => { const [a, b] = [s, s.querySelector('.after img')].map(e => e.getBoundingClientRect());
                       return [b.left - a.left, b.top - a.top].map(v => (v - 60) * devicePixelRatio) }"""
    x, y = stage.evaluate(script)
    return round(x), round(y)


def press(page: Page, words: str, name: str = "first") -> None:
    page.locator(f"#{name}").get_by_role("button", name=words, exact=True).click()


def reading(page: Page, name: str = "first") -> int:
    return int(re.sub(r"\D", "", page.locator(f"#{name} .reading").inner_text()))


def divider(page: Page, name: str = "first") -> Locator:
    return page.locator(f"#{name}").get_by_role("slider", name="Divider between before and after")


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("zoom", ["1:1", "2×", "4×"])
def test_what_is_shown_is_what_was_computed(open_page, address, zoom, scale):
    page = open_page(address, width=500, scale=scale)
    stage = stage_of(page)
    press(page, "Flicker")
    press(page, zoom)
    pixels, (x, y) = shown(stage), corner(stage)
    times = int(zoom[0])
    whole = CLEAN.repeat(times, 0).repeat(times, 1)
    height, width, _ = pixels.shape
    assert np.array_equal(pixels, whole[-y : height - y, -x : width - x])


def test_difference_is_amplified_and_exact(open_page, address):
    page = open_page(address, width=500)
    stage = stage_of(page)
    press(page, "Difference")
    press(page, "1:1")
    pixels, (x, y) = shown(stage), corner(stage)
    expected = np.minimum(255, 8 * np.abs(CLEAN.astype(int) - NOISY))
    height, width, _ = pixels.shape
    assert np.abs(pixels - expected[-y : height - y, -x : width - x]).max() <= 1


def test_divider_follows_mouse_and_keys(open_page, address):
    page = open_page(address)
    stage_of(page)
    handle = divider(page)
    box = handle.bounding_box()
    page.mouse.move(box["x"] + 22, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] - 150, box["y"] + 60, steps=4)
    page.mouse.up()
    now = int(handle.get_attribute("aria-valuenow"))
    assert 20 < now < 45
    assert abs(handle.bounding_box()["x"] - (box["x"] - 172)) < 2
    handle.press("ArrowRight")
    assert handle.get_attribute("aria-valuenow") == str(now + 2)
    handle.press("Home")
    assert handle.get_attribute("aria-valuenow") == "0"
    handle.press("End")
    assert handle.get_attribute("aria-valuenow") == "100"


def test_split_shows_before_on_its_left_and_after_on_its_right(open_page, address):
    page = open_page(address, width=500)
    stage = stage_of(page)
    press(page, "1:1")
    pixels, (x, y) = shown(stage), corner(stage)
    width = pixels.shape[1]
    half, rows = width // 2 - 30, slice(0, 20)  # clear of the divider's grip
    assert np.array_equal(pixels[rows, :half], NOISY[-y : 20 - y, -x : half - x])
    assert np.array_equal(pixels[rows, -half:], CLEAN[-y : 20 - y, width - half - x : width - x])


def test_wheel_zooms_under_the_pointer_only_once_asked(open_page, address):
    page = open_page(address)
    stage = stage_of(page)
    fitted = reading(page)
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(100)
    assert reading(page) == fitted
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    expect(page.locator("#first .reading")).not_to_have_text(f"{fitted} %")
    assert reading(page) > fitted
    page.mouse.dblclick(box["x"] + 300, box["y"] + 200)
    assert reading(page) == fitted


def test_drag_moves_a_zoomed_photo_and_both_sides_follow(open_page, address):
    page = open_page(address)
    stage = stage_of(page)
    press(page, "Side by side")
    press(page, "2×")
    places = "s => [...s.querySelectorAll('img')].map(i => i.style.transform.match(/-?[\\d.]+/g).map(Number))"
    (after, _) = stage.evaluate(places)
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 150, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 190, box["y"] + 130, steps=3)
    page.mouse.up()
    moved_after, moved_before = stage.evaluate(places)
    assert np.allclose(np.subtract(moved_after, after), [40, -20, 0], atol=1)
    assert np.allclose(moved_before, moved_after, atol=1)


def test_holding_shows_the_photo_before(open_page, address):
    page = open_page(address)
    stage = stage_of(page)
    before = stage.locator(".pane.before")
    press(page, "Flicker")
    expect(before).to_be_hidden()
    button = page.get_by_role("button", name="Hold to see: Noisy")
    button.hover()
    page.mouse.down()
    expect(before).to_be_visible()
    page.mouse.up()
    expect(before).to_be_hidden()
    stage.focus()
    page.keyboard.down("b")
    expect(before).to_be_visible()
    page.keyboard.up("b")
    expect(before).to_be_hidden()
    event = "(s, [kind, key, code, more]) => s.dispatchEvent(new KeyboardEvent(kind, { key, code, ...more }))"
    stage.evaluate(event, ["keydown", "и", "KeyB", {"altKey": True}])
    expect(before).to_be_hidden()
    stage.evaluate(event, ["keydown", "и", "KeyB", {}])  # the same key on a Russian keyboard
    expect(before).to_be_visible()
    stage.evaluate(event, ["keyup", "и", "KeyB", {}])
    expect(before).to_be_hidden()
    stage.evaluate(event, ["keydown", "é", "Digit2", {}])  # a French one
    expect(page.locator("#first .reading")).to_have_text("200 %")


def test_a_new_result_keeps_zoom_and_reacts_once(open_page, address):
    page = open_page(address)
    stage = stage_of(page)
    press(page, "2×")
    for _ in range(3):
        page.get_by_role("button", name="Remove").click()
        expect(page.locator("#first").get_by_text(EMPTY)).to_be_visible()
        expect(stage).to_be_hidden()
        page.get_by_role("button", name="Again").click()
        expect(stage.locator(".after img")).to_have_attribute("src", "/pictures/noisy.png")
    stage_of(page)
    assert reading(page) == 200
    divider(page).press("ArrowRight")
    assert divider(page).get_attribute("aria-valuenow") == "52"


def test_viewers_of_lazy_tabs_are_sized_and_independent(open_page, address):
    page = open_page(address)
    stage_of(page)
    press(page, "4×")
    divider(page).press("Home")
    page.get_by_role("tab", name="Upscale").click()
    stage = stage_of(page, "second")
    assert stage.bounding_box()["height"] > 250
    assert reading(page, "second") != 400
    assert divider(page, "second").get_attribute("aria-valuenow") == "50"
    page.get_by_role("tab", name="Nothing").click()
    expect(page.locator("#third").get_by_text(EMPTY)).to_be_visible()
    page.get_by_role("tab", name="Denoise").click()
    assert stage_of(page).bounding_box()["height"] > 250


def test_a_smaller_photo_is_scaled_and_not_subtracted(open_page, address):
    page = open_page(address)
    stage_of(page)
    page.get_by_role("tab", name="Upscale").click()
    stage = stage_of(page, "second")
    expect(page.locator("#second").get_by_role("button", name="Difference")).to_be_hidden()
    sizes = stage.evaluate("s => [...s.querySelectorAll('img')].map(i => i.getBoundingClientRect().width)")
    assert sizes[0] == sizes[1]
    before = stage.locator(".before img")
    expect(before).to_have_css("image-rendering", "auto")
    press(page, "Smooth the small photo", "second")
    expect(before).to_have_css("image-rendering", "pixelated")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_fits_a_phone_and_can_be_read_and_touched(open_page, address, dark):
    page = open_page(address, width=390, dark=dark, touch=True)
    stage = stage_of(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in page.locator("#first button:visible, #first [role=slider]").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 40
        assert box["x"] + box["width"] <= 390
    assert contrast(page.locator("#first .hint")) > 4.5
    assert contrast(page.locator("#first [data-mode=split]")) > 4.5
    press(page, "Side by side")
    expect(stage).to_have_class(re.compile("rows"))


def contrast(text: Locator) -> float:
    """WCAG's contrast of a text with the page behind it, as painted."""
    script = """e => {
      const pen = document.createElement('canvas').getContext('2d');
      const paint = colour => {
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data];
      };
      const backgrounds = [];
      for (let n = e; n; n = n.parentElement) backgrounds.unshift(getComputedStyle(n).backgroundColor);
      return [backgrounds.map(paint).pop(), paint(getComputedStyle(e).color)];
    }"""
    linear = lambda c: np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear(np.array(rgba[:3]) / 255) @ [0.2126, 0.7152, 0.0722] for rgba in text.evaluate(script))
    return (light + 0.05) / (dark + 0.05)


def test_two_fingers_zoom(open_page, address):
    page = open_page(address, width=390, touch=True)
    stage = stage_of(page)
    fitted = reading(page)
    box = stage.bounding_box()
    session = page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, spread in [("touchStart", 30), ("touchMove", 50), ("touchMove", 90)]:
        points = [{"x": x - spread, "y": y, "id": 0}, {"x": x + spread, "y": y, "id": 1}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert reading(page) == pytest.approx(3 * fitted, rel=0.15)
