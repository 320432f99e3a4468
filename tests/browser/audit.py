"""What a screen reader, a keyboard or weak eyes stumble over on a page, as far as a script can tell."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")


def faults(page: Page) -> list[str]:
    """One line for each."""
    return page.evaluate(AUDIT)
