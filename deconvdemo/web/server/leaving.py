"""Whether whoever asked for something is still there, on every route, and the place that their work gets.

Gradio's queue ends what was asked on a page that is closed, at the next step of a generator; a plain function it lets
go on, and a job of `/call` that nobody ever comes to fetch, too. Here the work itself asks.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from gradio.context import LocalContext
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from deconvdemo.engine.admission import Asker, asked_by
from deconvdemo.web.server.visitors import address_of

UNHEARD = 20.0  # seconds for which a queued job goes on although nobody listens to what becomes of it
LOOKS = 0.5  # seconds between two looks whether a request's connection is still there
_FETCHES = re.compile(r"/gradio_api/(?:queue/data|call/(?:v2/)?[^/]+/(?P<event>[^/]+))/?$")


class Listeners:
    """Who listens to the queue's messages right now, by session and by event."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    @contextmanager
    def listening(self, name: str) -> Iterator[None]:
        with self._lock:
            self._open[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[name] -= 1
                self._open += Counter()  # forgets those of whom there are none

    def any(self, *names: str | None) -> bool:
        with self._lock:
            return any(self._open[name] for name in names if name)


LISTENERS = Listeners()


class Listening:
    """ASGI middleware: notes who listens, for as long as their connection is open."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fetches = _FETCHES.search(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if fetches is None:
            return await self.app(scope, receive, send)
        name = fetches["event"] or "".join(parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", []))
        with LISTENERS.listening(name):
            return await self.app(scope, receive, send)


def asker(behind_proxy: bool) -> Asker:
    """Who asked for the event of Gradio's that this thread works on, for a function that Gradio has called."""
    request, blocks, event_id = (
        LocalContext.request.get(None),
        LocalContext.blocks.get(None),
        LocalContext.event_id.get(None),
    )
    event = blocks._queue.event_ids_to_events.get(event_id) if blocks is not None and event_id else None
    # jobs of one request each are one visitor's, as far as can be told: their session is their own id
    session = event.session_hash if event is not None and event.session_hash != event_id else ""
    who = (address_of(request, behind_proxy), session)
    return Asker(who, _left(event)) if event is not None else Asker(who)


def _left(event: Any) -> Callable[[], bool]:
    """Whether an event's visitor has closed its stream, or never opened one."""
    heard = event.enqueue_time

    def left() -> bool:
        nonlocal heard
        if LISTENERS.any(event.session_hash, event._id):
            heard = time.monotonic()
        return not event.alive or time.monotonic() - heard > UNHEARD

    return left


async def while_connected(request: Request, work: Callable[..., Any], *given: Any, behind_proxy: bool = False) -> Any:
    """`work(*given)` in a thread, which is told when the request's connection is closed."""
    gone = threading.Event()

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(LOOKS)
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        with asked_by(Asker((address_of(request, behind_proxy), ""), gone.is_set)):
            return await run_in_threadpool(work, *given)
    finally:
        watching.cancel()
