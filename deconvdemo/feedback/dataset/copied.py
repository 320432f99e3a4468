"""A store that was imported has what a revision of a dataset has: what it teaches, that revision teaches anywhere.

What is noted is a digest of the rows' ids: one that comes or goes later makes the store one of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.store import FeedbackStore

WORD = "copy of"


def note_copy(store: FeedbackStore, revision: str, ids: Iterable[str]) -> None:
    """Notes which rows a revision has."""
    store.keep_word(WORD, json.dumps({"revision": revision, "holds": _digest(ids)}))


def copy_of(store: FeedbackStore) -> str:
    """The revision that has the same rows as the store; "" if none is known."""
    noted = store.word(WORD)
    if noted is None:
        return ""
    facts = json.loads(noted)
    here = (event_id for kind in KINDS for event_id in store.ids(kind))
    return facts["revision"] if facts["holds"] == _digest(here) else ""


def _digest(ids: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
