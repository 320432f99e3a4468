"""Takes the documentation's pictures from a running demo: `python docs/take_pictures.py http://127.0.0.1:7860`.

Needs the development packages, a Chromium on the path, and a demo with an empty data folder: flags and votes are made
for the pictures. The photos in them are the demo's own examples. The picture of releases is of what `make loop
ARGS=FOLDER` left: `DECONVDEMO_DATA_DIR=FOLDER/data deconvdemo serve --weights FOLDER/weights`, and here `ADDRESS
releases`.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
EXAMPLES = Path(__file__).parents[1] / "deconvdemo" / "web" / "assets" / "examples"


def denoise(page: Page) -> None:
    page.get_by_role("button", name="Portrait").click()
    page.get_by_text("Estimated noise").locator("visible=true").first.wait_for(timeout=60_000)
    page.get_by_role("button", name="Denoise", exact=True).click()


def upscale(page: Page) -> None:
    page.get_by_role("tab", name="Super-resolution").click()
    page.get_by_role("button", name="Small cat").click()
    page.get_by_text("226×150").locator("visible=true").first.wait_for(timeout=60_000)
    page.get_by_text("×4", exact=True).locator("visible=true").click()
    page.get_by_role("button", name="Upscale", exact=True).click()


def inpaint(page: Page) -> None:
    page.get_by_role("tab", name="Inpaint").click()
    page.get_by_role("button", name="Scratched coffee").click()
    page.get_by_text("% marked").locator("visible=true").first.wait_for(timeout=60_000)
    page.get_by_role("button", name="Fill in", exact=True).click()


def fill(address: str) -> None:
    """A few flags and votes, as visitors give them."""
    client = Client(address, verbose=False)
    noisy = [handle_file(EXAMPLES / name) for name in ("astronaut-noisy.webp", "cat-noisy.webp")]
    small = [handle_file(EXAMPLES / name) for name in ("cat-small.png", "astronaut-small.png")]
    said = [
        ("/denoise", {"photo": noisy[0], "sigma": 12}, ["noise_left"], "the wall behind her is still grainy"),
        ("/denoise", {"photo": noisy[1], "sigma": 60}, ["too_smooth"], "its fur is gone"),
        ("/denoise", {"photo": noisy[1]}, ["good"], ""),
        ("/upscale", {"photo": small[0], "scale": 4}, ["too_smooth"], ""),
        ("/upscale", {"photo": small[1], "scale": 2}, ["good"], ""),
        ("/upscale", {"photo": small[1], "scale": 3}, ["halo"], "around the helmet"),
    ]
    for endpoint, asked, reasons, comment in said:
        _, report = client.predict(**asked, api_name=endpoint)
        client.predict(report["restoration_id"], reasons, comment, True, api_name="/flag")
    for number in range(30):
        duel = post(f"{address}/duel/new", {})
        post(f"{address}/duel/{duel['duel_id']}/vote", {"choice": ("left", "right", "same")[number % 3]})


def post(url: str, said: dict[str, Any]) -> dict[str, Any]:
    with urllib.request.urlopen(url, json.dumps(said).encode(), timeout=60) as reply:
        return json.load(reply)


def review(page: Page) -> None:
    page.locator('#review[aria-busy="false"]').wait_for()
    page.keyboard.press("w")
    page.locator("#take:not([disabled])").wait_for(timeout=60_000)


def duel(page: Page) -> None:
    page.locator("#votes button:not([disabled])").first.wait_for(timeout=60_000)
    page.keyboard.press("1")
    page.locator("#names:not([hidden])").wait_for()


def insight(page: Page) -> None:
    page.locator(".vega-embed svg").nth(7).wait_for(timeout=60_000)


def releases(page: Page) -> None:
    page.locator("#replays .replay").first.wait_for(timeout=120_000)
    page.get_by_label("Training").select_option("held_back")
    seen = "() => [...document.querySelectorAll('figure')].slice(0, 8).every((one) => one.ariaBusy !== 'true')"
    page.wait_for_function(seen, timeout=120_000)


def take_releases(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1100}, color_scheme="light")
        page.goto(f"{address}/review/releases")
        releases(page)
        keep(page, "releases", full_page=False)
        browser.close()


def take(address: str) -> None:
    """One picture for each task, of the page with its result, and of the pages beside it."""
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for steps in (denoise, upscale, inpaint):
            page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
            page.goto(address)
            page.get_by_role("tab", name="Denoise").wait_for(timeout=60_000)
            steps(page)
            page.locator("a.dd-download:visible").wait_for(timeout=120_000)
            keep(page, steps.__name__)
        fill(address)
        for steps in (review, duel, insight):
            page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
            page.goto(f"{address}/{steps.__name__}")
            steps(page)
            keep(page, steps.__name__)
        browser.close()


def keep(page: Page, name: str, full_page: bool = True) -> None:
    page.wait_for_timeout(1500)
    png = page.screenshot(full_page=full_page)
    Image.open(io.BytesIO(png)).convert("RGB").save(PICTURES / f"{name}.webp", quality=82, method=6)
    page.close()


if __name__ == "__main__":
    (take_releases if "releases" in sys.argv[2:] else take)(sys.argv[1].rstrip("/"))
