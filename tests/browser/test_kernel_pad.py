"""What blurred a photo, as a visitor tells it: in numbers, with the finger, by the keyboard, or from a file."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import torch
from demo_app import App, png
from playwright.sync_api import Locator, Page, expect
from test_demo import app, flag, opened, restored, says, seen, visit  # noqa: F401
from test_look import fits, reads
from tiny import picture

from deconvdemo.deconvolution.kernels import kernel_named
from deconvdemo.tasks.kernel import kernel_of


@pytest.fixture
def page(open_page, app: App) -> Page:  # noqa: F811
    page = visit(open_page, app, "deblur", touch=True)
    opened(page, "walk.png", png(picture(40, 60)))
    return page


def pad(page: Page) -> Locator:
    return seen(page, ".dd-kernel .body")


def choose(page: Page, kind: str) -> None:
    pad(page).get_by_role("button", name=kind, exact=True).click()


def asked(page: Page, app: App) -> str:  # noqa: F811
    """The kernel that the server was asked for."""
    restored(page, "deblur")
    flag(page, "Too smooth")
    says(page, "Saved, thank you")
    return app.flags()[-1].controls["kernel"]


def test_a_blur_is_told_in_numbers(page, app):  # noqa: F811
    choose(page, "Moved")
    pad(page).get_by_label("Length").fill("7")
    pad(page).get_by_label("Angle").fill("-30")
    assert asked(page, app) == "motion:7,-30"
    fits(page)
    reads(page)
    assert all(button.bounding_box()["height"] >= 40 for button in pad(page).get_by_role("button").all())


def test_a_blur_is_drawn(page, app):  # noqa: F811
    choose(page, "Draw")
    canvas = pad(page).locator("canvas")
    expect(canvas).to_have_attribute("role", "application")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    cell = box["width"] / 41
    page.mouse.move(box["x"] + 10.5 * cell, box["y"] + 20.5 * cell)
    page.mouse.down()
    page.mouse.move(box["x"] + 30.5 * cell, box["y"] + 20.5 * cell, steps=5)
    page.mouse.up()
    drawn = kernel_of(asked(page, app)).numpy()
    assert drawn.shape == (1, 21)  # a level line, twenty pixels long, its faint ends a half
    assert drawn[0, 1:-1] == pytest.approx(1 / 20, rel=0.15)
    choose(page, "Draw")
    pad(page).get_by_role("button", name="Clear").click()
    canvas.focus()
    for _ in range(6):
        page.keyboard.press("Shift+ArrowUp")
    by_keys = kernel_of(asked(page, app)).numpy()
    assert by_keys.shape[1] == 1
    assert 6 <= by_keys.shape[0] <= 13


def test_a_blur_comes_from_a_file(page, app):  # noqa: F811
    taps = kernel_named("motion:9,30")
    file = io.BytesIO()
    np.save(file, np.asfortranarray(taps.numpy()))
    choose(page, "File")
    entry = pad(page).locator("input[type=file]")
    entry.set_input_files({"name": "k.npy", "mimeType": "application/octet-stream", "buffer": file.getvalue()})
    expect(pad(page)).to_contain_text(f"{taps.shape[1]}×{taps.shape[0]} pixels")
    assert torch.allclose(kernel_of(asked(page, app)), taps, atol=1e-4)
    entry.set_input_files({"name": "k.npy", "mimeType": "application/octet-stream", "buffer": b"no array"})
    expect(pad(page).get_by_role("alert")).to_contain_text(re.compile("holds no kernel"))
    black = png(np.zeros((5, 5, 3), np.uint8))
    entry.set_input_files({"name": "k.png", "mimeType": "image/png", "buffer": black})
    expect(pad(page).get_by_role("alert")).to_contain_text("it is black")
