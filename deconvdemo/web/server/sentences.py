"""Whatever is sent, the answer is a sentence: never a bare 500, and never Gradio's `"error": null`."""

from __future__ import annotations

import json
import logging
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deconvdemo.errors import DeconvdemoError
from deconvdemo.redaction import without_places
from deconvdemo.web.server.strict_json import JSONError, strict_json

GRADIO = "/gradio_api/"
ODD = "a value or a file is not what is taken here: the page's API tells what each one is"
BROKEN = "something went wrong on this server: try again, or with another photo"

log = logging.getLogger(__name__)


class SpeakingBlocks(gr.Blocks):
    """Pages whose events fail in sentences, also where the failure is Gradio's or nobody foresaw it."""

    async def preprocess_data(self, *arguments: Any, **named: Any) -> Any:
        try:
            return await super().preprocess_data(*arguments, **named)
        except gr.Error:
            raise
        except Exception as error:
            log.info("an event's values could not be read", exc_info=error)
            raise gr.Error(ODD, print_exception=False) from error

    async def process_api(self, *arguments: Any, **named: Any) -> Any:
        try:
            return await super().process_api(*arguments, **named)
        except gr.Error as error:
            error.message = without_places(str(error.message) or BROKEN)
            raise
        except DeconvdemoError as error:
            raise gr.Error(without_places(str(error)), print_exception=False) from error
        except Exception as error:
            log.exception("an event failed")
            raise gr.Error(BROKEN, print_exception=False) from error


class Sentences:
    """ASGI: odd requests are refused before Gradio and our routes see them, and what they still raise is told."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        ours = GRADIO not in scope["path"]
        try:
            if "\0" in scope["path"] or b"%00" in scope.get("query_string", b""):
                raise JSONError("an address has no null character in it")
            if not ours and scope["method"] in ("POST", "PUT", "PATCH") and _is_json(scope):
                receive = await _checked(receive)
            return await self.app(scope, receive, watched)
        except JSONError as error:
            answer = told(str(error), 400)
        except DeconvdemoError as error:
            answer = told(without_places(str(error)), 503)
        except Exception:
            if started:
                raise
            log.exception("%s %s failed", scope["method"], scope["path"])
            # what Gradio's own routes stumble over is what was sent to them
            answer = told(BROKEN, 500) if ours else told(ODD, 400)
        if started:
            raise RuntimeError("an answer broke off after it had begun")
        await answer(scope, receive, send)


def told(sentence: str, status: int) -> JSONResponse:
    """`error` is our word for it, and `detail` the one that Gradio's clients look for."""
    return JSONResponse({"error": sentence, "detail": sentence}, status)


def invalid(request: Request, error: Exception) -> JSONResponse:
    """For what FastAPI finds wrong with a request; without what was sent, which may not even be JSON again."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()[0] if error.errors() else {"loc": (), "msg": "it is not complete"}
    place = ".".join(ascii(part).strip("'")[:40] for part in found["loc"][1:])
    return told(f"this request is not what is taken here: {place + ': ' if place else ''}{found['msg'][:200]}", 422)


def _is_json(scope: Scope) -> bool:
    kind = dict(scope["headers"]).get(b"content-type", b"")
    return not kind.startswith((b"multipart/", b"application/x-www-form-urlencoded"))


async def _checked(receive: Receive) -> Receive:
    """Reads the body, which Gradio's routes read whole, too, and gives it again; `bodies` has bounded it."""
    parts: list[bytes] = []
    last: Message = {"type": "http.request", "more_body": True}
    while last["type"] == "http.request" and last.get("more_body"):
        last = await receive()
        parts.append(last.get("body", b""))
    body = b"".join(parts)
    if body and last["type"] == "http.request":
        value, mended = strict_json(body)
        body = json.dumps(value).encode() if mended else body
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    if last["type"] != "http.request":
        waiting = [last]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
