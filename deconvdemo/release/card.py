"""The card of a model repository: which weights it has, what they reach, what they learned from, how to use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from deconvdemo.bounded import clipped
from deconvdemo.checkpoints.checkpoint import Header
from deconvdemo.checkpoints.promotion import PROMOTED
from deconvdemo.feedback.events.records import PAIRS
from deconvdemo.release.metadata import CardEntry, figures, front_matter, unique
from deconvdemo.tasks import TASKS

MARK = "<!-- written by `deconvdemo weights push` -->"  # what a card of ours has in it
SHOWN = 20  # lines of history, the newest


def model_card(repo: str, weights: Sequence[CardEntry], history: Sequence[Mapping[str, Any]]) -> str:
    """README.md of the repository `repo`, "owner/name". `history` is `promotion.history`'s, the oldest first."""
    front = front_matter(weights)
    parts = [
        f"---\n{front}\n---\n{MARK}\n\n# {repo.partition('/')[2]}",
        "Weights of small convolution/deconvolution networks that restore photos, for `deconvdemo`: a demo in which "
        "people flag bad results, and accepted flags make the next weights.",
        _weights_table(repo, weights),
        _pictures(weights),
        _MEASURED,
        *(_measured_table(one) for one in weights),
        _learned(weights),
        _origins(weights),
        _gate(weights, history),
        _changes(history),
        _use(repo, weights),
        _LIMITS,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _weights_table(repo: str, weights: Sequence[CardEntry]) -> str:
    rows = [
        (
            f"`{one.name}`",
            _network(one.header),
            f"{one.parameters / 1e6:.2f} M",
            f"`{one.entry.file}`" + (f" of [{one.entry.repo}](https://hf.co/{one.entry.repo})" * bool(one.entry.repo)),
            f"`{one.entry.sha256[:12]}`",
            one.header.created,
            one.header.licence,
        )
        for one in weights
    ]
    head = ("name", "network", "parameters", "file", "sha256", "made", "licence")
    return f"## Weights\n\n{_table(head, rows)}"


def _network(header: Header) -> str:
    """ "DeconvUNet 32-64-128-256", and whether it has an expert for what was flagged."""
    if "base" in header.config:
        base = replace(header, network=str(header.config.get("network")), config=header.config["base"])
        return f"{_network(base)} and an expert"
    widths = header.config.get("widths")
    return f"{header.network} {'-'.join(map(str, widths))}" if isinstance(widths, list) else header.network


def _pictures(weights: Sequence[CardEntry]) -> str:
    found = [f"`{one.name}`: {one.caption}\n\n![{one.name}]({one.picture})" for one in weights if one.picture]
    return "\n\n".join(["## What they do", *found]) if found else ""


def _measured_table(one: CardEntry) -> str:
    if not figures(one.header):
        return f"### {one.name}\n\nThese weights are not measured so; if the gate let them in, it has figures below."
    found = figures(one.header)
    columns = unique(figure.what for figure in found)
    rows: dict[str, dict[str, str]] = {}
    for figure in found:
        told = f"{figure.value:.4f}" if figure.metric == "ssim" else f"{figure.value:.2f}"
        rows.setdefault(f"{figure.images} {figure.setting}".strip(), {})[figure.what] = told
    cells = [(where, *(told.get(column, "–") for column in columns)) for where, told in rows.items()]
    return f"### {one.name}\n\n{_table(('on', *columns), cells)}"


def _learned(weights: Sequence[CardEntry]) -> str:
    """Each source with its licence, in the headers' own words, and the weights that learned from it."""
    learned: dict[str, list[str]] = {}
    for one in weights:
        for line in one.header.data:
            learned.setdefault(line, []).append(one.name)
    rows = [
        (line, "all" if len(names) == len(weights) else ", ".join(f"`{name}`" for name in names))
        for line, names in learned.items()
    ]
    untold = [f"`{one.name}`" for one in weights if not one.header.data]
    said = _table(("source and licence", "weights"), rows) if rows else ""
    left = f"What {', '.join(untold)} learned from is not told." if untold else ""
    note = (
        "The weights' own licence is in the first table; these are the licences of what they were trained on. Where a "
        "source is for research alone, whether weights that learned from it may serve more is for their user to judge."
    )
    return "\n\n".join(filter(None, ["## Trained on", note, said, left]))


def _origins(weights: Sequence[CardEntry]) -> str:
    """Parents, and the revision of the flags."""
    lines = []
    for one in weights:
        recipe = one.header.recipe
        parent = recipe.get("parent")
        said = [f"fine-tuned from `{str(parent)[:12]}`"] if parent else []
        if recipe.get("started from") and not parent:
            said.append(f"started from {recipe['started from']}")
        if one.flags:
            kinds = [f"{one.flags[kind]} {words}" for kind, words in PAIRS.items() if kind in one.flags]
            told = f" ({', '.join(kinds)})" if kinds else ""
            said.append(f"data revision {_revision(one.flags)}{told}")
        if said:
            lines.append(f"- `{one.name}`: {'; '.join(said)}")
    return "\n".join(["## Where they come from", "", *lines]) if lines else ""


def _revision(flags: Mapping[str, Any]) -> str:
    """The flags' snapshot, or the dataset's commit, where people can look."""
    revision, repo = str(flags.get("from", "unknown")), flags.get("repo")
    if not repo:
        return f"`{revision}`"
    return f"[{repo}@{revision[:12]}](https://hf.co/datasets/{repo}/tree/{revision})"


def _gate(weights: Sequence[CardEntry], history: Sequence[Mapping[str, Any]]) -> str:
    """What the gate found when it let in what serves now."""
    parts = []
    for one in weights:
        let_in = [line for line in history if line.get("what") == PROMOTED and line.get("sha256") == one.entry.sha256]
        found = let_in[-1].get("found") if let_in else None
        if found:
            rows = [_gate_row(row) for row in found]
            head = ("on", "before", "now", "difference", "95 %", "worst picture")
            parts.append(f"`{one.name}`, {str(let_in[-1].get('when', ''))[:10]}:\n\n{_table(head, rows)}")
    if not parts:
        return ""
    what = "Mean PSNR in dB of what served before and of what serves now, on the same images, when it was promoted."
    return "\n\n".join(["## The gate", what, *parts])


def _gate_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    def told(value: Any, form: str) -> str:
        return format(value, form) if isinstance(value, int | float) else "–"

    low, high = row.get("interval") or (None, None)
    between = f"{told(low, '+.2f')} to {told(high, '+.2f')}" if low is not None and high is not None else "–"
    where = f"{row.get('images', '')} {row.get('setting', '')}".strip()
    worst = row.get("worst")  # lines from before single pictures were judged have none
    worst = worst if isinstance(worst, Mapping) else {}
    image = f" ({clipped(str(worst['image']))})" if worst.get("image") else ""
    return (
        where,
        told(row.get("served"), ".2f"),
        told(row.get("candidate"), ".2f"),
        told(row.get("mean"), "+.2f"),
        between,
        f"{told(worst.get('difference'), '+.2f')}{image}",
    )


def _changes(history: Sequence[Mapping[str, Any]]) -> str:
    if not history:
        return ""
    lines = [
        f"- {str(line.get('when', ''))[:10]}: `{line.get('name')}` {line.get('what')}, "
        f"`{str(line.get('sha256', ''))[:12]}` serves"
        for line in reversed(history[-SHOWN:])
    ]
    return "\n".join(["## Changes", "", *lines, "", "`history.json` has all of them."])


def _use(repo: str, weights: Sequence[CardEntry]) -> str:
    tasks = [TASKS[name] for name in unique(one.header.task for one in weights) if name in TASKS]
    shell = "\n".join(f"deconvdemo {task.name} {task.arguments} --weights hf://{repo}" for task in tasks)
    first = (tasks or list(TASKS.values()))[0].name
    return f"""## Use

```bash
{shell}
deconvdemo weights pull hf://{repo}                  # fetch and verify all of them
DECONVDEMO_WEIGHTS_REPO={repo} deconvdemo serve      # a demo that follows this repository
```

```python
from deconvdemo import Restorer

restorer = Restorer.load(weights="hf://{repo}")      # or hf://{repo}@REVISION
restorer.restore("{first}", "photo.jpg")
```"""


_MEASURED = """## Measured

PSNR in dB and SSIM, as `deconvdemo evaluate` measured them and the files' headers have them: denoising over RGB,
super-resolution over luma, inpainting over the whole picture and in the holes alone."""

_LIMITS = """## Limits

What is restored is an estimate, never evidence of what was there: filled holes and enlarged details are invented. Do
not use it where what a picture shows must be true, such as medicine, forensics or telling who somebody is. The networks
know photographs in 8-bit RGB with the damage that they were trained on; other damage is left, or made worse.
`index.json` has each file's sha256, and `deconvdemo` refuses any other."""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in (head, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
