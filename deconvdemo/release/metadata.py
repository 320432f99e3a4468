"""The front matter of a model card: what the Hub finds a repository by, and compares it with others by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from deconvdemo.checkpoints.checkpoint import Header
from deconvdemo.checkpoints.index import Entry
from deconvdemo.tasks import TASKS

_LICENCES = ("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0")


@dataclass(frozen=True)
class CardEntry:
    """One line of the index, and what its file says of itself."""

    entry: Entry
    header: Header
    parameters: int
    picture: str = ""  # its path in the repository; empty: there is none
    caption: str = ""

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def flags(self) -> Mapping[str, Any]:
        """What the header says of the flags it learned from; empty for none. `repo` is the dataset's, if it has one."""
        found = self.header.recipe.get("flags")
        if not isinstance(found, Mapping):
            return {}
        # a machine that imported the dataset names both at once
        imported = re.fullmatch(r"hf://datasets/([\w.-]+/[\w.-]+)@([0-9a-f]{40})", str(found.get("from")))
        return {**found, "repo": imported[1], "from": imported[2]} if imported else found


class Figure(NamedTuple):
    """ "cbsd68 sigma 25 PSNR": 31.26 in its parts."""

    images: str  # the set: its folder's name, up to the first space
    setting: str
    what: str  # "PSNR", "SSIM", "PSNR in holes"
    metric: str  # "psnr" or "ssim"
    value: float


def front_matter(weights: Sequence[CardEntry]) -> str:
    """As YAML, by the Hub's own client."""
    from huggingface_hub import ModelCardData

    tasks = unique(TASKS[one.header.task].tag for one in weights if one.header.task in TASKS)
    measured = unique(figure.metric for one in weights for figure in figures(one.header))
    licence, licence_name = _licence(weights)
    data = ModelCardData(
        license=licence,
        license_name=licence_name,
        license_link=licence_name and "README.md",
        library_name="deconvdemo",
        pipeline_tag="image-to-image",
        tags=unique(["image-restoration", "deconvolution", *tasks, "safetensors", "deconvdemo"]),
        datasets=unique(str(one.flags["repo"]) for one in weights if one.flags.get("repo")) or None,
        metrics=measured or None,
    )
    if index := [found for one in weights for found in _model_index(one)]:
        data["model-index"] = index
    return data.to_yaml()


def _licence(weights: Sequence[CardEntry]) -> tuple[str, str | None]:
    """(identifier, name): the Hub knows its own identifiers alone; any other, or several, are "other", by name."""
    named = unique(one.header.licence for one in weights)
    if len(named) == 1 and named[0].lower() in _LICENCES:
        return named[0].lower(), None
    return "other", re.sub(r"[^a-z0-9.]+", "-", " and ".join(named).lower()).strip("-") or "unknown"


def _model_index(one: CardEntry) -> list[dict[str, Any]]:
    """The measured figures of one network, as the Hub shows and compares them."""
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    results = [
        EvalResult(
            task_type="image-to-image",
            dataset_type=figure.images,
            dataset_name=f"{figure.images} {figure.setting}".strip(),
            dataset_config=figure.setting or None,
            metric_type=figure.metric,
            metric_name=figure.what,
            metric_value=figure.value,
        )
        for figure in figures(one.header)
    ]
    return eval_results_to_model_index(one.name, results) if results else []


def figures(header: Header) -> list[Figure]:
    """The measured figures that are called as `evaluate` calls them."""
    found = [(re.fullmatch(r"(\S+) ?(.*?) ((PSNR|SSIM)\b.*)", name), value) for name, value in header.measured.items()]
    return [Figure(match[1], match[2], match[3], match[4].lower(), value) for match, value in found if match]


def unique(words: Iterable[str]) -> list[str]:
    """Each once, in their order."""
    return list(dict.fromkeys(words))
