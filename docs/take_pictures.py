"""Takes the documentation's pictures from a running demo: `python docs/take_pictures.py http://127.0.0.1:7860`.

Needs the development packages and a Chromium on the path. The photos in them are the demo's own examples.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parent / "pictures"


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


def take(address: str) -> None:
    """One picture for each task, of the page with its result."""
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for steps in (denoise, upscale, inpaint):
            page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
            page.goto(address)
            page.get_by_role("tab", name="Denoise").wait_for(timeout=60_000)
            steps(page)
            page.locator("a.dd-download:visible").wait_for(timeout=120_000)
            page.wait_for_timeout(1500)
            png = page.screenshot(full_page=True)
            Image.open(io.BytesIO(png)).convert("RGB").save(PICTURES / f"{steps.__name__}.webp", quality=82, method=6)
            page.close()
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1])
