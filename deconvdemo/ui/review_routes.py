"""The review page and what it asks: a queue of flags, one flag's facts and images, and a verdict.

Every answer, images included, asks first who it is for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from io import BytesIO
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.imagefile import image_extension
from deconvdemo.feedback.opinions import DECISIONS, Verdict
from deconvdemo.feedback.records import REASONS
from deconvdemo.feedback.review import RATINGS, SORTS, STATUSES, ReviewQueue, View
from deconvdemo.tasks import TASKS
from deconvdemo.ui.asset import asset
from deconvdemo.ui.reviewers import OFF, PASSWORD, WRONG_WAIT, Reviewers

PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}
PAGE_POLICY = "default-src 'self'; img-src 'self' blob:; style-src 'self' 'unsafe-inline'; script-src 'self'"
MAX_BODY = 100_000  # bytes of a verdict without images

Work = Callable[[Request, str], Any]


def review_routes(queue: ReviewQueue, reviewers: Reviewers) -> list[Route]:
    """`/review` and what is under it. A stranger gets the sign-in page where there is a password, else 404."""

    def guarded(work: Work) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            reviewer = await run_in_threadpool(reviewers.reviewer, request)
            if not reviewer:
                status = 404 if reviewers.door(request) == OFF else 401
                return JSONResponse({"error": "sign in on the review page first"}, status, headers=PRIVATE)
            try:
                found = await run_in_threadpool(work, request, reviewer)
            except FeedbackError as error:
                return JSONResponse({"error": str(error)}, 400, headers=PRIVATE)
            return found if isinstance(found, Response) else JSONResponse(found, headers=PRIVATE)

        return answer

    async def page(request: Request) -> Response:
        door = reviewers.door(request)
        if door == OFF:
            return Response("Not Found", 404)
        signed_in = await run_in_threadpool(reviewers.reviewer, request)
        return _html("review.html" if signed_in else "sign_in.html")

    def static(text: Callable[[], str], kind: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            if reviewers.door(request) == OFF:
                return Response("Not Found", 404)
            return Response(text(), media_type=kind, headers={"Cache-Control": "no-cache"})

        return answer

    async def sign_in(request: Request) -> Response:
        if reviewers.door(request) != PASSWORD:
            return Response("Not Found", 404)
        form = await request.form(max_files=0, max_fields=4)
        response = RedirectResponse("../review", 303, headers=PRIVATE)
        name, password = str(form.get("name", "")), str(form.get("password", ""))
        try:
            secure = request.url.scheme == "https"
            await run_in_threadpool(reviewers.sign_in, response, name, password, secure)
        except FeedbackError as error:
            await asyncio.sleep(WRONG_WAIT)
            return RedirectResponse(f"../review?why={quote(str(error))}", 303, headers=PRIVATE)
        return response

    def listed(request: Request, reviewer: str) -> Any:
        view = View.of(request.query_params)
        limit = _whole(request.query_params.get("limit", "50"))
        ids = queue.ids(view, reviewer, request.query_params.get("after", ""), limit)
        return {"flags": ids, "reviewer": reviewer}

    def counted(request: Request, reviewer: str) -> Any:
        return queue.counts(View.of(request.query_params), reviewer)

    def shown(request: Request, reviewer: str) -> Any:
        return _facts(queue, request.path_params["flag_id"], reviewer)

    def image(request: Request, reviewer: str) -> Any:
        flag = queue.store.get(request.path_params["flag_id"])
        data = flag.images.get(request.path_params["role"])
        if data is None:
            raise FeedbackError(f"this flag has no {request.path_params['role']} image")
        # content never changes under its address: the browser keeps it for this reviewer alone
        kept = {**PRIVATE, "Cache-Control": "private, max-age=3600"}
        return Response(data, media_type=f"image/{image_extension(data)}", headers=kept)

    async def decided(request: Request) -> Response:
        # a form of another site cannot send this kind of body
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"error": "send JSON"}, 415, headers=PRIVATE)
        body = await request.body()

        def decide(request: Request, reviewer: str) -> Any:
            verdict = _verdict(body, reviewer)
            saved = queue.decide(verdict)
            return {"verdict_id": saved.flag_id, "mine": queue.mine(verdict.flag_id, reviewer)}

        return await guarded(decide)(request)

    return [
        Route("/review", page),
        Route("/review/sign_in", sign_in, methods=["POST"]),
        Route("/review/page.js", static(_script, "text/javascript")),
        Route("/review/page.css", static(_style, "text/css")),
        Route("/review/queue", guarded(listed)),
        Route("/review/counts", guarded(counted)),
        Route("/review/flags/{flag_id}", guarded(shown)),
        Route("/review/flags/{flag_id}/{role}", guarded(image)),
        Route("/review/verdicts", decided, methods=["POST"]),
    ]


def _facts(queue: ReviewQueue, flag_id: str, reviewer: str) -> dict[str, Any]:
    from PIL import Image

    flag = queue.store.get(flag_id)
    images = {}
    for role, data in flag.images.items():
        with Image.open(BytesIO(data)) as opened:
            images[role] = {"width": opened.width, "height": opened.height, "bytes": len(data)}
    mine = queue.mine(flag_id, reviewer)
    return {
        "flag_id": flag.flag_id,
        "task": flag.task,
        "created_at": flag.created_at.isoformat(timespec="seconds"),
        "reasons": list(flag.reasons),
        "comment": flag.comment,
        "controls": flag.controls,
        "checkpoint": flag.checkpoint,
        "images": images,
        "mine": mine,
        # what others think is told to those who have said what they think
        "opinions": {**asdict(opinions), "disputed": opinions.disputed}
        if mine and (opinions := queue.opinions(flag_id))
        else None,
    }


def _verdict(body: bytes, reviewer: str) -> Verdict:
    if len(body) > MAX_BODY:
        raise FeedbackError(
            f"a verdict has {len(body):,} bytes but at most {MAX_BODY:,} are taken: shorten the comment"
        )
    try:
        said: Mapping[str, Any] = json.loads(body)
        flag_id, decision, comment, token = (
            str(said.get(name, "")) for name in ("flag_id", "decision", "comment", "client_token")
        )
        reasons = tuple(str(reason) for reason in said.get("reasons") or ())
    except (ValueError, AttributeError, TypeError) as error:
        raise FeedbackError("a verdict is JSON with flag_id, decision, reasons and comment") from error
    return Verdict(
        flag_id=flag_id,
        reviewer=reviewer,
        decision=decision,
        reasons=reasons,
        comment=comment,
        client_token=f"{reviewer} {token}"[:200] if token else "",  # two reviewers' tokens may be the same
    )


def _html(name: str) -> Response:
    return HTMLResponse(asset(name), headers={**PRIVATE, "Content-Security-Policy": PAGE_POLICY})


def _style() -> str:
    return f"{asset('review.css')}\n.viewer {{\n{asset('stage.css', 'viewer.css')}\n}}\n"


def _script() -> str:
    words = {"reasons": REASONS, "decisions": DECISIONS, "statuses": STATUSES, "ratings": RATINGS, "sorts": SORTS}
    words["tasks"] = {name: task.title for name, task in TASKS.items()}
    pieces = [
        f"const WORDS = {json.dumps(words)};",
        f"const VIEWER_HTML = {json.dumps(asset('viewer.html'))};",
        "function startViewer(element, props, watch) {",
        asset("stage.js", "viewer.js"),
        "return viewer; }",
        asset("review.js"),
    ]
    return "\n".join(pieces)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise FeedbackError(f"limit is {text!r}: give a whole number") from None
