"""The mask painter, driven as a person would; what arrives at the server is what is tested."""

from __future__ import annotations

import re

import gradio as gr
import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

from deconvdemo.web.components.painter import mask_from_painter, painter, painting

PHOTO = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
LARGE = np.zeros((2000, 3000, 3), np.uint8)  # more than the painter's canvas may have
UPLOADED = Image.new("L", (400, 300))
ImageDraw.Draw(UPLOADED).ellipse((37, 41, 211, 180), fill=255)
EMPTY = "Open a photo, then paint over what should go."
DEEP = "That is more than can be continued."
taken: dict[str, np.ndarray | None] = {}


def take(name: str):
    def keep(value) -> str:
        taken[name] = mask_from_painter(value)
        return f"took {name}"

    return keep


def count(steps=12):
    """Progress as a restoration shows it: many updates of another component."""
    for step in range(steps):
        yield f"step {step + 1}"


@pytest.fixture(scope="module")
def address(serve) -> str:
    with gr.Blocks() as blocks:
        said, progress = gr.Textbox(label="Said"), gr.Textbox(label="Progress")
        with gr.Tab("One"):
            one = painter(EMPTY, elem_id="one", value=painting("/photos/photo.png", 400, 300, limit=(8, DEEP)))
            gr.Button("Take one").click(take("one"), one, said, trigger_mode="multiple")
            gr.Button("Count").click(count, None, progress)
            uploaded = painting("/photos/photo.png", 400, 300, np.asarray(UPLOADED) > 127)
            gr.Button("Upload").click(lambda: uploaded, None, one)
            gr.Button("Remove").click(lambda: None, None, one)
        with gr.Tab("Two"):
            two = painter(EMPTY, elem_id="two", value=painting("/photos/large.png", 3000, 2000))
            gr.Button("Take two").click(take("two"), two, said, trigger_mode="multiple")
    return serve(blocks, {"/photos/photo.png": PHOTO, "/photos/large.png": LARGE})


def stage_of(page: Page, name: str = "one") -> Locator:
    stage = page.locator(f"#{name} .stage")
    expect(stage).to_be_visible()
    page.wait_for_function("s => s.querySelector('img').naturalWidth", arg=stage.element_handle())
    return stage


def press(page: Page, words: str, name: str = "one") -> None:
    page.locator(f"#{name}").get_by_role("button", name=words, exact=True).click()


def drag(page: Page, name: str, *points: tuple[float, float]) -> None:
    """Drags through points of the photo, in its pixels, wherever the page shows them now."""
    box = page.locator(f"#{name} .plane").evaluate("p => p.getBoundingClientRect().toJSON()")
    width = float(page.locator(f"#{name} .plane").evaluate("p => p.clientWidth"))
    on_page = [(box["x"] + x * box["width"] / width, box["y"] + y * box["width"] / width) for x, y in points]
    page.mouse.move(*on_page[0])
    page.mouse.down()
    for point in on_page[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def set_brush(page: Page, name: str, size: int) -> None:
    stage, reading = page.locator(f"#{name} .stage"), page.locator(f"#{name} .size")
    stage.focus()
    for _ in range(80):
        now = int(reading.inner_text().split()[0])
        if now == size:
            return
        page.locator(f"#{name} .range").focus()
        page.keyboard.press("[" if now > size else "]")
    raise AssertionError(f"no way to a brush of {size} pixels")


def mask_of(page: Page, name: str = "one") -> np.ndarray | None:
    taken.pop(name, None)
    page.get_by_role("button", name=f"Take {name}").click()
    deadline = 400  # times 50 ms: the machine has other tests to do
    while name not in taken and deadline:
        page.wait_for_timeout(50)
        deadline -= 1
    assert name in taken, "what was painted did not arrive in 20 s"
    return None if taken[name] is None else 255 * taken[name].astype(np.uint8)


def test_a_stroke_marks_the_pixels_under_it_and_no_others(open_page, address):
    page = open_page(address)
    stage_of(page)
    assert mask_of(page) is None
    set_brush(page, "one", 16)
    drag(page, "one", (100, 80), (200, 80))
    mask = mask_of(page)
    assert mask.shape == (300, 400)
    assert set(np.unique(mask)) == {0, 255}
    rows, columns = np.nonzero(mask)
    assert np.allclose([rows.min(), rows.max(), columns.min(), columns.max()], [72, 87, 92, 207], atol=1)
    assert mask[78:82, 95:205].all()
    expect(page.locator("#one .share")).to_have_text(re.compile(f"{100 * (mask > 0).mean():.1f} % marked"))


def test_zoomed_in_a_stroke_is_as_exact(open_page, address):
    page = open_page(address)
    stage = stage_of(page)
    for _ in range(9):
        press(page, "Zoom in")
    set_brush(page, "one", 3)
    drag(page, "one", (210, 150), (220, 150))
    rows, columns = np.nonzero(mask_of(page))
    assert np.allclose([rows.min(), rows.max(), columns.min(), columns.max()], [148, 151, 208, 221], atol=1)
    # Space and drag move the photo and paint nothing
    place = stage.locator(".plane").evaluate("p => p.getBoundingClientRect().x")
    marked = page.locator("#one .share").inner_text()
    stage.focus()
    page.keyboard.down("Space")
    drag(page, "one", (210, 150), (190, 140))
    page.keyboard.up("Space")
    assert stage.locator(".plane").evaluate("p => p.getBoundingClientRect().x") < place - 50
    assert page.locator("#one .share").inner_text() == marked


def test_marking_more_than_can_be_continued_is_said_at_once(open_page, address):
    page = open_page(address)
    stage_of(page)
    warning = page.locator("#one .limit")
    press(page, "Rectangle")
    drag(page, "one", (50, 40), (64, 280))  # from either side it is 7 pixels to the middle
    expect(page.locator("#one .share")).to_have_text(re.compile("marked$"))
    expect(warning).to_be_hidden()
    drag(page, "one", (100, 40), (120, 280))
    expect(warning).to_have_text(DEEP)
    press(page, "Undo")
    expect(warning).to_be_hidden()
    drag(page, "one", (-5, 40), (10, 280))  # beyond the photo's border nothing is known
    expect(warning).to_be_visible()


def test_undo_redo_clear_invert_erase_and_rectangle(open_page, address):
    page = open_page(address)
    stage = stage_of(page)
    press(page, "Rectangle")
    drag(page, "one", (50, 40), (150, 120))
    rectangle = mask_of(page)
    rows, columns = np.nonzero(rectangle)
    assert np.allclose([rows.min(), rows.max(), columns.min(), columns.max()], [40, 120, 50, 150], atol=1)
    assert rectangle[41:119, 51:149].all()
    press(page, "Eraser")
    drag(page, "one", (40, 80), (160, 80))
    erased = mask_of(page)
    assert not erased[80].any()
    assert erased[45, 100]
    stage.focus()
    page.keyboard.press("Control+z")
    assert np.array_equal(mask_of(page), rectangle)
    stage.focus()
    page.keyboard.press("Control+Shift+Z")
    assert np.array_equal(mask_of(page), erased)
    press(page, "Invert")
    assert np.array_equal(mask_of(page), 255 - erased)
    press(page, "Clear")
    assert mask_of(page) is None
    press(page, "Undo")
    press(page, "Undo")
    assert np.array_equal(mask_of(page), erased)


def test_the_keyboard_alone_paints(open_page, address):
    page = open_page(address)
    stage_of(page).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    rows, columns = np.nonzero(mask_of(page))
    assert abs(rows.mean() - 150) < 1
    assert 200 < columns.mean() < 210


def test_the_keys_of_other_keyboards_and_held_ones(open_page, address):
    page = open_page(address)
    stage = stage_of(page)
    stage.focus()

    def tap(key: str, code: str, **more) -> None:
        event = {"key": key, "code": code, "bubbles": True, "cancelable": True, **more}
        stage.evaluate("(s, event) => s.dispatchEvent(new KeyboardEvent('keydown', event))", event)

    pressed = lambda tool: page.locator(f"#one [data-tool={tool}][aria-pressed=true]")
    for key, code, tool in [("у", "KeyE", "eraser"), ("ь", "KeyM", "move"), ("b", "KeyN", "brush")]:
        tap(key, code)
        expect(pressed(tool)).to_be_visible()
    tap("у", "KeyE", ctrlKey=True)
    tap("e", "KeyE", isComposing=True)
    expect(pressed("brush")).to_be_visible()
    size = page.locator("#one .size").inner_text()
    tap("х", "BracketLeft")
    expect(page.locator("#one .size")).not_to_have_text(size)
    for _ in range(5):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(page.locator("#one .share")).to_contain_text("% marked")
    tap("я", "KeyZ", ctrlKey=True)
    expect(page.locator("#one .share")).to_have_text("Nothing marked yet")
    page.locator("#one [data-do=invert]").focus()
    for _ in range(4):  # an even number of times would leave it as it was
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(page.locator("#one .share")).to_have_text("100.0 % marked")


def test_a_stroke_sends_nothing_and_progress_does_not_send_the_mask(open_page, address):
    page = open_page(address)
    stage_of(page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or request.url))
    drag(page, "one", (100, 80), (200, 180))
    page.wait_for_timeout(300)
    assert sent == []
    mask = mask_of(page)
    assert mask is not None
    assert sum('"bits"' in body for body in sent) == 1
    sent.clear()
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_label("Progress")).to_have_value("step 12")
    assert sent
    assert not any("bits" in body or "photos" in body for body in sent)
    assert np.array_equal(mask_of(page), mask)


def test_an_uploaded_mask_is_shown_and_painted_on(open_page, address):
    page = open_page(address)
    stage_of(page)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#one .share")).to_contain_text("% marked")
    assert np.array_equal(mask_of(page), np.asarray(UPLOADED))
    drag(page, "one", (300, 250), (350, 250))
    mask = mask_of(page)
    assert mask[250, 320]
    assert mask[np.asarray(UPLOADED) > 0].all()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#one").get_by_text(EMPTY)).to_be_visible()
    assert mask_of(page) is None


def test_painters_are_independent_and_large_photos_get_masks_of_their_own_size(open_page, address):
    page = open_page(address)
    stage_of(page)
    drag(page, "one", (100, 80), (200, 80))
    first = mask_of(page)
    page.get_by_role("tab", name="Two").click()
    stage_of(page, "two")
    assert mask_of(page, "two") is None
    press(page, "Rectangle", "two")
    drag(page, "two", (1000, 500), (2000, 1500))
    mask = mask_of(page, "two")
    assert mask.shape == (2000, 3000)
    rows, columns = np.nonzero(mask)
    assert np.allclose([rows.min(), rows.max(), columns.min(), columns.max()], [500, 1500, 1000, 2000], atol=4)
    page.get_by_role("tab", name="One").click()
    stage_of(page)
    assert np.array_equal(mask_of(page), first)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_fingers_paint_on_a_phone_and_two_of_them_do_not(open_page, address, dark):
    page = open_page(address, width=390, dark=dark, touch=True)
    stage = stage_of(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for control in page.locator("#one button:visible, #one input:visible").all():
        box = control.bounding_box()
        assert min(box["width"], box["height"]) >= 40
    box = stage.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": px, "y": py, "id": i} for i, (px, py) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    touch("touchStart", (x - 40, y - 60))
    touch("touchMove", (x - 30, y - 60))
    touch("touchStart", (x - 30, y - 60), (x + 30, y - 60))
    touch("touchMove", (x - 60, y - 60), (x + 60, y - 60))
    touch("touchEnd")
    expect(page.locator("#one .share")).to_have_text("Nothing marked yet")
    expect(page.locator("#one [data-do=fit]")).to_have_attribute("aria-pressed", "false")
    press(page, "Fit")
    touch("touchStart", (x - 40, y))
    touch("touchMove", (x + 40, y))
    touch("touchEnd")
    rows, columns = np.nonzero(mask_of(page))
    assert abs(rows.min() - 140) < 3
    assert abs(rows.max() - 160) < 3
    assert abs(columns.mean() - 200) < 2
