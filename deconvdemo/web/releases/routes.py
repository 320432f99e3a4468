"""The page of releases and what it asks: what each set of weights made of the flagged photos, for reviewers."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.records import REASONS
from deconvdemo.tasks import TASKS
from deconvdemo.web.components.page import page_html, page_links, page_script, page_style
from deconvdemo.web.releases.service import ROLES, ReleaseService
from deconvdemo.web.review.guard import PRIVATE, ReviewerGuard, html, image_file, whole_number
from deconvdemo.web.review.reviewers import Reviewers


def release_routes(desk: ReleaseService, reviewers: Reviewers) -> list[Route]:
    """`/review/releases` and what is under it. A stranger is sent to the sign-in page where there is one, else 404."""
    guard = ReviewerGuard(reviewers)

    async def page(request: Request) -> Response:
        if not reviewers.exists_for(request):
            return Response("Not Found", 404)
        if await run_in_threadpool(reviewers.reviewer, request):
            return html(page_html("releases", "Releases", page_links("releases"), up="../"))
        return RedirectResponse("../review", 303, headers=PRIVATE)

    def listed(request: Request, reviewer: str) -> Any:
        return desk.releases(reviewer)

    def shown(request: Request, reviewer: str) -> Any:
        number = whole_number(request, "page", 1)
        return {"replays": desk.page(request.path_params["sha256"], request.query_params, number, reviewer)}

    def image(request: Request, reviewer: str) -> Any:
        sha256, flag_id, role = (request.path_params[name] for name in ("sha256", "flag_id", "role"))
        if role not in ROLES:
            raise FeedbackError(f"a replay has no {role!r} picture: it has {', '.join(ROLES)}")
        return image_file(desk.image(sha256, flag_id, role, "small" in request.query_params, reviewer))

    return [
        Route("/review/releases", page),
        Route("/review/releases/page.js", guard.static(_script, "text/javascript")),
        Route("/review/releases/page.css", guard.static(_style, "text/css")),
        Route("/review/releases/list", guard.answers(listed)),
        Route("/review/releases/{sha256}", guard.answers(shown)),
        Route("/review/releases/{sha256}/{flag_id}/{role}", guard.answers(image)),
    ]


def _style() -> str:
    return page_style("releases")


def _script() -> str:
    words = {"reasons": REASONS, "tasks": {name: task.title for name, task in TASKS.items()}}
    return page_script(words, "releases.js")
