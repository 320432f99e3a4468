"""The review page and what it asks: a queue of flags, one flag's facts and images, verdicts, and files to take away.

Every answer, images included, asks first who it is for.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import asdict
from typing import Any
from urllib.parse import quote, urlencode

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.opinions import DECISIONS
from deconvdemo.feedback.events.records import REASONS
from deconvdemo.feedback.review.audit import audit
from deconvdemo.feedback.review.counts import counts
from deconvdemo.feedback.review.gold_items import GoldItems
from deconvdemo.feedback.review.view import RATINGS, SORTS, STATUSES, View
from deconvdemo.tasks import TASKS, Choice, Number, Switch
from deconvdemo.web.components.page import page_html, page_links, page_script, page_style
from deconvdemo.web.review.guard import PRIVATE, ReviewerGuard, html, image_file, whole_number
from deconvdemo.web.review.reviewers import BROWSER, KEY, LINK, WRONG_WAIT, Reviewers, WrongPasswordError
from deconvdemo.web.review.service import ReviewService
from deconvdemo.web.server.visitors import address_of

STAGES = ("viewer", "painter")


def review_routes(desk: ReviewService, reviewers: Reviewers, max_upload_mb: int = 100) -> list[Route]:
    """`/review` and what is under it. A stranger gets the sign-in page where there is one, else 404."""
    queue = desk.queue

    guard = ReviewerGuard(reviewers, max_upload_mb * 1_000_000)
    guarded, static = guard.answers, guard.static

    async def page(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        if not reviewers.exists_for(request):
            return Response("Not Found", 404)
        if await run_in_threadpool(reviewers.opens, request):
            others = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != KEY])
            answer = RedirectResponse(f"review?{others}" if others else "review", 303, headers=PRIVATE)
            await run_in_threadpool(reviewers.let_in, answer, root)
            return answer
        if await run_in_threadpool(reviewers.door, request) == LINK:
            return html(page_html("sign_in_link", "Review flags", page_links("review", script=False)), 401)
        if await run_in_threadpool(reviewers.reviewer, request):
            return html(page_html("review", "Review", page_links("review")))
        return html(reviewers.sign_in_page(root))

    async def sign_in(request: Request) -> Response:
        if not reviewers.password or not reviewers.exists_for(request):
            return Response("Not Found", 404)
        form = await request.form(max_files=0, max_fields=4)
        response = RedirectResponse("../review", 303, headers=PRIVATE)
        name, password = str(form.get("name", "")), str(form.get("password", ""))
        try:
            secure, root = request.url.scheme == "https", request.scope.get("root_path", "")
            address = address_of(request, reviewers.behind_proxy)
            browser = request.cookies.get(BROWSER, "")
            await run_in_threadpool(reviewers.sign_in, response, name, password, secure, root, address, browser)
        except FeedbackError as error:
            if isinstance(error, WrongPasswordError):
                await asyncio.sleep(WRONG_WAIT)
            return RedirectResponse(f"../review?why={quote(str(error))}", 303, headers=PRIVATE)
        return response

    def listed(request: Request, reviewer: str) -> Any:
        view = View.of(request.query_params)
        limit = whole_number(request, "limit", 50)
        ids = desk.page(view, reviewer, request.query_params.get("after", ""), limit)
        return {"flags": ids, "reviewer": reviewer}

    def counted(request: Request, reviewer: str) -> Any:
        return counts(queue, View.of(request.query_params), reviewer)

    def shown(request: Request, reviewer: str) -> Any:
        return desk.facts(request.path_params["flag_id"], reviewer, request.state.owner)

    def carded(request: Request, reviewer: str) -> Any:
        return {"cards": desk.cards(request.query_params.getlist("id"), reviewer, request.state.owner)}

    def measured(request: Request, reviewer: str) -> Any:
        return desk.metrics(request.path_params["flag_id"])

    def image(request: Request, reviewer: str) -> Any:
        small = "small" in request.query_params
        return image_file(desk.image(request.path_params["flag_id"], request.path_params["role"], small))

    def verdict_image(request: Request, reviewer: str) -> Any:
        return image_file(desk.verdict_image(request.path_params["verdict_id"], request.path_params["role"], reviewer))

    def rerun(request: Request, reviewer: str) -> Any:
        data, report = desk.rerun(request.path_params["flag_id"], request.state.said)
        answer = image_file(data)
        answer.headers["X-Report"] = json.dumps(report)  # ASCII
        return answer

    def decided(request: Request, reviewer: str) -> Any:
        saved, verdict = desk.give(reviewer, request.state.said, request.state.clean, request.state.owner)
        return {"verdict_id": saved.flag_id, "mine": queue.mine(verdict.flag_id, reviewer)}

    def decided_several(request: Request, reviewer: str) -> Any:
        return desk.give_several(reviewer, request.state.said, request.state.owner)

    def decided_many(request: Request, reviewer: str) -> Any:
        return desk.give_many(reviewer, request.state.said, request.state.owner)

    def audited(request: Request, reviewer: str) -> Any:
        before, limit = request.query_params.get("before", ""), whole_number(request, "limit", 100)
        return {"verdicts": [asdict(entry) for entry in audit(desk.store, reviewer, limit, before)]}

    def caught(request: Request, reviewer: str) -> Any:
        decision = str(request.state.said.get("decision", ""))
        GoldItems(desk.store).state(request.path_params["flag_id"], decision, reviewer, request.state.owner)
        return {"catch": decision}

    def taken_away(request: Request, reviewer: str) -> Any:
        view, form = View.of(request.query_params), request.query_params.get("format", "parquet")
        file = desk.zipped(view, reviewer, form, request.state.owner)
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
        Route("/review/verdicts/several", guarded(decided_several), methods=post),
        Route("/review/verdicts/{verdict_id}/{role}", guarded(verdict_image)),
    ]


def _style() -> str:
    return page_style("review", STAGES)


def _script() -> str:
    words: dict[str, Any] = {"reasons": REASONS, "decisions": DECISIONS, "statuses": STATUSES}
    words |= {"ratings": RATINGS, "sorts": SORTS, "tasks": {name: task.title for name, task in TASKS.items()}}
    words["controls"] = {name: [_control(control) for control in task.controls] for name, task in TASKS.items()}
    own = ("mask.js", "review_verdicts.js", "review_tools.js", "review_grid.js", "review.js")
    return page_script(words, *own, stages=STAGES)


def _control(control: Any) -> dict[str, Any]:
    """A control as the page draws it."""
    facts: dict[str, Any] = {"name": control.name, "label": control.label, "default": control.default}
    if isinstance(control, Choice):
        return {**facts, "options": {word: option.label for word, option in control.options.items()}}
    if isinstance(control, Switch):
        return {**facts, "options": {"false": "Off", "true": "On"}}
    if not isinstance(control, Number):
        return {**facts, "words": True}
    if control.choices:
        return {**facts, "options": {str(choice): str(choice) for choice in control.choices}}
    facts["automatic"] = control.automatic
    return {**facts, "minimum": control.minimum, "maximum": control.maximum, "step": control.step}
