"""Which flags made which weights: by the database's record, else by the headers of files that are still there, else by
what a history of an earlier version repeated of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint
from deconvdemo.checkpoints.promotion import PROMOTED, versions
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.errors import CheckpointError
from deconvdemo.feedback.review.lineage import Origin, note_weights, noted_origins, origin_of
from deconvdemo.feedback.store.store import FeedbackStore

KEPT = 256  # headers: a few hundred bytes each


def note(store: FeedbackStore, *checkpoints: Checkpoint) -> None:
    """Remembers weights that serve: what they come from stays known, also when their files are gone."""
    for one in checkpoints:
        note_weights(store, one.name, one.sha256, one.header.created, one.header.measured, one.header.recipe)


def origins(store: FeedbackStore, weights: Weights) -> dict[str, Origin]:
    """By sha256: of what has served here, and of all that a history names."""
    lines = weights.history()
    known = {**of_old_lines(lines), **noted_origins(store)}
    for sha256 in {line["sha256"] for line in lines} - known.keys():
        file = weights.past(sha256)
        if file and (origin := _of_file(file, sha256)):
            known[sha256] = origin
    return known


def of_old_lines(lines: Iterable[Mapping[str, Any]]) -> dict[str, Origin]:
    """Histories of earlier versions repeated the header's flags. What was made from flags was made from what served."""
    found: dict[str, Origin] = {}
    for line in lines:
        if line["what"] == PROMOTED and "learned" in line:
            parent = (line.get("before") or {}).get("sha256", "") if line.get("flags") else ""
            found.setdefault(line["sha256"], Origin(parent, frozenset(line["learned"] or ())))
    return found


def helped_train(store: FeedbackStore, weights: Weights, flag_id: str) -> list[str]:
    """What learned from a flag, the oldest first, as people call it."""
    known = origins(store, weights)
    promoted = versions(weights.history())
    return [called for line, called in promoted if flag_id in known.get(line["sha256"], Origin()).learned]


@lru_cache(KEPT)
def _of_file(file: Path, sha256: str) -> Origin | None:
    try:
        return origin_of(load_checkpoint(file, sha256, says="its history").header.recipe)
    except CheckpointError:
        return None  # its page says what is wrong with it
