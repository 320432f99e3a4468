"""What the test bench's tab shows, as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from deconvdemo.evaluation.bench import html
from deconvdemo.evaluation.bench.figure import tiles
from deconvdemo.evaluation.bench.run import Bench
from deconvdemo.web.bench.service import FIGURE, TABLE

PLOTTED = {"PSNR": "dB", "SSIM": ""}


def table(state: Bench) -> str:
    """What is known so far."""
    rows = [(one.label, {**one.measured, html.SECONDS: one.seconds}) for one in state.outcomes]
    left_out = "".join(f'<p class="dd-bench-note">Left out: {escape(one)}</p>' for one in state.left_out)
    return (html.table(rows, state.subject.words) if rows else "") + left_out


def result(state: Bench, folder: str, files: Mapping[str, str]) -> str:
    """All of it: table, plots, the pictures side by side, and both to take away."""
    plots = [
        html.plot(name, [(one.label, [one.measured[name]]) for one in state.outcomes if name in one.measured], unit)
        for name, unit in PLOTTED.items()
    ]
    height, width = state.subject.made.clean.shape[:2]
    pictures = [
        html.picture(f"{folder}/{files[label]}", label, f"{label}, {width}×{height} pixels", below, link=True)
        for label, (_, below) in tiles(state).items()
    ]
    downloads = [
        f'<a class="dd-download" href="{folder}/{name}" download="{name}">{words}</a>'
        for name, words in ((FIGURE, "Figure (PNG)"), (TABLE, "Table (CSV)"))
    ]
    return (
        f'{table(state)}<div class="dd-bench-downloads">{"".join(downloads)}</div>'
        f'<div class="dd-bench-plots">{"".join(plots)}</div>'
        f'<div class="dd-bench-pictures">{"".join(pictures)}</div>'
        f'<p class="dd-bench-note">{escape(html.MEANINGS)}</p>'
    )


def progress(state: Bench) -> str:
    """How many of the methods are done."""
    share = round(100 * state.tried / max(state.total, 1))
    words = f"{state.tried} of {state.total} methods; now {state.upcoming}" if state.upcoming else "Drawing…"
    bar = f'<div class="dd-bar"><span style="width: {share}%"></span></div>'
    return f'<div class="dd-status" role="status">{bar}{escape(words)}</div>'
