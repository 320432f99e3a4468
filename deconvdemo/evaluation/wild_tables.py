"""The figures of photos as people's are as tables, for a terminal and for docs/results.md alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deconvdemo.evaluation.evaluate import printed
from deconvdemo.evaluation.tables import measured_on, table
from deconvdemo.evaluation.wild import FIRST_CLICK

Row = Mapping[str, Any]


def wild_tables(report: Mapping[str, Any]) -> str:
    """What the defaults give, if they were measured, and a table for each task with every method."""
    return "\n\n".join(filter(None, [first_click(report) or measured_on(report), each_method(report)]))


def first_click(report: Mapping[str, Any]) -> str:
    """The default beside doing nothing: the mean, the photo that fared worst, and who restored them. "" without any."""
    rows = [
        [
            _photos(row, f"{row['task']}: "),
            str(row["images"]),
            f"{printed('PSNR', plain['measured']['PSNR'])}",
            f"{printed('PSNR', row['measured']['PSNR'])}",
            _signed("PSNR", row["gain"]["PSNR"]),
            _signed("PSNR", row["worst"]["PSNR"]["gain"]),
            _share(row),
            ", ".join(f"{name} {count}" for name, count in row["weights"].items()),
        ]
        for plain, row in _beside_nothing(report["rows"])
        if row["method"] == FIRST_CLICK
    ]
    heading = [
        "PSNR in dB",
        "photos",
        "nothing / bicubic",
        "first click",
        "gain",
        "worst photo",
        "below",
        "restored by",
    ]
    return f"{measured_on(report)}\n\n{table([heading, *rows])}" if rows else ""


def each_method(report: Mapping[str, Any]) -> str:
    tasks = dict.fromkeys(row["task"] for row in report["rows"])
    return "\n\n".join(_methods(report, task) for task in tasks)


def _methods(report: Mapping[str, Any], task: str) -> str:
    """A row for each set, setting and method of `task`; gains are over the first method, which restores nothing."""
    measures = list(dict.fromkeys(name for row in report["rows"] for name in row["measured"]))
    heading = [f"{task}", "method", *measures, *(f"gain, {name}" for name in measures)]
    heading += [*(f"worst photo, {name}" for name in measures), "which", "below"]
    rows = [
        [
            _photos(row),
            row["method"],
            *(printed(name, row["measured"][name]) for name in measures),
            *(_signed(name, row["gain"][name]) for name in measures),
            *(_signed(name, row["worst"][name]["gain"]) for name in measures),
            row["worst"]["PSNR"]["image"] if row is not plain else "",
            _share(row),
        ]
        for plain, row in _beside_nothing(report["rows"])
        if row["task"] == task
    ]
    return table([heading, *rows])


def _beside_nothing(rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    """(the row of the method that restores nothing, each row of the same photos)."""
    plain: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        yield plain.setdefault((row["task"], row["set"], row["setting"]), row), row


def _photos(row: Row, before: str = "") -> str:
    return f"{before}{row['set']} {row['setting']}"


def _signed(measure: str, value: float) -> str:
    text = printed(measure, value)
    return text if value < 0 and float(text) else f"+{printed(measure, abs(value))}"


def _share(row: Row) -> str:
    return f"{100 * row['below']:.0f} %"
