"""A bench's figures as HTML, for the page and for reports alike: tables, and plots that need no script."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from deconvdemo.evaluation.evaluate import printed
from deconvdemo.image.perceptual import GMSD

STYLE = Path(__file__).with_name("bench.css")
SECONDS, PER_MEGAPIXEL = "s", "s/MP"
LOWER = (GMSD, SECONDS, PER_MEGAPIXEL)  # the measures of which less is better
MEANINGS = (
    "PSNR in dB, SSIM and MS-SSIM: more is better. GMSD, which compares edges: less is better. MS-SSIM (Wang et al. "
    "2003) and GMSD (Xue et al. 2014) follow the eye more closely than PSNR does; MS-SSIM needs 161 pixels a side."
)


def table(rows: Sequence[tuple[str, Mapping[str, float | None]]], caption: str) -> str:
    """A row for each method, a column for each measure; the best of a column is bold."""
    columns = list(dict.fromkeys(name for _, values in rows for name in values))
    best = {name: _best(name, (values.get(name) for _, values in rows)) for name in columns}
    lines = [
        [escape(label), *(_cell(name, values.get(name), best[name]) for name in columns)] for label, values in rows
    ]
    return tabled(caption, ["Method", *columns], lines)


def tabled(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, already HTML, of which the first is the row's head; it scrolls on a phone, and by the keyboard."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    lines = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
        for first, *others in rows
    )
    return (
        f'<div class="dd-bench-scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="dd-bench-table"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def plot(measure: str, rows: Sequence[tuple[str, Sequence[float]]], unit: str = "") -> str:
    """A line for each method: a dot for each photo, and a mark at their mean, whose figure stands beside it."""
    known = [(label, [value for value in values if math.isfinite(value)]) for label, values in rows]
    every = [value for _, values in known for value in values]
    if not every:
        return ""
    low, high = min(every), max(every)
    room = (high - low) * 0.06 or 1.0
    low, high = low - room, high + room
    title = f"{measure}{f' in {unit}' if unit else ''}, {'less' if measure in LOWER else 'more'} is better"
    lines, told = [], []
    for label, values in known:
        mean = sum(values) / len(values) if values else math.inf
        words = figure_of(measure, mean)
        told.append(f"{label} {words}")
        dots = "".join(f'<i style="left:{_share(value, low, high)}"></i>' for value in values)
        mark = f'<b style="left:{_share(mean, low, high)}"></b>' if values else ""
        track = f'<span class="dd-bench-track">{dots}{mark}</span>'
        lines.append(f"<div><span>{escape(label)}</span>{track}<span>{words}</span></div>")
    spoken = escape(f"{title}: {'; '.join(told)}")
    drawn = f'<div role="img" aria-label="{spoken}">{"".join(lines)}</div>'
    return f'<figure class="dd-bench-plot"><figcaption>{escape(title)}</figcaption>{drawn}</figure>'


def picture(source: str, label: str, alt: str, below: str, link: bool = False) -> str:
    """One picture under its label, and what stands below it; `link`: it opens in full."""
    shown = f'<img src="{escape(source)}" alt="{escape(alt)}">'
    if link:
        shown = f'<a href="{escape(source)}" target="_blank" rel="noopener">{shown}</a>'
    return (
        f"<figure><strong>{escape(label)}</strong>{shown}<figcaption>{escape(below) or '&nbsp;'}</figcaption></figure>"
    )


def figure_of(measure: str, value: float | None) -> str:
    if value is None:
        return "–"
    return "∞" if math.isinf(value) else printed(measure, value)


def _cell(measure: str, value: float | None, best: float | None) -> str:
    words = figure_of(measure, value)
    return f"<strong>{words}</strong>" if value is not None and value == best else words


def _best(measure: str, values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return (min if measure in LOWER else max)(found, default=None)


def _share(value: float, low: float, high: float) -> str:
    return f"{100 * (value - low) / (high - low):.1f}%"
