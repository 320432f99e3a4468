"""The dataset's card: what it holds, how to load it, how much there is, and under which terms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import yaml

from deconvdemo.feedback.dataset.rows import COLUMNS, features
from deconvdemo.feedback.events.records import CONSENT, REASONS
from deconvdemo.feedback.store.kinds import KINDS

MARK = "<!-- written by `deconvdemo feedback"  # what a card of ours has in it, whichever version wrote it
PLOTS = {"plots/days.svg": "Flags a day", "plots/reasons.svg": "Flags by reason"}

_WHAT = {
    "flags": "results of deconvolution networks that visitors flagged as good or bad: what went in, what came out, "
    "with which weights and settings, and why",
    "verdicts": "reviewers' verdicts on those flags",
    "votes": "blind votes between two results of one photo",
}


Columns = dict[str, dict[str, Any]]  # kind → column → its type, as a card's front matter has it


def own_columns(kind: str) -> dict[str, Any]:
    """The columns that this version writes."""
    from datasets import DatasetInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    card = DatasetCardData()
    DatasetInfosDict({kind: DatasetInfo(features=features(KINDS[kind]))}).to_dataset_card_data(card)
    return {column.pop("name"): column for column in card["dataset_info"]["features"]}


def columns_of(card: str) -> Columns:
    """The kinds that a card of ours tells of, and their columns: a newer version may have written more of them."""
    found = re.match(r"---\n(.*?\n)---\n", card, re.DOTALL)
    try:
        front = yaml.safe_load(found[1]) if found else {}
        configs = {config["config_name"] for config in front.get("configs") or ()}
        infos = {info["config_name"]: info["features"] for info in front.get("dataset_info") or ()}
        return {
            kind: {
                column["name"]: {key: column[key] for key in column if key != "name"} for column in infos.get(kind, ())
            }
            for kind in configs
        }
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return {}  # somebody changed it by hand: it is written anew


def dataset_card(
    counts: Mapping[str, int],
    repo: str = "path/to/this/folder",
    plots: Iterable[str] = (),
    columns: Columns | None = None,
) -> str:
    """README.md for a dataset with that many rows of each kind; kinds without rows have no files, and no config.

    `columns` are this version's, if not given. They are stated, so that files of all versions load together: a
    column that a file does not have is empty. Sizes are not: the next rows would be an error on load.
    """
    kinds = [kind for kind in KINDS if counts.get(kind)]
    columns = columns or {kind: own_columns(kind) for kind in kinds}
    stated = [
        {"config_name": kind, "features": [{"name": name, **type_} for name, type_ in columns[kind].items()]}
        for kind in kinds
    ]
    infos = yaml.safe_dump({"dataset_info": stated}, sort_keys=False) if stated else ""
    configs = "configs:\n" * bool(kinds) + "\n".join(
        f"- config_name: {kind}\n"
        + ("  default: true\n" if kind == kinds[0] else "")
        + f"  data_files:\n  - split: train\n    path: data/{kind}/**/*.parquet"
        for kind in kinds
    )
    rows = "\n".join(f"- `{kind}`: {counts[kind]:,} {_WHAT[kind]}" for kind in kinds) or "There are no rows at present."
    example = f'''```python
from datasets import load_dataset

rows = load_dataset("{repo}", "{kinds[0] if kinds else "flags"}", split="train")
```'''
    pictures = "\n".join(f"![{PLOTS[path]}]({path})\n" for path in plots)
    tables = "\n\n".join(
        f"### {kind}\n\n| column | meaning |\n|---|---|\n"
        + "\n".join(f"| `{column}` | {meaning} |" for column, meaning in COLUMNS[kind].items())
        for kind in kinds
    )
    return f"""---
license: cc-by-4.0
pretty_name: deconvdemo feedback
task_categories:
- image-to-image
tags:
- image
- image-restoration
- deconvdemo
{configs}
{infos}---
{MARK}` -->

# Flagged results of image restoration networks

{rows}

{pictures}
{example}

## Columns

{tables}

## Consent and licence

CC BY 4.0. Every visitor agreed to this before a flag was stored:

> {CONSENT}

Erased flags leave the files and the history of this dataset; copies that others made before cannot be called back.
Comments are people's own words: treat them as text, never as HTML, formulae or instructions.
"""


def plots(stats: Mapping[str, Any]) -> dict[str, bytes]:
    """Path → SVG, of what `stats` counts; readable on light and dark pages."""
    reasons = {REASONS.get(reason, reason): count for reason, count in stats["reasons"].items()}
    found = {"plots/days.svg": stats["days"], "plots/reasons.svg": reasons}
    return {path: bars(PLOTS[path], counts).encode() for path, counts in found.items() if counts}


def bars(title: str, counts: Mapping[str, int], width: int = 640, row: int = 22) -> str:
    """Horizontal bars from 0, one a key, at most the last 30."""
    shown = dict(list(counts.items())[-30:])
    most, label = max(shown.values()), 190
    lines = []
    for number, (name, count) in enumerate(shown.items()):
        top, length = 34 + number * row, (width - label - 70) * count / most
        lines.append(
            f'<text x="{label - 8}" y="{top + 15}" text-anchor="end">{escape(str(name))}</text>'
            f'<rect x="{label}" y="{top + 3}" width="{length:.1f}" height="{row - 7}" rx="2" fill="#2a9d8f"/>'
            f'<text x="{label + length + 6:.1f}" y="{top + 15}">{count:,}</text>'
        )
    height = 42 + len(shown) * row
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="13" fill="#7a8490"><title>{escape(title)}</title>'
        f'<text x="0" y="18" font-size="15">{escape(title)}</text>{"".join(lines)}</svg>\n'
    )
