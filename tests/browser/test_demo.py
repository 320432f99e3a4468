"""A visit to the demo, with a real browser and a real mouse: from a photo to a flag."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from demo_app import App, bomb, png, running_app
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from tiny import picture

from deconvdemo.engine.admission import PLACES
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import encode_photo
from deconvdemo.tasks import TASKS

EXAMPLES = {
    "denoise": "Portrait, noise",
    "upscale": "Small cat",
    "inpaint": "Scratched coffee",
    "deblur": "Portrait, out of focus",
}
NASTY = "<script>window.hacked = 1</script> & <img src=x onerror='window.hacked = 1'>"


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    with running_app(tiny_weights, tmp_path_factory.mktemp("data")) as started:
        yield started


@pytest.fixture
def slow(app: App) -> Iterator[App]:
    app.restorer.pause, app.restorer.tile = 0.2, 32
    yield app
    app.restorer.pause, app.restorer.tile = 0.0, "auto"


def jpeg(pixels: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def deep_png() -> bytes:
    return encode_photo(read_photo(picture(60, 80, dtype=np.uint16)), "PNG")


def deep_tiff() -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, picture(60, 80, dtype=np.uint16), photometric="rgb")
    return file.getvalue()


def visit(open_page, app: App, task: str = "denoise", **look) -> Page:
    page = open_page(app.url, **look)
    page.get_by_role("tab", name=TASKS[task].title).click()
    expect(run_button(page, task)).to_be_visible()
    return page


def run_button(page: Page, task: str) -> Locator:
    return page.get_by_role("button", name=TASKS[task].verb, exact=True)


def seen(page: Page, selector: str) -> Locator:
    """What matches in the tab that is open."""
    return page.locator(f"{selector}:visible")


def upload(page: Page, name: str, data: bytes) -> None:
    mime = "image/" + {"jpg": "jpeg", "tif": "tiff"}.get(name.rpartition(".")[2], "png")
    file = {"name": name, "mimeType": mime, "buffer": data}
    page.locator(".tabitem:visible .dd-photo input[type=file]").first.set_input_files(file)


def says(page: Page, words: str, seconds: float = 20) -> None:
    expect(seen(page, ".dd-status").filter(has_text=words).first).to_be_visible(timeout=1000 * seconds)


def opened(page: Page, name: str, data: bytes) -> None:
    upload(page, name, data)
    size = Image.open(io.BytesIO(data)).size
    says(page, f"{size[0]}×{size[1]}")


def restored(page: Page, task: str) -> list[str]:
    """Presses the button, waits for the result, and returns the URLs of the pictures before and after."""
    run_button(page, task).click()
    says(page, "Done in", 60)
    pictures = seen(page, ".dd-viewer img")
    expect(pictures).to_have_count(2)
    page.wait_for_function("all => all.every(i => i.naturalWidth)", arg=pictures.element_handles())
    urls = pictures.evaluate_all("all => all.map(i => [i.dataset.part, i.src])")
    return [dict(urls)["before"], dict(urls)["after"]]


def paint(page: Page) -> None:
    """A stroke across the middle of the photo, with the mouse."""
    stage = seen(page, ".dd-painter .stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 10, steps=5)
    page.mouse.up()
    expect(seen(page, ".dd-painter .share")).to_contain_text("% marked")


def fetched(page: Page, url: str) -> bytes:
    answer = page.request.get(url)
    assert answer.ok
    return answer.body()


def downloaded(page: Page) -> tuple[str, bytes]:
    with page.expect_download() as download:
        seen(page, ".dd-download").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def flag(page: Page, *reasons: str, comment: str = "", consent: bool = True) -> None:
    panel = seen(page, ".dd-flag")
    for reason in reasons:
        panel.get_by_label(reason).check()
    panel.get_by_label("Comment", exact=True).fill(comment)
    if consent:
        panel.get_by_label("I agree").check()
    panel.get_by_role("button", name="Send flag").click()


def scratched() -> bytes:
    """A dim photo with a white line across it: what the small weights take for a scratch."""
    pixels = (picture(60, 80) * 0.6).astype(np.uint8)
    pixels[28:32, 10:70] = 255
    return png(pixels)


def test_scratches_are_found_changed_and_filled_in(open_page, app):
    page = visit(open_page, app, "inpaint")
    find = page.get_by_role("button", name="Find scratches", exact=True)
    opened(page, "old.png", scratched())
    share = seen(page, ".dd-painter .share")
    expect(share).to_have_text("Nothing marked yet")
    find.click()
    says(page, "% of the photo is marked as scratches")
    expect(share).to_contain_text("% marked")
    paint(page)  # what was found is the visitor's to change
    before, after = (read_photo(fetched(page, url)).pixels for url in restored(page, "inpaint"))
    changed = (before != after).any(axis=2)
    assert changed[28:32, 10:70].mean() > 0.9
    assert not changed[:20].any()
    upload(page, "whole.png", png((picture(60, 90) * 0.6).astype(np.uint8)))
    says(page, "90×60")
    find.click()
    says(page, "No scratches were found")
    expect(share).to_have_text("Nothing marked yet")
    page.get_by_label("Sensitivity").first.wait_for()


VISITS = {
    "denoise": ("holiday.png", deep_png, "holiday-denoise.png", "PNG", 16, False),
    "upscale": ("holiday.jpg", lambda: jpeg(picture(60, 80)), "holiday-upscale.jpg", "JPEG", 8, False),
    "deblur": ("walk.png", lambda: png(picture(60, 80)), "walk-deblur.png", "PNG", 8, False),
    "inpaint": ("scan.png", lambda: png(picture(60, 80, 1)), "scan-inpaint.png", "PNG", 8, True),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_photo_is_restored_downloaded_and_flagged(open_page, app, task):
    name, file, download_name, form, depth, grey = VISITS[task]
    page = visit(open_page, app, task)
    opened(page, name, file())
    if TASKS[task].needs_mask:
        paint(page)
    if TASKS[task].has("kernel"):
        seen(page, ".dd-kernel").get_by_role("button", name="Soft").click()
    before, after = restored(page, task)

    name, data = downloaded(page)
    photo = read_photo(data)
    assert (name, photo.format, photo.bit_depth, photo.is_grey) == (download_name, form, depth, grey)

    stored = len(app.flags())
    flag(page, "Too smooth", "Halo around edges", comment=NASTY)
    says(page, "Saved, thank you")
    assert len(app.flags()) == stored + 1
    kept = app.flags()[-1]
    assert (kept.task, kept.reasons, kept.comment) == (task, ("too_smooth", "halo"), NASTY)
    assert (kept.observed, kept.restored) == (fetched(page, before), fetched(page, after))
    assert (kept.mask is not None) == TASKS[task].needs_mask
    assert kept.checkpoint["sha256"] == app.restorer.weights.load(_weights_of(task)).sha256
    assert page.evaluate("window.hacked") is None
    shown, saved = read_photo(kept.restored), photo
    if form == "PNG":  # what is shown is what is downloaded
        np.testing.assert_array_equal(shown.pixels, saved.pixels)


def _weights_of(task: str) -> str:
    return TASKS[task].weights(TASKS[task].checked({}))


@pytest.mark.parametrize("task", TASKS)
def test_an_example_shows_what_the_task_does(open_page, app, task):
    page = visit(open_page, app, task)
    page.get_by_role("button", name=EXAMPLES[task]).click()
    says(page, " bit")
    before, after = restored(page, task)
    assert fetched(page, before) != fetched(page, after)
    expect(seen(page, ".dd-report")).to_contain_text("weights " + _weights_of(task))


def test_the_noise_is_estimated_and_can_be_overruled_even_by_zero(open_page, app):
    page = visit(open_page, app)
    page.get_by_role("button", name=EXAMPLES["denoise"]).click()
    says(page, "Estimated noise: sigma 2")
    level = page.get_by_role("spinbutton", name=re.compile("Noise level"))
    assert 20 < float(level.input_value()) < 30
    level.fill("0")
    level.press("Tab")
    run_button(page, "denoise").click()
    says(page, "Nothing to remove: the photo is given back as it is.")
    expect(seen(page, ".dd-report")).to_contain_text("sigma 0 ·")


def test_a_flag_needs_a_reason_and_consent_and_is_stored_once(open_page, app):
    page = visit(open_page, app)
    opened(page, "a.png", png(picture(40, 40)))
    restored(page, "denoise")
    stored = len(app.flags())
    flag(page, consent=False)
    says(page, "only with your consent")
    flag(page)
    says(page, "choose at least one reason")
    assert len(app.flags()) == stored
    seen(page, ".dd-flag").get_by_label("Good result").check()
    seen(page, ".dd-flag").get_by_role("button", name="Send flag").dblclick()
    says(page, "Saved, thank you")
    seen(page, ".dd-flag").get_by_role("button", name="Send flag").click()
    page.wait_for_timeout(700)
    assert len(app.flags()) == stored + 1


def test_a_new_photo_leaves_nothing_of_the_old_result(open_page, app):
    page = visit(open_page, app)
    opened(page, "first.png", png(picture(40, 40)))
    restored(page, "denoise")
    opened(page, "second.png", png(picture(48, 40)))
    expect(seen(page, ".dd-viewer .empty")).to_be_visible()
    expect(seen(page, ".dd-report")).to_have_count(0)
    expect(seen(page, ".dd-flag")).to_have_count(0)
    restored(page, "denoise")
    seen(page, ".dd-photo").get_by_label("Remove Image").click()
    expect(seen(page, ".dd-viewer .empty")).to_be_visible()
    expect(seen(page, ".dd-status")).to_have_count(0)
    run_button(page, "denoise").click()
    says(page, "There is no photo yet")


def test_bad_uploads_get_one_sentence_and_the_demo_lives_on(open_page, app):
    page = visit(open_page, app)
    bad = {
        "notes.png": (b"this is no photo", "notes.png is not a photo of a known kind"),
        "nothing.png": (b"", "nothing.png is empty"),
        "cut.jpg": (jpeg(picture(200, 200))[:3000], "cut.jpg is a damaged or cut-off JPEG file"),
        "bomb.png": (bomb(), "bomb.png is 12000×12000 = 144.0 MP, but at most 1.0 MP are taken"),
    }
    for name, (data, sentence) in bad.items():
        upload(page, name, data)
        says(page, sentence)
        expect(seen(page, ".dd-photo").get_by_text("Drop a photo here")).to_be_visible()
    opened(page, "good.png", png(picture(40, 40)))
    restored(page, "denoise")


@pytest.mark.parametrize("task", ["denoise", "inpaint"])
def test_a_photo_that_browsers_cannot_draw_is_seen_and_restored_as_it_came(open_page, app, task):
    page = visit(open_page, app, task)
    opened(page, "scan.tif", deep_tiff())
    says(page, "TIFF, 16 bit")
    preview = seen(page, ".dd-photo img").first
    page.wait_for_function("i => i.naturalWidth === 80", arg=preview.element_handle())
    if TASKS[task].needs_mask:
        paint(page)
    restored(page, task)
    name, data = downloaded(page)
    photo = read_photo(data)
    assert (name, photo.format, photo.bit_depth) == (f"scan-{task}.tif", "TIFF", 16)


def test_progress_is_shown_and_stop_stops(open_page, slow):
    page = visit(open_page, slow)
    opened(page, "large.png", png(picture(300, 300)))
    run_button(page, "denoise").click()
    says(page, "s left")
    expect(seen(page, ".dd-bar")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    says(page, "Stopped")
    expect(run_button(page, "denoise")).to_be_enabled()
    _stands_still(page, slow)
    expect(seen(page, ".dd-viewer .empty")).to_be_visible()
    slow.restorer.pause, slow.restorer.tile = 0.0, "auto"
    restored(page, "denoise")


def test_a_new_photo_ends_the_work_on_the_old_one(open_page, slow):
    page = visit(open_page, slow)
    opened(page, "old.png", png(picture(300, 300)))
    run_button(page, "denoise").click()
    says(page, "s left")
    opened(page, "new.png", png(picture(40, 48)))
    expect(run_button(page, "denoise")).to_be_enabled()
    _stands_still(page, slow)
    expect(seen(page, ".dd-viewer .empty")).to_be_visible()
    says(page, "48×40")


def test_work_for_a_closed_tab_ends(open_page, slow):
    page = visit(open_page, slow)
    opened(page, "large.png", png(picture(300, 300)))
    run_button(page, "denoise").click()
    says(page, "s left")
    page.close()
    _stands_still(visit(open_page, slow), slow)


def _stands_still(page: Page, app: App) -> None:
    """Within seconds; the whole work would take twenty."""
    for _ in range(5):
        taken = app.restorer.taken
        page.wait_for_timeout(1000)  # five tiles
        if app.restorer.taken == taken:
            return
    raise AssertionError("the work goes on")


def test_two_visitors_never_see_each_others_photos(open_page, app):
    pages = [visit(open_page, app, visitor=name) for name in ("anyone", "ben")]
    photos = [png(picture(40, 56)), png(picture(56, 40)[::-1].copy())]
    for page, photo in zip(pages, photos, strict=True):
        opened(page, "mine.png", photo)
    for page in pages:
        run_button(page, "denoise").click()
    befores = []
    for page, photo in zip(pages, photos, strict=True):
        says(page, "Done in", 60)
        image = seen(page, ".dd-viewer img[data-part=before]")
        expect(image).to_have_attribute("src", re.compile("results"))
        befores.append(image.get_attribute("src"))
        shown = read_photo(fetched(page, f"{app.url}{befores[-1]}"))
        np.testing.assert_array_equal(shown.pixels, read_photo(photo).pixels)
    assert befores[0] != befores[1]


def test_who_waits_for_a_place_is_told_and_may_leave(open_page, slow, tmp_path):
    from gradio_client import Client, handle_file

    (tmp_path / "large.png").write_bytes(png(picture(200, 200)))
    client = Client(slow.url, verbose=False)
    page = visit(open_page, slow)
    opened(page, "mine.png", png(picture(40, 40)))
    others = [client.submit(handle_file(str(tmp_path / "large.png")), api_name="/denoise") for _ in range(4)]
    for _ in range(500):  # on a busy machine the page was there before them
        if slow.restorer.admission.under_way() == PLACES:
            break
        page.wait_for_timeout(20)
    run_button(page, "denoise").click()
    expect(seen(page, ".dd-status").get_by_text("Others are ahead")).to_be_visible()
    says(page, "Starting")
    page.get_by_role("button", name="Stop").click()
    says(page, "Stopped")
    slow.restorer.pause = 0.0
    for other in others:
        other.result(timeout=60)
    page.wait_for_timeout(700)
    says(page, "Stopped")
    restored(page, "denoise")
