"""The page of plots: what is flagged and why, which weights do better, who wins the duels, how far the reviewing is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr
from cachetools import TTLCache

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import DeconvdemoError
from deconvdemo.evaluation.contenders import words_of
from deconvdemo.evaluation.lineage import note
from deconvdemo.feedback.dataset.publish import NoPublisher, Publisher
from deconvdemo.feedback.review import insights
from deconvdemo.feedback.review.agreement import agreement
from deconvdemo.feedback.review.gold_items import GoldItems
from deconvdemo.feedback.review.ranking import rankings
from deconvdemo.feedback.review.replays import FIXED, NEWLY_BAD, STATES, STILL_BAD, Release, Replays
from deconvdemo.redaction import without_places
from deconvdemo.tasks import TASKS
from deconvdemo.tasks.helpers import HELPERS
from deconvdemo.web.insight.plots import bars, history, intervals
from deconvdemo.web.review.reviewers import Reviewers

KEEP = 30.0  # seconds that plots are shown again as they are
PALETTE = {STATES[FIXED]: "#0d9488", STATES[STILL_BAD]: "#f59e0b", STATES[NEWLY_BAD]: "#ef4444"}

PUBLIC = (
    ("Flags a day", "day"),
    ("Why, by task", "task"),
    ("Why, by weights", "weights"),
    ("Rates of each weights version", "rates"),
    ("What each release fixed", "releases"),
    ("Who wins the duels", "duels"),
    ("PSNR of the weights over time", "history"),
)
REVIEWERS = (("How far the reviewing is", "progress"), ("Verdicts by reviewer", "reviewers"))


class Insight:
    """What the page shows, counted anew after KEEP seconds."""

    def __init__(
        self,
        replays: Replays,
        restorer: Restorer,
        publisher: Publisher | NoPublisher,
        reviewers: Reviewers,
    ):
        self.replays, self.store, self.needed = replays, replays.store, replays.queue.needed
        self.restorer, self.publisher, self.reviewers = restorer, publisher, reviewers
        self._kept: TTLCache[str, list[Any]] = TTLCache(2, KEEP)  # by a clock that nobody sets
        self._lock = threading.Lock()
        self._noted: set[tuple[str, str]] = set()  # weights that the database knows by now

    def page(self, blocks: gr.Blocks) -> None:
        """Adds the page's components to the current page of `blocks`, and what fills them."""
        told = gr.HTML(padding=False)
        plots = []
        with gr.Row(elem_classes="dd-plots"):
            for title, name in PUBLIC:
                plots.append(gr.Plot(label=title, elem_id=f"plot-{name}", min_width=480))
        with gr.Column(visible=False) as private:
            gr.HTML("<h2>For reviewers</h2>", padding=False)
            with gr.Row(elem_classes="dd-plots"):
                own = [gr.Plot(label=title, elem_id=f"plot-{name}", min_width=480) for title, name in REVIEWERS]
            words = gr.HTML(padding=False)
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        blocks.load(self.public, None, [told, *plots], **quiet)
        blocks.load(self.private, None, [private, *own, words], **quiet)

    def public(self) -> list[Any]:
        """The sentence at the top, and the plots for everybody."""
        return self._within("public", self._public)

    def private(self, request: gr.Request) -> list[Any]:
        """What reviewers alone are shown."""
        if not self.reviewers.reviewer(request.request):
            return [gr.update(visible=False), None, None, ""]
        return [gr.update(visible=True), *self._within("private", self._private)]

    def _within(self, key: str, count: Callable[[], list[Any]]) -> list[Any]:
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = count()
            with self._lock:
                self._kept[key] = found
        return found

    def _public(self) -> list[Any]:
        by_task, by_weights = insights.reasons(self.store)
        self._note_weights()
        rates = insights.rates(self.store, self.needed)
        return [
            self._words(),
            bars(insights.flags_a_day(self.store), "day", "flags", "task", temporal=True),
            bars(by_task, "reason", "flags", "task", across=True),
            bars(by_weights, "weights", "share", "reason", across=True, unit="share of all reasons given in %"),
            bars(rates, "weights", "share", "rate", across=True, unit="%", stacked=False),
            bars(fixed(self.replays.releases()), "release", "flags", "state", across=True, palette=PALETTE),
            self._duels(),
            history(insights.weights_history(self.store)),
        ]

    def _private(self) -> list[Any]:
        by_reviewer, states = insights.progress(self.store, self.needed)
        found = agreement(self.store)
        lines = [f"Krippendorff's alpha: {_figure(found.alpha)} on {found.flags:,} flags with two reviewers or more."]
        lines += [
            f"{pair.first} and {pair.second}: agree on {100 * pair.agreed:.0f} % of {pair.flags:,} flags, "
            f"Cohen's kappa {_figure(pair.kappa)}."
            for pair in found.pairs
        ]
        lines += [
            f"{one.reviewer}: {one.right} of {one.judged} catch items right ({100 * one.right / one.judged:.0f} %)."
            for one in GoldItems(self.store).accuracy()
        ]
        words = "".join(f"<li>{escape(line)}</li>" for line in lines)
        return [
            bars(states, "state", "flags", "state", across=True),
            bars(by_reviewer, "reviewer", "verdicts", "decision", across=True),
            f'<ul class="dd-agreement">{words}</ul>',
        ]

    def _words(self) -> str:
        totals = self.store.totals()
        said = ", ".join(f"{totals[kind]:,} {kind}" for kind in ("flags", "verdicts", "votes"))
        status = self.publisher.status()
        waiting = status.get("waiting") or 0
        told = f"{waiting:,} wait to be published" if waiting else "nothing waits to be published"
        if not status.get("repo"):
            told = "they stay on this machine"
        trouble = f" Publishing: {status['error']}" if status.get("error") else ""
        return f"<p>{escape(without_places(f'{said}; {told}.{trouble}'))}</p>"

    def _note_weights(self) -> None:
        weights = self.restorer.weights
        for name in weights.names():
            if name in HELPERS:  # they restore nothing, so that nothing is measured over time
                continue
            try:
                serving = name, weights.sha256(name)
                if serving in self._noted:
                    continue
                checkpoint = weights.load(name)
            except DeconvdemoError:
                continue  # the demo's foot says what is wrong with it
            note(self.store, checkpoint)
            self._noted.add(serving)

    def _duels(self) -> Any:
        rows = [
            {
                "contender": _contender(standing.contender, TASKS[task].title),
                "task": TASKS[task].title,
                "strength": standing.strength,
                "low": standing.low,
                "high": standing.high,
                "duels": standing.duels,
            }
            for task in TASKS
            for found in rankings(self.store, task)
            for standing in found.standings
        ]
        return intervals(rows)


def _contender(facts: dict[str, Any], task: str) -> str:
    """Its name, with the task's if other tasks have one of the same name."""
    return words_of(facts) if facts.get("kind") == "network" else f"{words_of(facts)} ({task})"


def fixed(releases: list[Release]) -> insights.Rows:
    """`release`, `state`, `flags` of the newest releases: of all flags, and of those held back from training."""
    shown = [release for release in releases if release.all.total()][: insights.MOST_WEIGHTS]
    return [
        {"release": label, "state": STATES[state], "flags": counted[state]}
        for release in shown
        for label, counted in (
            (insights.weights_label(vars(release)), release.all),
            (f"held back from {release.sha256[:8]}", release.held_back),
        )
        if counted.total()
        for state in (FIXED, STILL_BAD, NEWLY_BAD)
    ]


def _figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2f}"
