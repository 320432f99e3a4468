"""A report's figures as tables, for a terminal and for docs/results.md alike (Markdown, its columns aligned)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deconvdemo.evaluation.cost import PRECISIONS
from deconvdemo.evaluation.evaluate import printed

NOTHING = "–"


def tables(report: Mapping[str, Any]) -> str:
    """What it was measured on, what the networks cost, and a table of quality for each task that was measured."""
    tasks = dict.fromkeys(network["task"] for network in report["networks"] if network["scores"])
    tasks |= dict.fromkeys(method["task"] for method in [*report.get("borrowed", ()), *report["classical"]])
    return "\n\n".join([machine(report), costs(report), *(quality(report, task) for task in tasks)])


def machine(report: Mapping[str, Any]) -> str:
    """One sentence, without which no timing means anything."""
    on = report["machine"]
    timed = any(network["milliseconds_per_megapixel"] for network in report["networks"])
    rough = f" Timings are rough: the load was {on['load']:g} before they began." if timed and on["busy"] else ""
    return measured_on(report) + rough


def measured_on(report: Mapping[str, Any]) -> str:
    on = report["machine"]
    return (
        f"Measured by deconvdemo {report['deconvdemo']} on {on['processor']}, {on['cores']} cores, "
        f"{'with' if on['bf16_units'] else 'without'} bf16 units, threads: {on['threads']}, torch {on['torch']}; "
        f"quality in {report['precision']}."
    )


def costs(report: Mapping[str, Any]) -> str:
    """MP: 10⁶ pixels of the result. G: 10⁹ multiply–adds, of convolutions and matrix products."""
    rows = [["network", "parameters", "file", "G multiply–adds / MP", *(f"ms / MP in {name}" for name in PRECISIONS)]]
    for network in report["networks"]:
        milliseconds = network["milliseconds_per_megapixel"] or {}
        rows.append(
            [
                f"{network['name']} ({network['network']})",
                f"{network['parameters'] / 1e6:.2f} M",
                f"{network['bytes'] / 1e6:.1f} MB",
                f"{network['multiply_adds_per_megapixel'] / 1e9:.1f}",
                *(f"{milliseconds[name]:.0f}" if name in milliseconds else NOTHING for name in PRECISIONS),
            ]
        )
    sizes = dict.fromkeys(network["timed_at"] for network in report["networks"] if network["timed_at"])
    timed = f"\n\nTimed: the best of {report['runs']} calls, for results of {', '.join(sizes)} pixels."
    return table(rows) + (timed if sizes else "")


def quality(report: Mapping[str, Any], task: str) -> str:
    """A row for each kind of network and each classical method of `task`, a column for each set and setting."""
    networks = [*report["networks"], *report.get("borrowed", ())]
    methods = [("network" + (f", {row['variant']}" if row["variant"] else ""), row) for row in networks]
    methods += [(row["name"], row) for row in report["classical"]]
    scores = [(name, score) for name, method in methods if method["task"] == task for score in _scores(method)]
    measures = dict.fromkeys(what for _, score in scores for what in score["measured"])
    same = all(score["measured"].keys() == measures.keys() for _, score in scores)  # else each figure is named
    settings = list(dict.fromkeys(score["setting"] for _, score in scores))
    sets = list(dict.fromkeys(score["set"] for _, score in scores))
    cells: dict[str, dict[tuple[int, int], str]] = {}
    for name, score in scores:
        place = (sets.index(score["set"]), settings.index(score["setting"]))
        named = "" if same else "{what} "
        figures = (named.format(what=what) + _figure(what, value) for what, value in score["measured"].items())
        cells.setdefault(name, {})[place] = " / ".join(figures)
    places = sorted({place for row in cells.values() for place in row})
    heading = [
        f"{task}: {' / '.join(measures)}" if same else task,
        *(f"{sets[first]} {settings[second]}" for first, second in places),
    ]
    return table([heading, *([name, *(row.get(place, NOTHING) for place in places)] for name, row in cells.items())])


def _scores(method: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*method["scores"], *method.get("photo_scores", ())]


def _figure(what: str, value: float | None) -> str:
    """None is a perfect result's PSNR where a report was read from JSON, which has no infinity."""
    return "∞" if value is None or value == float("inf") else printed(what, value)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown whose columns are aligned for whoever reads it as text; all but the first are figures."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))

    def line(cells: Sequence[str]) -> str:
        figures = (cell.rjust(width) for cell, width in zip(cells[1:], others, strict=True))
        return f"| {' | '.join([cells[0].ljust(first), *figures])} |"

    rule = ["-" * first, *("-" * (width - 1) + ":" for width in others)]
    return "\n".join(map(line, [rows[0], rule, *rows[1:]]))
