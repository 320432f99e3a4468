"""The page of plots: what is flagged and why, which weights do better, who wins the duels, how far the reviewing is.

Drawn with Altair, which the page shows without asking another host; axes of counts begin at 0.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import gradio as gr

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import DeconvdemoError
from deconvdemo.evaluation.contenders import words_of
from deconvdemo.feedback.dataset.publish import NoPublisher, Publisher
from deconvdemo.feedback.review import insights
from deconvdemo.feedback.review.agreement import agreement
from deconvdemo.feedback.review.gold_items import GoldItems
from deconvdemo.feedback.review.lineage import note_weights
from deconvdemo.feedback.review.ranking import ranking
from deconvdemo.feedback.review.replays import FIXED, NEWLY_BAD, STATES, STILL_BAD, Release, Replays
from deconvdemo.redaction import without_places
from deconvdemo.tasks import TASKS
from deconvdemo.web.review.reviewers import Reviewers

KEEP = 30.0  # seconds that plots are shown again as they are
COLOURS = ["#0d9488", "#f59e0b", "#6366f1", "#ef4444", "#84cc16", "#06b6d4", "#ec4899", "#a16207", "#64748b"]
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
        clock: Callable[[], float] = time.monotonic,
    ):
        self.replays, self.store, self.needed = replays, replays.store, replays.queue.needed
        self.restorer, self.publisher, self.reviewers, self._clock = restorer, publisher, reviewers, clock
        self._kept: dict[str, tuple[float, Any]] = {}
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
        at, found = self._kept.get(key, (-KEEP, None))
        if found is None or self._clock() - at > KEEP:
            found = count()
            self._kept[key] = (self._clock(), found)
        return found

    def _public(self) -> list[Any]:
        by_task, by_weights = insights.reasons(self.store)
        self._note_weights()
        return [
            self._words(),
            bars(insights.flags_a_day(self.store), "day", "flags", "task", temporal=True),
            bars(by_task, "reason", "flags", "task", across=True),
            bars(by_weights, "weights", "share", "reason", across=True, unit="share of its flags in %"),
            bars(insights.rates(self.store), "weights", "share", "rate", across=True, unit="%", stacked=False),
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
            try:
                serving = name, weights.sha256(name)
                if serving in self._noted:
                    continue
                checkpoint = weights.load(name)
            except DeconvdemoError:
                continue  # the demo's foot says what is wrong with it
            header = checkpoint.header
            note_weights(self.store, name, checkpoint.sha256, header.created, header.measured, header.recipe)
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
            for standing in ranking(self.store, task).standings
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


def bars(
    rows: insights.Rows,
    along: str,
    count: str,
    colour: str,
    temporal: bool = False,
    across: bool = False,
    unit: str = "",
    stacked: bool = True,
    palette: Mapping[str, str] | None = None,
) -> Any:
    """Bars of `count` for each `along`, coloured by `colour`; `across`: from left to right, for long names.

    `palette`: each value's own colour, in the order in which they are stacked.
    """
    import altair as alt

    if not rows:
        return _nothing()
    days = alt.Axis(format="%b %d", tickCount={"interval": "day", "step": 7 if len(rows) > 40 else 1}, grid=False)
    names = alt.X(f"{along}:T", title=None, axis=days) if temporal else alt.X(f"{along}:N", title=None, sort=None)
    ticks = alt.Axis(tickMinStep=1, format="d")
    values: Any = {"title": unit or count, "stack": "zero" if stacked else None, "scale": alt.Scale(zero=True)}
    values["axis"] = ticks
    chart = alt.Chart(alt.Data(values=rows)).mark_bar(size=9 if temporal else 14)
    shades = _colour(colour, 0 if colour == along else 2 if palette else 3, palette)
    shown = [alt.Tooltip(f"{name}:{'Q' if isinstance(rows[0][name], int | float) else 'N'}") for name in rows[0]]
    if across:
        labels = alt.Y(f"{along}:N", title=None, sort=None, axis=alt.Axis(labelLimit=170))
        extra: dict[str, Any] = {} if stacked else {"yOffset": alt.YOffset(f"{colour}:N")}
        if palette:
            place = "indexof(" + json.dumps([*palette]) + f", datum.{colour})"
            chart, extra["order"] = chart.transform_calculate(place=place), alt.Order("place:Q")
        chart = chart.encode(x=alt.X(f"{count}:Q", **values), y=labels, color=shades, tooltip=shown, **extra)
        lines = len({(row[along], None if stacked else row[colour]) for row in rows})
        return _fitted(chart, 20 + (26 if stacked else 18) * lines)
    return _fitted(chart.encode(x=names, y=alt.Y(f"{count}:Q", **values), color=shades, tooltip=shown), 260)


def intervals(rows: insights.Rows) -> Any:
    """Strengths in log-odds with their 95 % intervals, around 0, the average."""
    import altair as alt

    if not rows:
        return _nothing()
    base = alt.Chart(alt.Data(values=rows))
    labels = alt.Y("contender:N", title=None, sort=None, axis=alt.Axis(labelLimit=190))
    shades = _colour("task", columns=3)
    tooltip = ["contender:N", "duels:Q", alt.Tooltip("strength:Q", format=".2f")]
    title = "log-odds against the average (95 %)"
    lines = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=labels, color=shades)
    points = base.mark_point(filled=True, size=70).encode(x="strength:Q", y=labels, color=shades, tooltip=tooltip)
    middle = alt.Chart(alt.Data(values=[{"at": 0}])).mark_rule(strokeDash=[4, 4], color="#94a3b8").encode(x="at:Q")
    return _fitted(middle + lines + points, 20 + 24 * len(rows))


def history(rows: insights.Rows) -> Any:
    """Each measure's PSNR, by the moment from which its weights served."""
    import altair as alt

    if not rows:
        return _nothing()
    axis = alt.Y("psnr:Q", title="PSNR in dB", scale=alt.Scale(zero=False))
    shades = _colour("measure", columns=1)
    tooltip = ["weights:N", "measure:N", alt.Tooltip("psnr:Q", format=".2f"), "since:N"]
    line = alt.Chart(alt.Data(values=rows)).mark_line(point=alt.OverlayMarkDef(size=60))
    return _fitted(
        line.encode(
            x=alt.X("since:T", title=None, axis=alt.Axis(format="%b %d, %H:%M", tickCount=3)),
            y=axis,
            color=shades,
            tooltip=tooltip,
        ),
        260,
    )


def _colour(name: str, columns: int, palette: Mapping[str, str] | None = None) -> Any:
    """By the values of a column, explained below the plot in so many columns; in none where the axis names them."""
    import altair as alt

    below = alt.Legend(orient="bottom", columns=columns, labelLimit=300) if columns else None
    known = alt.Scale(domain=[*palette], range=[*palette.values()]) if palette else alt.Scale(range=COLOURS)
    return alt.Color(f"{name}:N", title=None, scale=known, legend=below)


def _nothing() -> Any:
    import altair as alt

    words = alt.Chart(alt.Data(values=[{"said": "Nothing yet"}])).mark_text(size=16, color="#64748b")
    return _fitted(words.encode(text="said:N"), 80)


def _fitted(chart: Any, height: int) -> Any:
    """As wide as the page lets it be, and drawn as SVG, whose text and lines page.css colours in light and dark."""
    embedded = {"embedOptions": {"actions": False, "renderer": "svg"}}
    chart = chart.properties(height=height, width="container", usermeta=embedded)
    chart = chart.configure(background="transparent", font="system-ui, sans-serif").configure_view(stroke=None)
    return chart.configure_axis(labelFontSize=12, titleFontSize=12).configure_legend(labelFontSize=12, titleFontSize=12)


def _figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2f}"
