"""The review page and what it asks: a queue of flags, one flag's facts and images, verdicts, and files to take away.

Every answer, images included, asks first who it is for.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deconvdemo.errors import DeconvdemoError, FeedbackError
from deconvdemo.feedback.catches import Catches
from deconvdemo.feedback.imagefile import image_extension
from deconvdemo.feedback.opinions import DECISIONS
from deconvdemo.feedback.records import REASONS
from deconvdemo.feedback.review import RATINGS, SORTS, STATUSES, View
from deconvdemo.tasks import TASKS, Choice, Number
from deconvdemo.ui.asset import asset
from deconvdemo.ui.review_desk import ReviewDesk, read_json
from deconvdemo.ui.reviewers import OFF, WRONG_WAIT, Reviewers

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


def review_routes(desk: ReviewDesk, reviewers: Reviewers, max_upload_mb: int = 100) -> list[Route]:
    """`/review` and what is under it. A stranger gets the sign-in page where there is one, else 404."""
    queue = desk.queue

    def guarded(work: Work) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            reviewer = await run_in_threadpool(reviewers.reviewer, request)
            if not reviewer:
                status = 404 if reviewers.door(request) == OFF else 401
                return JSONResponse({"error": "sign in on the review page first"}, status, headers=PRIVATE)
            if request.method == "POST" and OURS not in request.headers:
                return JSONResponse({"error": f"send the header {OURS}"}, 415, headers=PRIVATE)
            try:
                if request.method == "POST":
                    await _read(request, max_upload_mb * 1_000_000)
                found = await run_in_threadpool(work, request, reviewer)
            except DeconvdemoError as error:
                return JSONResponse({"error": str(error)}, 400, headers=PRIVATE)
            return found if isinstance(found, Response) else JSONResponse(found, headers=PRIVATE)

        return answer

    async def page(request: Request) -> Response:
        if reviewers.door(request) == OFF:
            return Response("Not Found", 404)
        if await run_in_threadpool(reviewers.reviewer, request):
            return _html(asset("review.html"))
        return _html(reviewers.sign_in_page())

    def static(text: Callable[[], str], kind: str) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            if reviewers.door(request) == OFF:
                return Response("Not Found", 404)
            return Response(text(), media_type=kind, headers={"Cache-Control": "no-cache"})

        return answer

    async def sign_in(request: Request) -> Response:
        if not reviewers.password or reviewers.door(request) == OFF:
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
        ids = desk.page(view, reviewer, request.query_params.get("after", ""), limit)
        return {"flags": ids, "reviewer": reviewer}

    def counted(request: Request, reviewer: str) -> Any:
        return queue.counts(View.of(request.query_params), reviewer)

    def shown(request: Request, reviewer: str) -> Any:
        return desk.facts(request.path_params["flag_id"], reviewer)

    def carded(request: Request, reviewer: str) -> Any:
        return {"cards": desk.cards(request.query_params.getlist("id"), reviewer)}

    def measured(request: Request, reviewer: str) -> Any:
        return desk.metrics(request.path_params["flag_id"])

    def image(request: Request, reviewer: str) -> Any:
        small = "small" in request.query_params
        return _image(desk.image(request.path_params["flag_id"], request.path_params["role"], small))

    def verdict_image(request: Request, reviewer: str) -> Any:
        return _image(desk.verdict_image(request.path_params["verdict_id"], request.path_params["role"], reviewer))

    def rerun(request: Request, reviewer: str) -> Any:
        data, report = desk.rerun(request.path_params["flag_id"], request.state.said)
        answer = _image(data)
        answer.headers["X-Report"] = json.dumps(report)  # ASCII
        return answer

    def decided(request: Request, reviewer: str) -> Any:
        saved, verdict = desk.give(reviewer, request.state.said, request.state.clean)
        return {"verdict_id": saved.flag_id, "mine": queue.mine(verdict.flag_id, reviewer)}

    def decided_many(request: Request, reviewer: str) -> Any:
        return desk.give_many(reviewer, request.state.said)

    def audited(request: Request, reviewer: str) -> Any:
        before, limit = request.query_params.get("before", ""), _whole(request.query_params.get("limit", "100"))
        return {"verdicts": [asdict(entry) for entry in queue.audit(reviewer, limit, before)]}

    def caught(request: Request, reviewer: str) -> Any:
        said, catches = request.state.said, Catches(desk.store)
        flag_id, decision = request.path_params["flag_id"], str(said.get("decision", ""))
        if decision:
            catches.set(flag_id, decision, reviewer)
        else:
            catches.unset(flag_id)
        return {"catch": decision}

    def taken_away(request: Request, reviewer: str) -> Any:
        view, form = View.of(request.query_params), request.query_params.get("format", "parquet")
        file = desk.zipped(view, reviewer, form)
        gone = BackgroundTask(shutil.rmtree, file.parent, ignore_errors=True)
        return FileResponse(file, media_type="application/zip", filename=file.name, headers=PRIVATE, background=gone)

    one, post = "/review/flags/{flag_id}", ["POST"]
    return [
        Route("/review", page),
        Route("/review/sign_in", sign_in, methods=post),
        Route("/review/page.js", static(_script, "text/javascript")),
        Route("/review/page.css", static(_style, "text/css")),
        Route("/review/queue", guarded(listed)),
        Route("/review/counts", guarded(counted)),
        Route("/review/cards", guarded(carded)),
        Route("/review/audit", guarded(audited)),
        Route("/review/export", guarded(taken_away)),
        Route(one, guarded(shown)),
        Route(f"{one}/metrics", guarded(measured)),
        Route(f"{one}/rerun", guarded(rerun), methods=post),
        Route(f"{one}/catch", guarded(caught), methods=post),
        Route(f"{one}/{{role}}", guarded(image)),
        Route("/review/verdicts", guarded(decided), methods=post),
        Route("/review/verdicts/bulk", guarded(decided_many), methods=post),
        Route("/review/verdicts/{verdict_id}/{role}", guarded(verdict_image)),
    ]


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


def _image(data: bytes) -> Response:
    # content never changes under its address: the browser keeps it for this reviewer alone
    kept = {**PRIVATE, "Cache-Control": "private, max-age=3600"}
    return Response(data, media_type=f"image/{image_extension(data)}", headers=kept)


def _html(text: str) -> Response:
    return HTMLResponse(text, headers={**PRIVATE, "Content-Security-Policy": PAGE_POLICY})


def _style() -> str:
    stages = [(".viewer", "viewer.css"), (".painter", "painter.css")]
    nested = [f"{element} {{\n{asset('stage.css', name)}\n}}" for element, name in stages]
    return "\n".join([asset("pages.css", "review.css"), *nested, ""])


def _script() -> str:
    words: dict[str, Any] = {"reasons": REASONS, "decisions": DECISIONS, "statuses": STATUSES}
    words |= {"ratings": RATINGS, "sorts": SORTS, "tasks": {name: task.title for name, task in TASKS.items()}}
    words["controls"] = {name: [_control(control) for control in task.controls] for name, task in TASKS.items()}
    return "\n".join(
        [
            f"const WORDS = {json.dumps(words)};",
            f"const VIEWER_HTML = {json.dumps(asset('viewer.html'))};",
            f"const PAINTER_HTML = {json.dumps(asset('painter.html'))};",
            asset("pages.js", "stage.js", "mask.js"),
            f"function startViewer(element, props, watch) {{ {asset('viewer.js')}\nreturn viewer; }}",
            f"function startPainter(element, props, watch) {{ {asset('painter.js')}\nreturn painter; }}",
            *(asset(name) for name in ("review_verdicts.js", "review_tools.js", "review_grid.js", "review.js")),
        ]
    )


def _control(control: Any) -> dict[str, Any]:
    """A control as the page draws it."""
    facts: dict[str, Any] = {"name": control.name, "label": control.label, "default": control.default}
    if isinstance(control, Choice):
        return {**facts, "options": {word: option.label for word, option in control.options.items()}}
    assert isinstance(control, Number)
    if control.choices:
        return {**facts, "options": {str(choice): str(choice) for choice in control.choices}}
    facts["automatic"] = control.automatic
    return {**facts, "minimum": control.minimum, "maximum": control.maximum, "step": control.step}


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise FeedbackError(f"limit is {text!r}: give a whole number") from None
