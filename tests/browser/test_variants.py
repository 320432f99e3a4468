"""Several networks for a task, as a visitor meets them: chosen, left to judge by themselves, or told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tiny
from demo_app import App, png, running_app
from playwright.sync_api import Locator, Page, expect
from test_demo import EXAMPLES, flag, opened, restored, says, seen, visit
from test_look import TARGETS, fits, is_a_thin_slider, reads

from deconvdemo.tasks import TASKS
from deconvdemo.tasks.harm import Harm

SERVED = ["denoise", "denoise-photo", "upscale-x2", "upscale-x3", "upscale-x3-photo", "upscale-x4-fast", "inpaint"]


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("weights")
    for task in TASKS.values():
        for choices in task.combinations():
            if task.trains and task.weights(choices) in SERVED:
                tiny.weights_file(folder, task, choices)
    tiny.judge_of(folder, Harm(level=9, noise=9, white=0.01, jpeg=0.99, blur=0))
    with running_app(folder, tmp_path_factory.mktemp("data")) as started:
        yield started


def choose(page: Page, label: str) -> None:
    seen(page, ".dd-variant").get_by_label(label).check()


def automatic(page: Page) -> Locator:
    return seen(page, ".dd-automatic").get_by_label("Automatic")


def level(page: Page) -> Locator:
    return page.get_by_role("spinbutton", name="Noise level").locator("visible=true")


def report(page: Page) -> Locator:
    return seen(page, ".dd-report")


def test_the_photo_chooses_the_network_until_somebody_does(open_page, app):
    page = visit(open_page, app)
    expect(seen(page, ".dd-variant").get_by_label("Auto")).to_be_checked()
    expect(automatic(page)).to_be_checked()
    page.get_by_role("button", name=EXAMPLES["denoise"]).click()
    says(page, "400×400, WEBP, 8 bit. JPEG traces, camera noise of about 9: Camera photos.")
    restored(page, "denoise")
    expect(seen(page, ".dd-status")).to_contain_text("JPEG traces, camera noise of about 9: Camera photos.")
    expect(report(page)).to_contain_text("sigma 9.2 · strength 1 · variant photo · ")
    level(page).fill("40")
    expect(automatic(page)).not_to_be_checked()
    restored(page, "denoise")
    expect(report(page)).to_contain_text("sigma 40 · strength 1 · variant photo · ")
    choose(page, "Even noise")
    restored(page, "denoise")
    expect(report(page)).to_contain_text("variant standard · ")
    expect(seen(page, ".dd-status")).not_to_contain_text("JPEG")


def test_a_network_judges_the_noise_by_itself_until_the_slider_is_moved(open_page, app):
    page = visit(open_page, app)
    choose(page, "Even noise")
    expect(automatic(page)).to_have_count(0)
    choose(page, "Camera photos")
    expect(automatic(page)).to_be_checked()
    expect(seen(page, ".dd-variant")).to_contain_text(TASKS["denoise"].variant.options["photo"].meaning)
    page.get_by_role("button", name=EXAMPLES["denoise"]).click()
    says(page, "400×400, WEBP, 8 bit.")
    expect(seen(page, ".dd-status")).not_to_contain_text("Estimated")
    by_itself = restored(page, "denoise")
    expect(report(page)).to_contain_text("sigma auto · strength 1 · variant photo · ")
    expect(report(page)).to_contain_text("weights denoise-photo ")
    flag(page, "Good result")
    says(page, "Saved, thank you")
    assert app.flags()[-1].controls == {"sigma": None, "strength": 1, "variant": "photo", "wrap": False}

    level(page).fill("40")
    expect(automatic(page)).not_to_be_checked()
    told = restored(page, "denoise")
    expect(report(page)).to_contain_text("sigma 40 · ")
    assert told[1] != by_itself[1]

    automatic(page).check()
    restored(page, "denoise")
    expect(report(page)).to_contain_text("sigma auto · ")


def test_each_new_photo_is_judged_anew(open_page, app):
    page = visit(open_page, app)
    choose(page, "Camera photos")
    opened(page, "first.png", png(tiny.picture(40, 40)))
    slider = seen(page, "input[type=range]").first
    slider.focus()
    slider.press("ArrowRight")
    expect(automatic(page)).not_to_be_checked()
    opened(page, "second.png", png(tiny.picture(48, 40)))
    expect(automatic(page)).to_be_checked()


def test_the_other_network_gets_the_estimate_of_the_photo_that_is_open(open_page, app):
    page = visit(open_page, app)
    choose(page, "Camera photos")
    page.get_by_role("button", name=EXAMPLES["denoise"]).click()
    says(page, "400×400")
    choose(page, "Even noise")
    expect(automatic(page)).to_have_count(0)
    assert 20 < float(level(page).input_value()) < 30
    restored(page, "denoise")
    expect(report(page)).to_contain_text("sigma 2")
    expect(report(page)).to_contain_text("variant standard · ")


def test_a_network_offers_the_scales_that_it_was_trained_for(open_page, app):
    page = visit(open_page, app, "upscale")
    scales = seen(page, "fieldset").filter(has_text="How many times longer")
    expect(scales.get_by_role("radio")).to_have_count(3)  # each network's, for Auto
    expect(scales.get_by_label("×2")).to_be_checked()
    choose(page, "JPEG photos")
    expect(scales.get_by_role("radio")).to_have_count(1)
    expect(scales.get_by_label("×3")).to_be_checked()
    opened(page, "small.png", png(tiny.picture(20, 24)))
    restored(page, "upscale")
    expect(report(page)).to_contain_text("24×20 → 72×60 · scale 3 · strength 1 · variant photo")
    choose(page, "Speed")
    expect(scales.get_by_label("×4")).to_be_checked()
    restored(page, "upscale")
    expect(report(page)).to_contain_text("24×20 → 96×80 · scale 4 · strength 1 · variant fast")
    choose(page, "Clean pictures")
    expect(scales.get_by_role("radio")).to_have_count(2)
    expect(scales.get_by_label("×3")).to_be_checked()


def test_where_there_is_one_network_nothing_is_to_be_chosen(open_page, app):
    page = visit(open_page, app, "inpaint")
    expect(seen(page, ".dd-variant")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_choice_can_be_read_and_hit(open_page, app, width, dark):
    page = visit(open_page, app, width=width, dark=dark, touch=width == 390)
    choose(page, "Camera photos")
    expect(automatic(page)).to_be_visible()
    shown = page.evaluate("e => getComputedStyle(e.parentElement, '::after').content", level(page).element_handle())
    assert shown == '"auto"'
    page.wait_for_timeout(400)  # colours fade
    fits(page)
    reads(page)
    small = [target for target in page.evaluate(TARGETS) if min(target[1:]) < 40 and not is_a_thin_slider(target)]
    assert not small or width == 1280
    level(page).fill("12")
    expect(automatic(page)).not_to_be_checked()
    level(page).blur()
    shown = page.evaluate("e => getComputedStyle(e.parentElement, '::after').content", level(page).element_handle())
    assert shown == "none"
