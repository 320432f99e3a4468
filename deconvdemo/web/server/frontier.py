"""What every request passes first, and every answer last: whose pages may ask, and what browsers may do with answers.

Gradio lets pages of any origin read a public demo, and of any local port a local one, cookies included. Here a page of
another origin gets nothing, unless the setting names it; nobody but our own pages ever gets anything of the review.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deconvdemo.errors import ControlError
from deconvdemo.feedback.store.addresses import parsed

VARIABLE = "DECONVDEMO_ALLOW_ORIGINS"
HUB = ("https://huggingface.co", "https://*.huggingface.co", "https://*.hf.space", "https://*.hf.co")
# Gradio's pages have scripts in the page, and make functions of texts; Vega does, too
GRADIO_POLICY = {
    "default-src": ["'self'"],
    "script-src": ["'self'", "'unsafe-inline'", "'unsafe-eval'", "blob:"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:", "blob:"],
    "media-src": ["'self'", "data:", "blob:"],
    "font-src": ["'self'", "data:"],
    "connect-src": ["'self'", "data:", "blob:"],
    "worker-src": ["'self'", "blob:"],
    "object-src": ["'none'"],
    "base-uri": ["'self'"],
    "form-action": ["'self'"],
}
ALL = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


def origins_of(text: str) -> frozenset[str]:
    """Of `https://example.org, http://localhost:3000`. ControlError for what is no origin."""
    found = [part.strip().rstrip("/").lower() for part in text.split(",") if part.strip()]
    for origin in found:
        url = urlsplit(origin)
        if url.scheme not in ("http", "https") or not url.netloc or url.path or url.query:
            raise ControlError(f"{VARIABLE} has {origin!r}: give origins like https://example.org, with commas between")
    return frozenset(found)


@dataclass(frozen=True)
class Rules:
    """`local`: the demo is for this machine alone. `names`: hosts by which visitors know it besides the one they ask
    for. `space`: it stands in the Hub's page."""

    local: bool = False
    origins: frozenset[str] = frozenset()  # others whose pages may ask
    names: tuple[str, ...] = ()
    path: str = ""  # before ours, behind a proxy
    space: bool = False

    @property
    def ancestors(self) -> str:
        """Whose pages may show ours in theirs."""
        hub = ("https://huggingface.co", "https://*.huggingface.co") if self.space else ()
        return " ".join(["frame-ancestors 'self'", *hub, *sorted(self.origins)])

    @property
    def gradio_policy(self) -> str:
        shows = ("img-src", "connect-src", "font-src")  # on a Space Gradio shows the Hub's header
        parts = {name: [*them, *(HUB if self.space and name in shows else ())] for name, them in GRADIO_POLICY.items()}
        return "; ".join([*(" ".join([name, *them]) for name, them in parts.items()), self.ancestors])

    def private(self, path: str) -> bool:
        """Whether it is the reviewers'."""
        own = path.removeprefix(self.path)
        return own == "/review" or own.startswith("/review/")

    def refusal(self, headers: Headers, path: str) -> str:
        """Why a request is not answered, in a sentence; "" if it is."""
        if self.local and not is_local(headers.get("host", "")):
            return (
                f"this demo is for this machine alone, and was asked for as {headers.get('host', '')[:100]!r}: open it "
                "as http://127.0.0.1, or set DECONVDEMO_BEHIND_PROXY=1 if a proxy is to show it"
            )
        origin = headers.get("origin", "").lower()
        site, mode = headers.get("sec-fetch-site", ""), headers.get("sec-fetch-mode", "")
        if self.private(path) and site in ("cross-site", "same-site") and mode != "navigate":
            return "the review answers its own pages alone"
        if not origin or self._own(origin, site, headers):
            return ""
        if origin in self.origins and not self.private(path):
            return ""
        return (
            f"a page of {origin[:100]!r} may not use this demo: whoever keeps it can name that origin in {VARIABLE}, "
            "or let the proxy in front of it pass on the Host header"
        )

    def _own(self, origin: str, site: str, headers: Headers) -> bool:
        """Whether an origin is ours: the browser says so, or it has the name by which we were asked."""
        if site == "same-origin":
            return True
        asked = [headers.get("host", ""), headers.get("x-forwarded-host", "").split(",")[0].strip(), *self.names]
        return origin != "null" and _name(urlsplit(origin).netloc) in {_name(name) for name in asked if name}


def is_local(host: str) -> bool:
    """Whether a Host header names this machine as it names itself."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    address = parsed(name)
    return name == "localhost" or name.endswith(".localhost") or (address is not None and address.is_loopback)


def _name(netloc: str) -> str:
    return netloc.lower().removesuffix(":80").removesuffix(":443")


class Frontier:
    """ASGI, around all of Gradio's own middleware."""

    def __init__(self, app: ASGIApp, rules: Rules):
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers, path = Headers(scope=scope), scope["path"]
        why = self.rules.refusal(headers, path)
        if scope["type"] == "websocket":
            return await (send({"type": "websocket.close", "code": 1008}) if why else self.app(scope, receive, send))
        sealed = self._sealed(send, headers, path)
        if why:
            return await _refused(why, headers)(scope, receive, sealed)
        return await self.app(scope, receive, sealed)

    def _sealed(self, send: Send, asked: Headers, path: str) -> Send:
        origin = asked.get("origin", "")
        trusted = origin.lower() in self.rules.origins and not self.rules.private(path)

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(message.get("headers", ()))}
                self._seal(MutableHeaders(raw=message["headers"]), origin if trusted else "", path)
            await send(message)

        return sealed

    def _seal(self, headers: MutableHeaders, origin: str, path: str) -> None:
        for name in ("access-control-allow-origin", "access-control-allow-credentials"):
            del headers[name]
        if origin:
            headers["access-control-allow-origin"] = origin
            headers["access-control-allow-credentials"] = "true"
        headers.add_vary_header("Origin")
        for name, value in ALL.items():
            headers.setdefault(name, value)
        if self.rules.private(path):
            headers["cross-origin-resource-policy"] = "same-origin"
        if headers.get("content-type", "").startswith("text/html"):
            own = headers.get("content-security-policy")
            headers["content-security-policy"] = f"{own}; {self.rules.ancestors}" if own else self.rules.gradio_policy
            if self.rules.space:
                del headers["x-frame-options"]  # the Hub's page shows ours, as the policy says


def behind_frontier(rules: Rules) -> Callable[[Any], Any]:
    """For an app's `lifespan`: Gradio puts its own middleware around whatever it is given, so this goes around that."""

    @asynccontextmanager
    async def lifespan(app: Any):
        app.middleware_stack = Frontier(app.middleware_stack, rules)
        yield

    return lifespan


def _refused(why: str, headers: Headers) -> Response:
    if "text/html" in headers.get("accept", ""):
        return PlainTextResponse(why, 403)
    return JSONResponse({"error": why, "detail": why}, 403)
