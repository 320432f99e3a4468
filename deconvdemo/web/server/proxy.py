"""The demo under another address than its own: behind a proxy that shows it as `/demo`, or as `https://example.org/demo`.

A proxy may pass `/demo/duel` on as it is, or as `/duel`. Either way the pages must see the address that the visitor
sees, since redirects, cookies and Gradio's links to files are made from it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deconvdemo.errors import ControlError

VARIABLE = "DECONVDEMO_ROOT_PATH"
TAKEN = (
    "assets",
    "config",
    "duel",
    "erase",
    "flags",
    "gradio_api",
    "healthz",
    "insight",
    "results",
    "review",
    "static",
)


@dataclass(frozen=True)
class PublicAddress:
    """Where visitors find the demo. "" stands for what the request says, and for the root."""

    scheme: str = ""
    host: str = ""
    path: str = ""  # "/demo", without a slash at its end

    @classmethod
    def of(cls, text: str) -> PublicAddress:
        """Of `/demo`, `demo/`, or `https://example.org/demo`. ControlError for what is no address."""
        url = urlsplit(text.strip())
        path = "/".join(["", *filter(None, url.path.split("/"))])
        whole = bool(url.scheme or url.netloc)
        if (whole and (url.scheme not in ("http", "https") or not url.netloc)) or url.query or url.fragment:
            raise ControlError(f"{VARIABLE} is {text!r}: give it a path like /demo, or https://example.org/demo")
        if not re.fullmatch(r"(/[\w.~-]+)*", path, re.ASCII) or "/.." in path:
            raise ControlError(
                f"{VARIABLE} is {text!r}: its path may have letters, digits, and . _ ~ - between slashes"
            )
        first = path.split("/")[1] if path else ""
        if first in TAKEN:  # whether the proxy has taken it away could not be told
            raise ControlError(f"{VARIABLE} is {text!r}, but the demo has a page /{first} of its own: choose another")
        return cls(url.scheme, url.netloc, path)

    def __bool__(self) -> bool:
        return bool(self.host or self.path)


class BehindProxy:
    """ASGI middleware: each request gets the address that its visitor sees."""

    def __init__(self, app: ASGIApp, address: PublicAddress):
        self.app, self.address = app, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        prefix = self.address.path
        if scope["path"] == prefix and prefix:
            # without the slash, every relative link of the page would lead out of the demo
            query = scope["query_string"].decode("latin-1")
            return await RedirectResponse(f"{prefix}/{'?' if query else ''}{query}", 307)(scope, receive, send)
        scope = {**scope, "root_path": prefix, "scheme": self._scheme(scope)}
        if not scope["path"].startswith(f"{prefix}/"):
            scope["raw_path"] = prefix.encode() + scope.get("raw_path", scope["path"].encode())
            scope["path"] = prefix + scope["path"]
        if self.address.host:
            others = [(name, value) for name, value in scope["headers"] if name not in (b"host", b"x-forwarded-host")]
            scope["headers"] = [(b"host", self.address.host.encode()), *others]
        return await self.app(scope, receive, _Head(send, prefix) if scope["type"] == "http" else send)

    def _scheme(self, scope: Scope) -> str:
        """The address's, or what the proxy says: uvicorn believes one on this machine alone."""
        said = dict(scope["headers"]).get(b"x-forwarded-proto", b"").decode("latin-1").split(",")[0].strip().lower()
        scheme = self.address.scheme or (said if said in ("http", "https") else scope["scheme"])
        return scheme if scope["type"] == "http" else {"http": "ws", "https": "wss"}.get(scheme, scheme)


class _Head:
    """Sends a page on with its manifest and icon under `prefix`: Gradio's page asks for them at the host's root."""

    MANIFEST = b'<link rel="manifest" href="/manifest.json" />'

    def __init__(self, send: Send, prefix: str):
        self.send, self.prefix = send, prefix.encode()
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self.start = message
        elif self.start is None:
            await self.send(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish()

    async def _finish(self) -> None:
        ours = self.MANIFEST.replace(b"/manifest", self.prefix + b"/manifest")
        icon = b'<link rel="icon" href="%s/favicon.ico" />' % self.prefix
        body = self.body.replace(self.MANIFEST, ours + icon)
        assert self.start is not None
        kept = [(name, value) for name, value in self.start["headers"] if name.lower() != b"content-length"]
        length = len(body) if body else dict(self.start["headers"]).get(b"content-length", b"0").decode()  # of a HEAD
        await self.send({**self.start, "headers": [*kept, (b"content-length", str(length).encode())]})
        await self.send({"type": "http.response.body", "body": body})


def _is_page(message: Message) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in message["headers"])


def without_slash(*paths: str) -> list[Route]:
    """Routes from each path with a slash at its end to the path; relative, so that they hold behind any prefix."""

    def to(path: str) -> Route:
        def redirect(request: Request) -> RedirectResponse:
            query = request.url.query
            return RedirectResponse(f"../{path.rpartition('/')[2]}{'?' if query else ''}{query}", 307)

        return Route(f"{path}/", redirect)

    return [to(path) for path in paths]


def slash_at_the_end(address: PublicAddress) -> str:
    """For the demo's page: where a proxy hides from us that the slash is missing, the page itself adds it."""
    if not address.path:
        return ""
    here = f"location.pathname === {json.dumps(address.path)}"
    return f"if ({here}) location.replace(location.pathname + '/' + location.search);"
