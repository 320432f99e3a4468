"""Rows as plots, by Altair, which a page shows without asking another host; axes of counts begin at 0."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deconvdemo.feedback.review.insights import Rows

COLOURS = ["#0d9488", "#f59e0b", "#6366f1", "#ef4444", "#84cc16", "#06b6d4", "#ec4899", "#a16207", "#64748b"]


def bars(
    rows: Rows,
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


def intervals(rows: Rows) -> Any:
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


def history(rows: Rows) -> Any:
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
