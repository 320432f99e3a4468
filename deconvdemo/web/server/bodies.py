"""Every request's body is bounded in bytes and in time while it arrives, on our routes and on Gradio's.

A `Content-Length` may be missing or lie, so bytes are counted as they come; a refused body is not read to its end.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

JSON_BYTES = 2_000_000  # a painted mask of four megapixels is 0.7 MB in base64, and a flag may have two
SMALL_BYTES = 16_000  # a vote, a password, a key, which event to cancel
PICTURE_BYTES = 100_000  # 128×128 pixels as a PNG have half of it at most
BESIDE_FILE = 100_000  # of an upload: what stands between its files
PATIENCE = 20.0  # seconds that a body may take, and
SLOWEST = 10_000  # bytes that must come in each further second,
LONGEST = 900.0  # but no longer than this: an upload keeps room for itself
UNCOUNTED = 64_000  # bytes of a body that counts towards no budget: however full it is, votes and small jobs pass
TOGETHER = 64_000_000  # bytes of all larger bodies that are being read or answered, but for uploads, which go to disk
LINGER_SECONDS, LINGER_BYTES = 2.0, 20_000_000  # of a refused body that are read and dropped, so that its reply arrives
TOO_SLOW = "this arrives too slowly: try again with a better connection, or send less"
TOO_MANY = "much is being sent to this demo right now: try again in a minute"


@dataclass(frozen=True)
class Limit:
    """On the body of a route; `of` is what it is, for people."""

    most: int
    of: str
    together: bool = True  # whether it counts towards the budget of all


@dataclass
class BodyLimits:
    """By path, the first that fits: a pattern, and its limit. `together` in bytes, `patience` in seconds."""

    by_path: list[tuple[re.Pattern[str], Limit]]
    other: Limit
    together: int
    patience: float

    @classmethod
    def of_demo(cls, max_upload_mb: int) -> BodyLimits:
        file = max_upload_mb * 1_048_576 + BESIDE_FILE  # Gradio's MB
        small = Limit(SMALL_BYTES, "a request to this page")
        job = Limit(JSON_BYTES, "what is asked of the demo")
        found = {
            r"/gradio_api/upload": Limit(file, "an upload", together=False),
            r"/gradio_api/queue/join": job,
            r"/gradio_api/call/.*": job,
            r"/learn/features": Limit(PICTURE_BYTES, "a photo for this figure"),
            # a corrected version comes beside a verdict; it is read for reviewers alone
            r"/review/verdicts": Limit(file + JSON_BYTES, "a verdict", together=False),
            r"/review/.*": Limit(JSON_BYTES, "what the review page sends"),
        }
        return cls([(re.compile(rf"{path}/?"), limit) for path, limit in found.items()], small, TOGETHER, PATIENCE)

    def on(self, path: str) -> Limit:
        return next((limit for pattern, limit in self.by_path if pattern.fullmatch(path)), self.other)


class Refused(Exception):
    """A body that is not taken: the status, and the sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Bodies:
    """ASGI middleware. `prefix` is where a proxy shows the demo: paths may have it or not."""

    def __init__(self, app: ASGIApp, limits: BodyLimits, prefix: str = ""):
        self.app, self.limits, self.prefix = app, limits, prefix
        self._counted = 0  # bytes of larger bodies that are being read or answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            # there, a body is nothing that anybody reads
            return await self.app(scope, receive, send)
        limit = self.limits.on(scope["path"].removeprefix(self.prefix))
        body = _Body(self, limit, receive)
        reply = _Reply(send, body)
        body.check_length(dict(scope["headers"]).get(b"content-length", b""))
        try:
            if body.refused is None:
                await self.app(scope, body.receive, reply.send)
        except Exception:
            # what an app makes of a body that was cut off is its own affair: the visitor gets our sentence
            if body.refused is None:
                raise
        finally:
            self._counted -= body.counted
        if body.refused is not None and not reply.passed_on:
            await refuse(body.refused, receive, send)

    def count(self, size: int) -> None:
        if self._counted + size > self.limits.together:
            raise Refused(503, TOO_MANY)
        self._counted += size


class _Body:
    """One request's, as the app receives it."""

    def __init__(self, bodies: Bodies, limit: Limit, receive: Receive):
        self.bodies, self.limit, self._receive = bodies, limit, receive
        self.begun = time.monotonic()
        self.read = self.counted = 0
        self.complete = False
        self.refused: Refused | None = None

    def check_length(self, stated: bytes) -> None:
        if stated.isdigit() and (len(stated) > 15 or int(stated) > self.limit.most):
            self.refused = self._too_large()

    async def receive(self) -> Message:
        if self.refused is not None:
            return {"type": "http.disconnect"}
        if self.complete:
            return await self._receive()
        try:
            return await self._next()
        except Refused as refused:
            self.refused = refused
            return {"type": "http.disconnect"}  # which every reader of bodies knows

    async def _next(self) -> Message:
        patience = min(LONGEST, self.bodies.limits.patience + self.read / SLOWEST)
        left = self.begun + patience - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, left))
        except TimeoutError:
            raise Refused(408, TOO_SLOW) from None
        if message["type"] == "http.request":
            self.read += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self.read > self.limit.most:
                raise self._too_large()
            if self.limit.together and self.read > max(UNCOUNTED, self.counted):
                more = self.read - self.counted
                self.bodies.count(more)
                self.counted += more
        return message

    def _too_large(self) -> Refused:
        most = f"{self.limit.most / 1e6:.0f} MB" if self.limit.most >= 1e6 else f"{self.limit.most // 1000} kB"
        return Refused(413, f"{self.limit.of} may have {most} at most: send less")


class _Reply:
    """What the app answers; nothing of it is passed on once the body was refused."""

    def __init__(self, send: Send, body: _Body):
        self._send, self._body = send, body
        self.passed_on = False

    async def send(self, message: Message) -> None:
        if self.passed_on or self._body.refused is None:
            self.passed_on = True
            await self._send(message)


async def refuse(refused: Refused, receive: Receive, send: Send) -> None:
    """Sends the sentence as JSON, in Gradio's words and in ours, and closes the connection."""
    body = json.dumps({"error": refused.sentence, "detail": refused.sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    # closed at once, what still arrives would reset the connection before the client has read the reply
    with suppress(TimeoutError):
        await asyncio.wait_for(_dropped(receive), LINGER_SECONDS)
    await send({"type": "http.response.body", "body": b""})


async def _dropped(receive: Receive) -> None:
    dropped = 0
    while dropped < LINGER_BYTES:
        message = await receive()
        dropped += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
