"""What docs/results.md shows of docs/results.json, wild.json and published.json: tables between markers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deconvdemo.evaluation.tables import NOTHING, table, tables
from deconvdemo.evaluation.wild_tables import each_method, first_click

SIGMAS = ("sigma 15", "sigma 25", "sigma 50")
# title, task, scale, and the settings that share a column
PUBLISHED = [
    (f"denoise, PSNR at {' / '.join(SIGMAS)}", "denoise", 1, SIGMAS),
    *((f"upscale ×{scale}, PSNR", "upscale", scale, (f"×{scale}",)) for scale in (2, 3, 4)),
]


def page(text: str, results: Mapping[str, Any], published: Mapping[str, Any], wild: Mapping[str, Any]) -> str:
    """`text` with what stands between its markers made anew."""
    parts = {
        "first click": first_click(wild),
        "ours": tables(results),
        "wild": each_method(wild),
        "published": others(published),
    }
    for name, made in parts.items():
        begin, end = f"<!-- {name}: written by `make results` -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{made}\n\n{end}{rest.partition(end)[2]}"
    return text


def others(published: Mapping[str, Any]) -> str:
    """The published networks, and the paper that each figure comes from."""
    numbers = {source: number for number, source in enumerate(published["sources"], 1)}
    parts = [_published(published, numbers, *rows) for rows in PUBLISHED]
    parts.append("\n".join(f"{numbers[source]}. {text}" for source, text in published["sources"].items()))
    return "\n\n".join(parts)


def not_comparable(results: Mapping[str, Any], published: Mapping[str, Any]) -> Iterator[str]:
    """Why our timings should not stand beside the published networks', in sentences."""
    on = results["machine"]
    if (on["device"], on["threads"]) != ("cpu", published["threads"]):
        yield (
            f"docs/results.json was measured on {on['device']} with threads: {on['threads']}, but the published "
            f"networks were timed on cpu with threads: {published['threads']}"
        )
    if on["busy"]:
        yield f"docs/results.json was measured while other programs ran (load {on['load']:g}): its timings are rough"


def _published(
    published: Mapping[str, Any],
    numbers: Mapping[str, int],
    title: str,
    task: str,
    scale: int,
    settings: tuple[str, ...],
) -> str:
    networks = [row for row in published["networks"] if row["task"] == task and any(_figures(row, settings))]
    sets = list(dict.fromkeys(name.split()[0] for row in networks for name in row.get("psnr", {})))
    measured = any(f"set5 {setting}" in row.get("measured_psnr", {}) for row in networks for setting in settings)
    timed = any(milliseconds(published, row, scale) for row in networks)
    heading = [
        title,
        "parameters",
        *sets,
        *["set5, measured"] * measured,
        *["ms / MP in fp32", "in bf16"] * timed,
        "source",
    ]
    rows = [heading]
    for row in networks:
        parameters = row.get("parameters", {}).get(f"×{scale}")
        cells = [_cell(row.get("psnr", {}), name, settings) for name in sets]
        cells += [_cell(row.get("measured_psnr", {}), "set5", settings)] * measured
        times = milliseconds(published, row, scale)
        cells += [f"{times[name]:.0f}" if name in times else NOTHING for name in ("fp32", "bf16")] * timed
        size = f"{parameters / 1e6:.3f} M" if parameters else NOTHING
        rows.append([row["name"], size, *cells, f"[{numbers[row['source']]}]"])
    return table(rows)


def _figures(network: Mapping[str, Any], settings: tuple[str, ...]) -> Iterator[float]:
    for figures in (network.get("psnr", {}), network.get("measured_psnr", {})):
        yield from (value for name, value in figures.items() if name.endswith(settings))


def _cell(figures: Mapping[str, float], name: str, settings: tuple[str, ...]) -> str:
    found = [figures.get(f"{name} {setting}") for setting in settings]
    return " / ".join(NOTHING if value is None else f"{value:.2f}" for value in found) if any(found) else NOTHING


def milliseconds(published: Mapping[str, Any], network: Mapping[str, Any], scale: int) -> dict[str, float]:
    """For a megapixel of the result."""
    width, height = published["timed_at"][network["task"]]
    timed = network.get("milliseconds", {}).get(f"×{scale}", {})
    return {name: value / (width * height / 1e6) for name, value in timed.items()}
