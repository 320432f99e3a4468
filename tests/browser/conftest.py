"""A real browser against the real pages. Without a browser these tests are skipped, loudly."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import numpy as np
import pytest
from missing import missing
from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    expect,
    sync_playwright,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deconvdemo.feedback.store.store import FeedbackStore

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
expect.set_options(timeout=15_000)  # ms: the machine has other tests to do

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # the pages of one profile and address in one process, which has compiled Gradio's scripts already (see `visitors`)
    "--process-per-site",
    "--disable-features=SpareRendererForSitePerProcess",  # which is started in vain for each page, a tenth of all work
    # a proxy's certificate in a test is its own; ignored by page, Chromium asks anew for each file that finds no
    # connection left, and now and then gives up (ERR_TOO_MANY_RETRIES)
    "--ignore-certificate-errors",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def _launch(playwright: Playwright) -> Browser:
    """The browser named by DECONVDEMO_CHROMIUM, else the system's, else Playwright's own."""
    installed = filter(None, map(shutil.which, _NAMES))
    path = os.environ.get("DECONVDEMO_CHROMIUM") or next(installed, None)
    return playwright.chromium.launch(executable_path=path, args=_FLAGS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            started = _launch(playwright)
        except Error as error:
            reason = str(error).strip().splitlines()[0]
            missing(
                "NO BROWSER, THE PAGES ARE NOT TESTED: install chromium, or `playwright install chromium`, "
                f"or set DECONVDEMO_CHROMIUM to a Chromium ({reason})"
            )
        yield started
        started.close()


@pytest.fixture(scope="session")
def visitors(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """`visitors(**kind)`: one profile a kind, so that Gradio's files are fetched once a session, and compiled once."""
    contexts: dict[tuple, BrowserContext] = {}

    def visitor(**kind: Any) -> BrowserContext:
        key = tuple(kind.items())
        if key not in contexts:
            contexts[key] = browser.new_context(has_touch=kind["touch"], device_scale_factor=kind["scale"])
            _keep_process(contexts[key])
        return contexts[key]

    yield visitor
    for context in contexts.values():
        context.close()


def _keep_process(context: BrowserContext) -> None:
    """An empty page that stays open: with the last page of an address its process would go, and all it has compiled."""
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(body=""))
    page.goto("http://127.0.0.1/")


def _is_trouble(line: ConsoleMessage) -> bool:
    """Not what Gradio's own files say of whatever they were fetching when their page is left."""
    of_gradio = line.text.startswith("AbortError: signal is aborted") and "/assets/" in line.text
    return line.type == "error" and not of_gradio


@pytest.fixture
def open_page(visitors: Callable[..., BrowserContext]) -> Iterator[Callable[..., Page]]:
    """`open_page(url, width=1280, dark=False, touch=False)`; visitors of different names share no storage.

    At the end no page may have logged or raised an error, or asked another host for anything.
    """
    pages: list[Page] = []
    troubles: list[str] = []

    def open_(
        url: str,
        width: int = 1280,
        dark: bool = False,
        touch: bool = False,
        scale: float = 1,
        visitor: str = "anyone",
    ) -> Page:
        page = visitors(touch=touch, scale=scale, visitor=visitor).new_page()
        pages.append(page)
        # each page's own, for what is the profile's has each profile fetch and compile everything anew
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light")
        host = urlsplit(url).netloc
        outside = lambda request: urlsplit(request.url).netloc not in (host, "")
        page.on("request", lambda request: outside(request) and troubles.append(f"asked {request.url}"))
        page.on("pageerror", lambda error: troubles.append(f"raised {error}"))
        page.on("console", lambda line: _is_trouble(line) and troubles.append(f"logged {line.text}"))
        page.goto(url)
        return page

    yield open_
    for page in pages:
        page.close()
    assert not troubles


@pytest.fixture
def page(open_page: Callable[..., Page], request: pytest.FixtureRequest) -> Callable[[str], Page]:
    """`page(url)`; `parametrize("page", [{"width": 390, "dark": True}], indirect=True)` says how it looks."""
    return lambda url: open_page(url, **getattr(request, "param", {}))


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., str]]:
    """`serve(blocks, files={"/photo.png": pixels})` launches on a free port and returns the address."""
    served: list[gr.Blocks] = []

    def serve_(blocks: gr.Blocks, files: dict[str, np.ndarray] | None = None) -> str:
        pictures = {path: _png(pixels) for path, pixels in (files or {}).items()}

        async def answer(request: Request) -> Response:
            return Response(pictures[request.url.path], media_type="image/png")

        routes = [Route(path, answer) for path in pictures]
        _, url, _ = blocks.launch(
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            server_name="127.0.0.1",
            app_kwargs={"routes": routes},
        )
        served.append(blocks)
        return url

    yield serve_
    for blocks in served:
        blocks.close(verbose=False)


def _png(pixels: np.ndarray) -> bytes:
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG", compress_level=1)
    return png.getvalue()


@pytest.fixture
def store(app) -> Iterator[FeedbackStore]:
    """The feedback of the module's own `app`."""
    store = FeedbackStore(app.data_dir, min_free_mb=0)
    yield store
    store.close()
