"""What a flag's visitor can ask later: what became of it, and that it be erased."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from string import Template
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.erase import erase_by_key
from deconvdemo.feedback.dataset.state import ERASED, PUBLISHED, PUBLISHING, SAVED, UNKNOWN, state_of
from deconvdemo.feedback.dataset.state import PRIVATE as PRIVATE_FLAG
from deconvdemo.feedback.events.records import opens
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.web.asset import asset
from deconvdemo.web.components.page import page_html

BECAME = {
    SAVED: "It is saved, and goes into the public dataset with the next batch.",
    PRIVATE_FLAG: "It is saved, and stays private: a reviewer has not let it pass into the public dataset.",
    PUBLISHING: "It is on its way into the public dataset.",
    PUBLISHED: "It is in the public dataset.",
}
PAGE = Template(page_html("erase", "Your flag", f"<style>\n{asset('erase.css')}</style>\n", up="../"))
# the link holds the key: no cache keeps it, and no other site is told of it
PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'",
}


def erase_link(flag_id: str, key: str) -> str:
    """Relative, so that it holds behind a proxy's prefix, too."""
    return f"erase/{flag_id}?key={key}"


def flag_routes(
    store: FeedbackStore,
    commit_url: Callable[[str], str],
    helped: Callable[[str], list[str]] = lambda flag_id: [],
    moderated: bool = False,
) -> list[Route]:
    """`/flags/{id}`: its state as JSON. `/erase/{id}?key=…`: its page, which erases it, on its button's press alone.

    `helped` gives the weights that learned from a flag, as people call them. `moderated`: a reviewer lets flags pass
    before they are published.
    """

    def state(request: Request) -> Response:
        flag_id = request.path_params["flag_id"]
        try:
            found = state_of(store, flag_id, moderated)
            weights = [] if found.state in (UNKNOWN, ERASED) else helped(flag_id)
        except FeedbackError as error:
            return JSONResponse({"error": str(error)}, 503)
        if found.state == UNKNOWN:
            return JSONResponse({"error": "there is no such flag"}, 404)
        facts: dict[str, Any] = {"flag_id": flag_id, "state": found.state}
        if found.state == PUBLISHED:
            facts |= {"revision": found.revision, "url": commit_url(found.revision)}
        if weights:
            facts["helped_train"] = weights
        return JSONResponse(facts, headers={"Cache-Control": "no-store"})

    async def erase(request: Request) -> Response:
        flag_id = request.path_params["flag_id"]
        key = str((await request.form()).get("key", "")) if request.method == "POST" else ""
        key = key or request.query_params.get("key", "")
        if request.method == "POST":
            return await run_in_threadpool(_erased, store, flag_id, key)
        return await run_in_threadpool(_asked, store, flag_id, key, helped, moderated)

    return [Route("/flags/{flag_id}", state), Route("/erase/{flag_id}", erase, methods=["GET", "POST"])]


def _asked(
    store: FeedbackStore, flag_id: str, key: str, helped: Callable[[str], list[str]], moderated: bool
) -> Response:
    """What became of it, and the button; to look at it erases nothing, as programs that preview links do."""
    try:
        state = state_of(store, flag_id, moderated).state
        if not opens(key, flag_id):
            return _page(
                "This link opens no flag", _sentence("Use the whole link that you were given with your flag."), 404
            )
        if state in (UNKNOWN, ERASED):
            words = "It was erased already." if state == ERASED else "This demo does not have it (any more)."
            return _page("There is nothing to erase", _sentence(words))
        flag, weights = store.get(flag_id), helped(flag_id)
    except FeedbackError as error:
        return _page("That did not work", _sentence(str(error)), 503)
    comment = f" with your comment “{flag.comment[:200]}”" if flag.comment else ""
    facts = f"Flagged {flag.created_at:%Y-%m-%d %H:%M} UTC, task {flag.task}: {len(flag.images)} images{comment}."
    thanks = f"Your flag helped train {', '.join(weights)}. Thank you." if weights else ""
    return _page(
        "Your flag",
        f'<p class="facts">{escape(facts)}</p>'
        f"{_sentence(BECAME.get(state, ''))}"
        f"{_thanked(thanks)}"
        "<h2>Erase it?</h2>"
        "<p>Its images, your comment, and what reviewers said of it go: here at once, and from the published dataset "
        "with the next publication. This cannot be undone.</p>"
        f'<form method="post"><input type="hidden" name="key" value="{escape(key)}"><button>Erase it</button></form>',
    )


def _erased(store: FeedbackStore, flag_id: str, key: str) -> Response:
    try:
        report = erase_by_key(store, flag_id, key)
    except FeedbackError as error:
        # with the right key it is the disk or the database that does not let us
        return _page("Nothing was erased", _sentence(str(error)), 503 if opens(key, flag_id) else 403)
    return _page("Erased", "".join(map(_sentence, report.sentences())))


def _sentence(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _thanked(text: str) -> str:
    return f'<p class="thanks">{escape(text)}</p>' if text else ""


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(PAGE.substitute(title=escape(title), body=body), status, headers=PRIVATE)
