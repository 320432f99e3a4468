"""The test bench as a visitor uses it: a clean photo, a damage, and what every method made of it."""

from __future__ import annotations

import csv
import io

import numpy as np
from demo_app import App, png
from PIL import Image
from playwright.sync_api import Page, expect
from test_demo import app, fetched, says, seen  # noqa: F401
from test_look import fits, reads
from tiny import picture


def bench(open_page, app: App, **look) -> Page:  # noqa: F811
    page = open_page(app.url, **look)
    page.get_by_role("tab", name="Test bench").click()
    expect(seen(page, ".dd-run")).to_be_visible()
    return page


def upload(page: Page, number: int, pixels: np.ndarray) -> None:
    entry = seen(page, ".dd-photo").nth(number).locator("input[type=file]")
    entry.set_input_files({"name": "photo.png", "mimeType": "image/png", "buffer": png(pixels)})
    expect(seen(page, ".dd-photo").nth(number).locator("img")).to_be_visible()


def choose(page: Page, label: str) -> None:
    page.get_by_label("Damage", exact=True).locator("visible=true").click()
    page.get_by_role("option", name=label).click()


def test_a_photo_is_harmed_restored_by_every_method_and_measured(open_page, app):  # noqa: F811
    page = bench(open_page, app, width=390, touch=True)
    upload(page, 0, picture(64, 80))
    choose(page, "Denoise: Noise of sigma 25")
    seen(page, ".dd-run").click()
    says(page, "Done", 60)
    table = seen(page, ".dd-bench-table")
    heads = table.locator("thead th").all_inner_texts()
    assert heads[:3] == ["Method", "PSNR", "SSIM"]
    methods = table.locator("tbody th").all_inner_texts()
    assert methods[0] == "Degraded"
    assert {"Network: Even noise", "Network: Camera photos", "Non-local means"} <= {*methods}
    pictures = seen(page, ".dd-bench-pictures img")
    expect(pictures).to_have_count(len(methods) + 1)
    page.wait_for_function("all => all.every(i => i.naturalWidth)", arg=pictures.element_handles())
    links = {a.inner_text(): a.evaluate("a => a.href") for a in seen(page, ".dd-bench-downloads a").all()}
    drawn = Image.open(io.BytesIO(fetched(page, links["Figure (PNG)"])))
    assert drawn.width > 280
    rows = [*csv.DictReader(io.StringIO(fetched(page, links["Table (CSV)"]).decode("utf-8-sig")))]
    assert [row["method"] for row in rows] == methods
    fits(page)
    reads(page)


def test_a_visitors_own_pair_is_compared_and_what_does_not_fit_is_said(open_page, app):  # noqa: F811
    page = bench(open_page, app)
    clean = picture(48, 64)
    upload(page, 0, clean)
    choose(page, "Your own pair, for Super-resolution")
    seen(page, ".dd-run").click()
    says(page, "The damaged photo is missing")
    upload(page, 1, np.ascontiguousarray(clean[::2, ::2]))
    seen(page, ".dd-run").click()
    says(page, "Done", 60)
    expect(seen(page, ".dd-bench-table tbody")).to_contain_text("Bicubic")
    choose(page, "Denoise: Noise of sigma 25")
    expect(seen(page, ".dd-photo")).to_have_count(1)
