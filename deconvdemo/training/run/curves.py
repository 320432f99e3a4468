"""The picture of one run or several: what they reach on the development images, their loss and their learning rate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.training.run.log import read_log

Row = Mapping[str, Any]
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")  # Okabe & Ito's, for every eye
SHOWN = 3.0  # dB below the best: what a network reached in its first minutes would hide what matters
LATE = 0.8  # of all steps: what begins later is named on its left
HEADROOM = 0.1  # of the height that the losses take, for a row of names
SUFFIXES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Run:
    """What is drawn in one colour."""

    name: str
    rows: Sequence[Row]
    colour: str


def plot(logs: Sequence[Path], out: Path) -> None:
    """Draws the runs into `out`, an SVG, PNG or PDF by its suffix.

    Raises ControlError for another suffix, TrainingError where matplotlib or a log is missing.
    """
    if out.suffix not in SUFFIXES:
        raise ControlError(f"-o is {out}, but a plot is one of {', '.join(SUFFIXES)}: name such a file")
    try:
        import matplotlib
    except ImportError as error:
        raise TrainingError("plots need matplotlib: pip install 'deconvdemo[train]'") from error
    runs = [
        Run(name, read_log(log), COLOURS[place % len(COLOURS)])
        for place, (name, log) in enumerate(zip(_names(logs), logs, strict=True))
    ]
    for log, run in zip(logs, runs, strict=True):
        if not run.rows:
            raise TrainingError(f"{log} holds no line of a log yet: give a .log.jsonl that `deconvdemo train` writes")
    with matplotlib.rc_context({"svg.fonttype": "none", "font.size": 9}):
        figure = _figure(runs)
        try:
            figure.savefig(out, dpi=150)
        except OSError as error:
            raise TrainingError(f"{out} cannot be written ({error.strerror}): name another -o") from error


def measures(runs: Iterable[Sequence[Row]]) -> list[str]:
    """The PSNRs that any of the logs have, in the order in which they come."""
    return list(dict.fromkeys(key for rows in runs for row in rows for key in row if "PSNR" in key))


def stretches(rows: Sequence[Row], key: str, apart: str | None = None) -> tuple[list[float], list[float]]:
    """Steps and values of `key`, where a line has it; not a number between lines whose `apart` differs."""
    steps: list[float] = []
    values: list[float] = []
    before: Any = None
    for row in (row for row in rows if isinstance(row.get(key), int | float)):
        kind = row.get(apart) if apart else None
        if steps and kind != before:
            steps.append(math.nan)
            values.append(math.nan)
        steps.append(row["step"])
        values.append(row[key])
        before = kind
    return steps, values


def changes(rows: Sequence[Row], key: str) -> list[tuple[int, Row]]:
    """(the step before it, the line) of each line whose `key` is another than the line before has."""
    pairs = itertools.pairwise(rows)
    return [(before["step"], row) for before, row in pairs if row.get(key, 1) != before.get(key, 1)]


def _names(logs: Sequence[Path]) -> list[str]:
    """Files' names, with their folders' where they are alike."""
    names = [log.name.removesuffix(".jsonl").removesuffix(".log") for log in logs]
    if len(set(names)) == len(names):
        return names
    return [f"{log.parent.name}/{name}" for log, name in zip(logs, names, strict=True)]


def _figure(runs: Sequence[Run]):
    from matplotlib.figure import Figure

    found = measures(run.rows for run in runs)
    heights = [2.2] * len(found) + [2.2, 1.3]
    figure = Figure(figsize=(9, sum(heights) + 0.4), layout="constrained")
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, measure in zip(panels, found, strict=False):
        _draw_measure(panel, measure, runs)
    loss, rate = panels[-2:]
    _draw_loss(loss, runs)
    for run in runs:
        rate.plot(*stretches(run.rows, "rate", apart="phase"), color=run.colour, linewidth=1.2)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    rate.set_xlabel("iterations")
    for panel, title in zip(panels, [*(f"{one}, dB" for one in found), "loss", "learning rate"], strict=True):
        panel.set_title(title, loc="left", fontsize=9, fontweight="bold")
        panel.grid(alpha=0.25, linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
        for run in runs:
            for step, _ in changes(run.rows, "phase"):
                panel.axvline(step, color=run.colour, linewidth=0.8, linestyle=(0, (2, 3)))
    return figure


def _draw_measure(panel, measure: str, runs: Sequence[Run]) -> None:
    best = -math.inf
    for run in runs:
        steps, values = stretches(run.rows, measure)
        if steps:
            label = f"{run.name}: {values[-1]:.2f}"
            panel.plot(steps, values, "o-", color=run.colour, markersize=3, linewidth=1.2, label=label)
            best = max(best, *values)
    bottom, top = panel.get_ylim()
    panel.set_ylim(max(bottom, best - SHOWN), top)
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)


def _draw_loss(panel, runs: Sequence[Run]) -> None:
    """With each phase's loss by name where it begins, and a triangle where a run was resumed."""
    last = max(run.rows[-1]["step"] for run in runs)
    resumed = "resumed"  # once in the legend
    for place, run in enumerate(runs):
        panel.plot(*stretches(run.rows, "loss", apart="phase"), color=run.colour, linewidth=1.2, label=run.name)
        for _, row in changes(run.rows, "run"):
            if not isinstance(loss := _loss_from(run.rows, row), int | float):
                continue  # it was finished already, and took no step more
            panel.plot(row["step"], loss, "^", color=run.colour, markerfacecolor="none", label=resumed)
            resumed = "_"  # what matplotlib leaves out
        for step, row in [(0, run.rows[0]), *changes(run.rows, "phase")]:
            late = step > LATE * last  # its name would run out of the picture, or under the legend
            panel.annotate(
                row.get("phase_loss", ""), (step, 1), (-3 if late else 3, -9 - 10 * place),
                xycoords=("data", "axes fraction"), textcoords="offset points", ha="right" if late else "left",
                color=run.colour, fontsize=8,
            )  # fmt: skip
    panel.set_yscale("log")
    bottom, top = panel.get_ylim()
    panel.set_ylim(bottom, top * (top / bottom) ** (HEADROOM * (1 + len(runs))))  # above the curves, for the names
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)  # beside it: over no curve


def _loss_from(rows: Sequence[Row], row: Row) -> float | None:
    """The loss of this line or, where it has none, of the next one that has."""
    later = itertools.dropwhile(lambda one: one is not row, rows)
    return next((one["loss"] for one in later if isinstance(one.get("loss"), int | float)), None)
