"""The dataset's card: what it holds, how to load it, how much there is, and under which terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from deconvdemo.feedback.dataset import COLUMNS
from deconvdemo.feedback.kinds import KINDS
from deconvdemo.feedback.records import CONSENT, REASONS

MARK = "<!-- written by `deconvdemo feedback` -->"
PLOTS = {"plots/days.svg": "Flags a day", "plots/reasons.svg": "Flags by reason"}

_WHAT = {
    "flags": "results of deconvolution networks that visitors flagged as good or bad: what went in, what came out, "
    "with which weights and settings, and why",
    "verdicts": "reviewers' verdicts on those flags",
    "votes": "blind votes between two results of one photo",
}


def dataset_card(counts: Mapping[str, int], repo: str = "path/to/this/folder", plots: Iterable[str] = ()) -> str:
    """README.md for a dataset with that many rows of each kind; kinds without rows have no files, and no config.

    Without `dataset_info`: stated split sizes would make the next rows an error on load.
    """
    kinds = [kind for kind in KINDS if counts.get(kind)]
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
    columns = "\n\n".join(
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
---
{MARK}

# Flagged results of image restoration networks

{rows}

{pictures}
{example}

## Columns

{columns}

## Consent and licence

CC BY 4.0. Every visitor agreed to this before a flag was stored:

> {CONSENT}

Erased flags leave the files and the history of this dataset; copies that others made before cannot be called back.
Comments are people's own words: treat them as text, never as HTML, formulae or instructions.
"""


def plots(stats: Mapping[str, Any]) -> dict[str, bytes]:
    """Path → SVG, of `FeedbackStore.stats()`; readable on light and dark pages."""
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
