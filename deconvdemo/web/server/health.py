"""/healthz: whether photos can be restored and flags stored, and what the threads behind the demo found last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import DeconvdemoError
from deconvdemo.feedback.dataset.publish import NoPublisher, Publisher
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.heartbeat import Look
from deconvdemo.redaction import for_strangers
from deconvdemo.version import __version__


def health_route(
    restorer: Restorer, store: FeedbackStore, publisher: Publisher | NoPublisher, looks: Mapping[str, Look]
) -> Route:
    """200 and the facts while photos can be restored and flags stored, else 503 and why.

    Feedback that cannot be published is told, and no reason to restart a demo: it waits. `looks`: by name.
    """

    def health(request: Request) -> JSONResponse:
        facts: dict[str, Any] = {
            "status": "ok",
            "version": __version__,
            "watchers": _watchers(restorer, publisher, looks),
        }
        try:
            store.check()
            facts["flags"] = store.totals()["flags"]
            facts["compute"] = vars(restorer.compute_on)
            facts["publishing"] = publisher.status()
            facts["weights"] = {name: restorer.weights.status(name) for name in restorer.weights.names()}
        except DeconvdemoError as error:
            facts = {**facts, "status": "failing", "error": str(error)}
        return JSONResponse(for_strangers(facts), 200 if facts["status"] == "ok" else 503)

    return Route("/healthz", health)


def _watchers(
    restorer: Restorer, publisher: Publisher | NoPublisher, looks: Mapping[str, Look]
) -> dict[str, dict[str, Any]]:
    of_weights = {f"weights: {place}": look for place, look in restorer.weights.looks.places.items()}
    found = {**of_weights, "publishing": publisher.look, **looks}
    return {name: look.facts() for name, look in found.items() if look is not None}
