"""Draws quality against cost, ours and the published networks', and writes docs/results.md's tables.

    python docs/plot_quality.py        # after `deconvdemo evaluate --all --images DIR --json --out docs/results.json`

`make results IMAGES=DIR` does both, and measures docs/wild.json. What is drawn and written is in these and in
docs/published.json.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results_page import milliseconds, not_comparable, page

DOCS = Path(__file__).parent


@dataclass(frozen=True)
class Mark:
    """One network in one panel: its PSNR in dB at each cost that is known ("bf16" and "fp32", or "parameters")."""

    name: str
    psnr: float
    costs: Mapping[str, float]
    ours: bool = False
    classical: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    task: str
    scale: int
    figure: str  # as headers and published.json name it: "set5 ×2"
    timed: bool  # milliseconds per megapixel, else parameters


def _denoise(timed: bool) -> Panel:
    return Panel("timed" if timed else "not timed", "denoise", 1, "cbsd68 sigma 25", timed)


def _upscale(scale: int, timed: bool) -> Panel:
    return Panel(f"×{scale}, timed" if timed else f"×{scale}, not timed", "upscale", scale, f"set5 ×{scale}", timed)


# name → title and rows of panels; against parameters stand those that nobody timed: at ×3 that is all of them
FIGURES: dict[str, tuple[str, list[list[Panel]]]] = {
    "denoise": ("Denoising: quality against cost on CBSD68, sigma 25", [[_denoise(True), _denoise(False)]]),
    "upscale": (
        "Super-resolution: quality against cost on Set5",
        [[_upscale(2, True), _upscale(4, True)], [_upscale(scale, False) for scale in (2, 3, 4)]],
    ),
}


def marks(panel: Panel, results: Mapping[str, Any], published: Mapping[str, Any]) -> list[Mark]:
    """Everything that has a place in the panel, ours first (photo networks are measured on other things)."""
    found = [*_ours(panel, results), *_published(panel, published)]
    return [mark for mark in found if mark.costs]


def _ours(panel: Panel, results: Mapping[str, Any]) -> Iterator[Mark]:
    for network in results["networks"]:
        if (network["task"], network["scale"]) != (panel.task, panel.scale):
            continue
        costs = network["milliseconds_per_megapixel"] or {} if panel.timed else {"parameters": network["parameters"]}
        for row in network["scores"]:
            if f"{row['set'].lower()} {row['setting']}" == panel.figure:
                name = " ".join(filter(None, ["deconvdemo", network["variant"]]))
                yield Mark(name, row["measured"]["PSNR"], costs, ours=True)


def _published(panel: Panel, published: Mapping[str, Any]) -> Iterator[Mark]:
    """In timings, PSNR that was measured with the time, where it was; against parameters, those that nobody timed."""
    for network in published["networks"]:
        measured, papers = network.get("measured_psnr", {}), network.get("psnr", {})
        psnr = ({**papers, **measured} if panel.timed else papers).get(panel.figure)
        if network["task"] != panel.task or psnr is None:
            continue
        costs = milliseconds(published, network, panel.scale)
        parameters = network.get("parameters", {}).get(f"×{panel.scale}")
        if not panel.timed:
            costs = {"parameters": parameters} if parameters and not costs else {}
        yield Mark(network["name"], psnr, costs, classical=network.get("classical", False) and panel.timed)


# ---- drawing ----------------------------------------------------------------------------------------------

GREY, TEAL = "#6e7781", "#0d8a7f"  # readable on a white page and on a dark one: the background is the page's
SHAPES = {"bf16": "o", "fp32": "s", "parameters": "o"}
FONTS = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
STYLE = {
    "font.family": "DejaVu Sans",  # matplotlib's own, so that everything has its place on every machine
    "font.size": 9.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "deconvdemo",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), GREY),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.minor.size": 0,
}
# where a label may stand beside its mark: how far in points, and which of its edges is turned to the mark; best first
PLACES = [
    (across * far, up * far, ha, va)
    for far in (7, 10, 15, 20)
    for across, up, ha, va in (
        (-1, 0, "right", "center"),
        (0, 1, "center", "bottom"),
        (0, -1, "center", "top"),
        (1, 0, "left", "center"),
        (-0.7, 0.7, "right", "bottom"),
        (-0.7, -0.7, "right", "top"),
        (0.7, 0.7, "left", "bottom"),
        (0.7, -0.7, "left", "top"),
    )
]


def picture(name: str, results: Mapping[str, Any], published: Mapping[str, Any]) -> str:
    """One of FIGURES as an SVG whose background is the page's and whose text is text."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    title, rows = FIGURES[name]
    with matplotlib.rc_context(STYLE):
        layout = ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.06)
        figure = Figure(figsize=(9.4, 0.6 + 3.5 * len(rows)), dpi=72, layout=layout)
        FigureCanvasAgg(figure)  # what measures labels: a figure without it makes an empty picture for each of them
        figure.patch.set_alpha(0)
        figure.suptitle(title, x=0.008, ha="left", fontsize=12, fontweight="bold")
        _legend(figure, "ours (rough times)" if any(not_comparable(results, published)) else "ours")
        drawn = []
        places: Any = figure.add_gridspec(len(rows), 1)  # whose types do not say that it can be gone through
        for panels, place in zip(rows, places, strict=True):
            for panel, spot in zip(panels, place.subgridspec(1, len(panels)), strict=True):
                axes, found = figure.add_subplot(spot), marks(panel, results, published)
                _draw(axes, panel, found)
                drawn.append((axes, found))
        figure.draw_without_rendering()  # labels can be placed only where everything else has its place
        for axes, found in drawn:
            _label(axes, found)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    return re.sub(r"[ \t]+$", "", out.getvalue().replace("'DejaVu Sans'", FONTS), flags=re.MULTILINE)


def _draw(axes, panel: Panel, found: Sequence[Mark]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.patch.set_alpha(0)
    axes.set_xscale("log")
    axes.grid(color=GREY, alpha=0.2, linewidth=0.6)
    axes.set_title(panel.title, loc="left", fontsize=10.5, fontweight="bold")
    axes.set_xlabel("← faster · time for a megapixel of the result" if panel.timed else "← smaller · parameters")
    axes.set_ylabel("PSNR in dB · better →")
    costs = [cost for mark in found if not mark.classical for cost in mark.costs.values()]
    wide = max(costs) > 100 * min(costs)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide and not panel.timed else (1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(_time if panel.timed else _count))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for mark in found:
        colour = TEAL if mark.ours else GREY
        if mark.classical:
            axes.axhline(mark.psnr, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
            continue
        front = 4 if mark.ours else 2
        line = {"color": colour, "alpha": 1 if mark.ours else 0.45, "linewidth": 1, "zorder": front}
        shape = {"color": colour, "markerfacecolor": colour if mark.ours else "none", "zorder": front + 1}
        axes.plot(list(mark.costs.values()), [mark.psnr] * len(mark.costs), **line)
        for name, cost in mark.costs.items():
            axes.plot(cost, mark.psnr, SHAPES[name], markersize=6.5, **shape)
    axes.margins(x=0.2, y=0.12)


def _label(axes, found: Sequence[Mark]) -> None:
    """Names every mark beside its cheapest one, where there is room; ours first."""
    from matplotlib.transforms import Bbox

    taken = []
    for mark in found:
        at = [tuple(axes.transData.transform((cost, mark.psnr))) for cost in mark.costs.values() if not mark.classical]
        taken += [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in at]
        taken += [Bbox.from_extents(min(at)[0], at[0][1] - 1, max(at)[0], at[0][1] + 1)] if at else []
    for mark in sorted(found, key=lambda mark: (not mark.ours, -mark.psnr)):
        style = {"color": TEAL, "fontweight": "bold"} if mark.ours else {"color": GREY}
        if mark.classical:
            name = f"{mark.name}, no network: {_time(round(mark.costs['fp32'], -3))}"
            x, y = axes.get_xlim()[1], mark.psnr
            text = axes.annotate(name, (x, y), (0, 3), textcoords="offset points", ha="right", va="bottom", **style)
            taken.append(text.get_window_extent())
            continue
        at = (min(mark.costs.values()), mark.psnr)
        text = axes.annotate(mark.name, at, (0, 0), textcoords="offset points", **style)
        best = min(PLACES, key=lambda place: _crowding(text, place, taken, axes.bbox))
        _move(text, best)
        if abs(best[0]) + abs(best[1]) > 10:  # so far away that the eye needs to be led
            lead = {"arrowstyle": "-", "color": GREY, "alpha": 0.6, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
            axes.annotate("", at, best[:2], textcoords="offset points", arrowprops=lead)
        taken.append(text.get_window_extent())


def _crowding(text, place, taken, frame) -> float:
    """How much of the label would lie on others or outside the frame, in square points; and a little for distance."""
    _move(text, place)
    box = text.get_window_extent()
    outside = box.width * box.height - _common(box, frame)
    return sum(_common(box, other) for other in taken) + outside + PLACES.index(place) * 0.01


def _common(one, other) -> float:
    """The area that two boxes have in common."""
    (left, low), (right, high) = one.get_points()
    (other_left, other_low), (other_right, other_high) = other.get_points()
    across, up = min(right, other_right) - max(left, other_left), min(high, other_high) - max(low, other_low)
    return max(across, 0.0) * max(up, 0.0)


def _move(text, place) -> None:
    across, up, ha, va = place
    text.set_position((across, up))
    text.set_ha(ha)
    text.set_va(va)


def _legend(figure, ours: str) -> None:
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D

    def sample(shape: str, colour: str, face: str) -> Line2D:
        return Line2D([], [], marker=shape, color=colour, markerfacecolor=face, markersize=6.5, linewidth=0)

    samples = {
        ours: sample("o", TEAL, TEAL),
        "published": sample("o", GREY, "none"),
        "bf16, fp32": (sample("o", GREY, "none"), sample("s", GREY, "none")),
    }
    figure.legend(
        list(samples.values()), list(samples), loc="outside upper right", ncols=3, frameon=False, columnspacing=1.0,
        handletextpad=0.7, handlelength=2.0, handler_map={tuple: HandlerTuple(ndivide=None, pad=1.2)},
    )  # fmt: skip


def _time(milliseconds: float, position: int = 0) -> str:
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"


def _count(number: float, position: int = 0) -> str:
    return f"{number / 1e6:g} M" if number >= 1e6 else f"{number / 1e3:g} K"


def main() -> None:
    names = ("results.json", "published.json", "wild.json")
    results, published, wild = (json.loads((DOCS / name).read_text()) for name in names)
    for warning in not_comparable(results, published):
        print(f"plot_quality: {warning}", file=sys.stderr)
    for name in FIGURES:
        (DOCS / "pictures" / f"quality-{name}.svg").write_text(picture(name, results, published))
    shown = DOCS / "results.md"
    shown.write_text(page(shown.read_text(), results, published, wild))


if __name__ == "__main__":
    main()
