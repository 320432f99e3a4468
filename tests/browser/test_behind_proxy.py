"""The demo as `/demo` behind a real nginx, which strips the path or does not, with TLS or without."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from demo_app import App, png, running_app
from gradio_client import Client, handle_file
from nginx import COMMON, certificate, nginx, program
from PIL import Image
from playwright.sync_api import Page, expect
from tiny import picture

from deconvdemo.errors import ControlError
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.web.demo import ASSETS
from deconvdemo.web.server.proxy import PublicAddress

WAYS = ("stripped", "kept", "stripped, TLS", "kept, TLS")
PAGES = ("", "duel", "insight", "review", "healthz", "duel/page.js", "review/page.css", "config")
PASSWORD = "word"
ICONS = {"/demo/manifest.json", "/demo/favicon.ico"}


@dataclass(frozen=True)
class Behind:
    app: App
    urls: dict[str, str]  # way → address that visitors open, with the slash at its end


@pytest.fixture(scope="module")
def behind(tiny_weights, tmp_path_factory) -> Iterator[Behind]:
    if not program():
        pytest.skip("NO NGINX, THE DEMO BEHIND A PROXY IS NOT TESTED: install it (Debian: apt install nginx-light)")
    folder = tmp_path_factory.mktemp("proxy")
    secure = certificate(folder)
    settings = {"root_path": "/demo", "review_password": PASSWORD, "behind_proxy": "yes"}
    with running_app(tiny_weights, folder / "data", **settings) as app:
        to = app.url.rstrip("/")
        stripped = f"location /demo/ {{ proxy_pass {to}/; {COMMON} }}"
        kept = f"location /demo {{ proxy_pass {to}; {COMMON} }}"
        servers = [(stripped, False), (kept, False)] + [(stripped, True), (kept, True)] * secure
        with nginx(folder, *servers) as ports:
            schemes = ["https" if tls else "http" for _, tls in servers]
            urls = [f"{scheme}://127.0.0.1:{port}/demo/" for scheme, port in zip(schemes, ports, strict=True)]
            yield Behind(app, dict(zip(WAYS, urls, strict=False)))


@pytest.fixture(params=WAYS)
def url(request, behind) -> str:
    if request.param not in behind.urls:
        pytest.skip("NO OPENSSL, TLS AT THE PROXY IS NOT TESTED: install openssl")
    return behind.urls[request.param]


def test_every_page_is_there_with_and_without_a_slash_and_tells_no_other_address(url):
    with httpx.Client(verify=False, follow_redirects=True) as visitor:
        for page in PAGES:
            for end in ("", "/") if "." not in page and page not in ("", "config") else ("",):
                found = visitor.get(f"{url}{page}{end}", params={"__theme": "dark"})
                assert found.status_code == 200, (page, end)
                assert str(found.url) == f"{url}{page}?__theme=dark"
                addresses = set(re.findall(r'https?://127\.0\.0\.1:\d+[^"\'\s\\]*', found.text))
                assert {address for address in addresses if not address.startswith(url.rstrip("/"))} == set()
                assert {path for path in re.findall(r'(?:href|src|action)="(/[^"]*)', found.text)} <= ICONS
        bare = visitor.get(url.rstrip("/"))
        assert (bare.status_code, str(bare.url)) == (200, url)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_api_answers(url, slash, tmp_path):
    (tmp_path / "photo.png").write_bytes(png(picture(24, 32)))
    client = Client(url.rstrip("/") + slash, verbose=False, ssl_verify=False, download_files=str(tmp_path))
    file, report = client.predict(handle_file(tmp_path / "photo.png"), api_name="/denoise")
    assert Image.open(file).size == (32, 24)
    flag = client.predict(report["restoration_id"], ["too_smooth"], api_name="/flag")
    with httpx.Client(verify=False) as visitor:
        assert visitor.get(f"{url}flags/{flag['flag_id']}").json()["state"] == "saved"
        assert "Erase it?" in visitor.get(url + flag["erase"]).text


def test_a_sign_in_is_for_this_demo_alone_and_secure_where_the_visitor_is(url):
    with httpx.Client(verify=False) as visitor:
        answer = visitor.post(f"{url}review/sign_in", data={"name": "ada", "password": PASSWORD})
        cookie = answer.headers["set-cookie"]
        assert "Path=/demo;" in cookie
        assert ("Secure" in cookie) == url.startswith("https")
        assert visitor.get(f"{url}review/queue").status_code == 200


ADDRESSES = {
    "": ("", "", ""),
    "/": ("", "", ""),
    "demo": ("", "", "/demo"),
    " /a/b-1/ ": ("", "", "/a/b-1"),
    "https://example.org:8443/demo/": ("https", "example.org:8443", "/demo"),
}


@pytest.mark.parametrize(("text", "seen"), ADDRESSES.items())
def test_an_address_is_taken_as_people_write_it(text, seen):
    address = PublicAddress.of(text)
    assert (address.scheme, address.host, address.path) == seen


@pytest.mark.parametrize(
    "text", ["ftp://example.org/demo", "https:///demo", "/demo?x=1", "/de mo", "/a/../b", "/review", "/duel/x"]
)
def test_what_is_no_address_is_one_sentence(text):
    with pytest.raises(ControlError, match="DECONVDEMO_ROOT_PATH"):
        PublicAddress.of(text)


def test_no_page_asks_for_a_path_of_the_host():
    """An address that begins with a slash leads out of the demo, where a proxy shows it under a path."""
    for file in [*ASSETS.glob("*.html"), *ASSETS.glob("*.js"), *ASSETS.glob("*.css")]:
        found = re.findall(r"""(?:href|src|action|fetch|ask|url)\s*[=(:]\s*["'`]/[^"'`]*""", file.read_text())
        assert not found, file.name


def test_nobody_is_this_machines_user_through_a_proxy(tiny_weights, tmp_path):
    with running_app(tiny_weights, tmp_path, root_path="/demo") as app:
        assert httpx.get(f"{app.url}review").status_code == 404  # as a proxy asks that says nothing of whom it asks for


def test_a_proxy_that_tells_nothing_is_made_up_for_by_a_whole_address(tiny_weights, tmp_path):
    with running_app(tiny_weights, tmp_path, root_path="https://example.org/demo/") as app:
        told = json.loads(httpx.get(f"{app.url}config").text)
        assert told["root"] == "https://example.org/demo"
        assert httpx.get(f"{app.url}review/").headers["location"] == "../review"
        assert httpx.get(f"{app.url}login/").status_code in (307, 404, 405)


def restore(page: Page) -> None:
    file = {"name": "photo.png", "mimeType": "image/png", "buffer": png(picture(60, 80))}
    page.locator(".tabitem:visible .dd-photo input[type=file]").first.set_input_files(file)
    expect(page.locator(".dd-status:visible").filter(has_text="80×60").first).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Denoise", exact=True).click()
    expect(page.locator(".dd-status:visible").filter(has_text="Done in").first).to_be_visible(timeout=60_000)
    page.wait_for_function("[...document.querySelectorAll('.dd-viewer img[src]')].every((i) => i.naturalWidth)")


@pytest.mark.parametrize("url", ["stripped", "kept, TLS"], indirect=True)
def test_a_photo_is_restored_flagged_reviewed_and_erased(open_page, behind, url):
    page = open_page(url, visitor=url)
    restore(page)
    with page.expect_download() as download:
        page.locator(".dd-download:visible").click()
    assert np.asarray(Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))).shape == (60, 80, 3)
    panel = page.locator(".dd-flag:visible")
    panel.get_by_label("Visible seams").check()
    panel.get_by_label("Comment", exact=True).fill(url)
    panel.get_by_label("I agree").check()
    panel.get_by_role("button", name="Send flag").click()
    expect(page.locator("[data-flag]:visible")).to_contain_text("will be published", timeout=20_000)
    erase = page.get_by_role("link", name="see what becomes of it").evaluate("link => link.href")
    assert erase.startswith(f"{url}erase/")

    page.locator(".dd-header a", has_text="Review").click()
    page.get_by_label("Your name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{url}review?text={url}")
    expect(page.locator('#review[aria-busy="false"]')).to_be_visible()
    for image in page.locator("#viewer img").all():  # asked as elements: the page's policy lets no text be a function
        expect(image).not_to_have_js_property("naturalWidth", 0)
    page.keyboard.press("a")
    expect(page.locator("#empty")).to_be_visible()
    page.wait_for_function("sending.then(() => true)")
    page.get_by_role("link", name="Releases").click()
    expect(page.locator("#told")).to_contain_text("Each release")
    page.get_by_role("link", name="Insight").click()
    expect(page.locator(".vega-embed svg")).to_have_count(9, timeout=30_000)
    page.locator(".dd-header a", has_text="Duel").click()
    expect(page.locator("#votes button:not([disabled])")).to_have_count(4, timeout=30_000)
    page.keyboard.press("1")
    expect(page.locator("#names")).to_be_visible()
    page.get_by_role("link", name="Demo").click()
    expect(page.get_by_role("button", name="Denoise", exact=True)).to_be_visible()
    assert page.url == url

    page.goto(erase)
    page.get_by_role("button", name="Erase it").click()
    expect(page.locator("h1")).to_have_text("Erased")
    page.get_by_role("link", name="Back to the demo").click()
    expect(page.get_by_role("button", name="Denoise", exact=True)).to_be_visible()
    assert page.url == url
    store = FeedbackStore(behind.app.data_dir, min_free_mb=0)
    assert url not in {flag.comment for flag in store.flags()}
    store.close()
