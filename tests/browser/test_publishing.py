"""What a visitor sees of a flag afterwards: saved, published with the revision, and erased by a private link."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from demo_app import png, running_door
from feedback_flags import NASTY_COMMENTS
from playwright.sync_api import expect
from test_demo import flag, opened, restored, run_button, seen
from tiny import picture

sys.path.insert(0, str(Path(__file__).parents[1] / "hub"))

from hub_emulator import HubEmu


@pytest.fixture(scope="module")
def url(tiny_weights, tmp_path_factory):
    with HubEmu(tmp_path_factory.mktemp("hub")) as hub:
        data = tmp_path_factory.mktemp("data")
        # slow enough that "saved" can be seen before "published"
        with running_door(tiny_weights, data, hub, "lab/seen", DECONVDEMO_PUBLISH_EVERY="4") as (url, _):
            yield url


@pytest.mark.timeout(300)
@pytest.mark.parametrize("look", [{"width": 1280}, {"width": 390, "dark": True, "touch": True}])
def test_a_flag_is_seen_saved_then_published_then_erased(open_page, url, look):
    page = open_page(url, **look)
    expect(run_button(page, "denoise")).to_be_visible(timeout=30_000)
    opened(page, "a.png", png(picture(40, 40 + look["width"] % 7)))
    restored(page, "denoise")
    comment = "\n".join(NASTY_COMMENTS[:6])
    flag(page, "Too smooth", comment=comment)
    thanks = seen(page, ".dd-thanks")
    expect(thanks).to_contain_text("Saved, thank you", timeout=20_000)
    expect(thanks).to_contain_text("It is published. Revision", timeout=60_000)
    revision = thanks.get_by_role("link", name=re.compile("^Revision"))
    assert re.search(r"/datasets/lab/seen/commit/[0-9a-f]{40}$", revision.get_attribute("href"))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    with page.context.expect_page() as opening:
        thanks.get_by_role("link", name="see what becomes of it, or erase it").click()
    private = opening.value
    dialogs = []
    private.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    expect(private.get_by_role("heading")).to_have_text(["Your flag", "Erase it?"])
    expect(private.locator(".facts")).to_contain_text("<script>alert(1)</script> & <img src=x onerror=alert(1)>")
    assert private.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert urlsplit(private.url).path.startswith("/erase/")
    private.get_by_role("button", name="Erase it").click()
    expect(private.get_by_role("heading")).to_have_text("Erased")
    private.reload()  # the browser asks nothing that was not asked: the form is sent again, and finds it gone
    assert not dialogs
    private.close()
