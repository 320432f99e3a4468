"""What stands above the pages, with the ways between them, and below: which weights serve, and what waits."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import gradio as gr

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import DeconvdemoError
from deconvdemo.feedback.dataset.publish import NoPublisher, Publisher
from deconvdemo.redaction import without_places
from deconvdemo.version import __version__
from deconvdemo.web.review.reviewers import Reviewers

INTRODUCTION = """
<header class="dd-header">
  <h1>deconvdemo</h1>
  <p>Restore a photo with small deconvolution networks, look closely, and say where they fail:
  what you flag trains the next weights.</p>
  <nav aria-label="Pages"><a href="duel">Duel: which is better?</a> <a href="insight">Insight</a>
  <a href="learn">Learn: how it works</a>{review}</nav>
</header>
"""
INSIGHT = """
<header class="dd-header">
  <h1>Insight</h1>
  <p>What people flag, which weights do better, and who wins the duels.</p>
  <nav aria-label="Pages"><a href="./">Demo</a> <a href="duel">Duel: which is better?</a>
  <a href="learn">Learn: how it works</a>{review}</nav>
</header>
"""
REVIEW = ' <a href="review">Review</a>'
RELEASES = ' <a href="review">Review</a> <a href="review/releases">Releases</a>'


def head(text: str, review: str, reviewers: Reviewers) -> Callable[[gr.Request], str]:
    """A page's head, with the way to the review for whom there is one."""

    def of(request: gr.Request) -> str:
        there_is = reviewers.exists_for(request.request)
        return text.format(review=review if there_is else "")

    return of


def foot(restorer: Restorer, publisher: Publisher | NoPublisher) -> str:
    """Under the tabs: which weights serve, and why if they are not the ones asked for; what waits to be published."""
    try:
        served: dict[str, list[str]] = {}
        for name in restorer.weights.names():
            served.setdefault(restorer.weights.status(name), []).append(name)
        weights = [f"weights for {', '.join(names)}: {status}" for status, names in served.items()]
    except DeconvdemoError as error:
        weights = [str(error)]
    weights += restorer.weights.looks.words()
    try:
        weights += publisher.words()
    except DeconvdemoError as error:
        weights.append(str(error))
    machine = f"{restorer.compute_on.device}, {restorer.compute_on.precision} ({restorer.compute_on.why})"
    text = without_places(" · ".join([f"deconvdemo {__version__}", machine, *weights]))
    return f'<p class="dd-serving">{escape(text)}</p>'
