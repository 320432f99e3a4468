"""What the reviewers' pages share: every answer, images included, asks first who it is for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from deconvdemo.errors import DeconvdemoError, FeedbackError
from deconvdemo.feedback.events.imagefile import image_extension
from deconvdemo.redaction import without_places
from deconvdemo.web.review.reviewers import Reviewers
from deconvdemo.web.review.sent import read_json
from deconvdemo.web.server.leaving import while_connected

PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}
PAGE_POLICY = "default-src 'self'; img-src 'self' blob:; style-src 'self' 'unsafe-inline'; script-src 'self'"
OURS = "x-deconvdemo"  # a header that no form of another site can send
MAX_JSON = 2_000_000  # bytes: a painted mask of four megapixels is 0.7 MB in base64

Work = Callable[[Request, str], Any]


@dataclass(frozen=True)
class ReviewerGuard:
    """Lets reviewers in. `max_upload` in bytes."""

    reviewers: Reviewers
    max_upload: int = 0

    def answers(self, work: Work) -> Callable[[Request], Any]:
        """A route's endpoint that does `work` for a reviewer; a stranger gets 401, or 404 where there is no review."""

        async def answer(request: Request) -> Response:
            reviewer = await run_in_threadpool(self.reviewers.reviewer, request)
            if not reviewer:
                status = 401 if self.reviewers.exists_for(request) else 404
                return JSONResponse({"error": "sign in on the review page first"}, status, headers=PRIVATE)
            if request.method == "POST" and OURS not in request.headers:
                return JSONResponse({"error": f"send the header {OURS}"}, 415, headers=PRIVATE)
            request.state.owner = await run_in_threadpool(self.reviewers.is_owner, request)
            try:
                if request.method == "POST":
                    await _read(request, self.max_upload)
                found = await while_connected(request, work, request, reviewer)
            except DeconvdemoError as error:
                return JSONResponse({"error": without_places(str(error))}, 400, headers=PRIVATE)
            return found if isinstance(found, Response) else JSONResponse(found, headers=PRIVATE)

        return answer

    def static(self, text: Callable[[], str], kind: str) -> Callable[[Request], Response]:
        """A page's script or style, which tells nothing of anybody; 404 where there is no review."""

        def answer(request: Request) -> Response:
            if not self.reviewers.exists_for(request):
                return Response("Not Found", 404)
            return Response(text(), media_type=kind, headers={"Cache-Control": "no-cache"})

        return answer


async def _read(request: Request, max_upload: int) -> None:
    """Into request.state: `said`, what the page sends as JSON, and `clean`, the file beside it, if there is one."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > max_upload + MAX_JSON:
        raise FeedbackError(f"at most {max_upload / 1e6:.0f} MB are taken at once: send a smaller file")
    request.state.clean = None
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await request.form(max_files=1, max_fields=4, max_part_size=MAX_JSON)
        file = form.get("clean")
        request.state.clean = await file.read() if file is not None and not isinstance(file, str) else None
        request.state.said = read_json(str(form.get("verdict", "")))
        return
    body = await request.body()
    if len(body) > MAX_JSON:
        raise FeedbackError(f"a verdict has {len(body):,} bytes but {MAX_JSON:,} at most: shorten the comment")
    request.state.said = read_json(body)


def image_file(data: bytes) -> Response:
    # content never changes under its address: the browser keeps it for whoever asked, alone
    kept = {**PRIVATE, "Cache-Control": "private, max-age=3600"}
    return Response(data, media_type=f"image/{image_extension(data)}", headers=kept)


def html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, headers={**PRIVATE, "Content-Security-Policy": PAGE_POLICY})


def whole_number(request: Request, name: str, default: int) -> int:
    """A number from the address's query."""
    text = request.query_params.get(name, str(default))
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise FeedbackError(f"{name} is {text[:20]!r}: give a whole number of at most nine digits")
    return int(text)
