"""Weights that have served here, and what they come from: the one record of it beside their headers.

Whoever serves or promotes weights notes them once, with what their header says; pages read the record without opening
a file, and it stays when the file is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from deconvdemo.feedback.store.ledger import upsert
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import releases


@dataclass(frozen=True)
class Origin:
    """What weights come from: those that they were made from, by their sha256, and flags that they learned from."""

    parent: str = ""  # empty: none
    learned: frozenset[str] = frozenset()  # ids; what the parent had learned from is the parent's


def origin_of(recipe: Mapping[str, Any]) -> Origin | None:
    """As a header's recipe tells it; None where it learned from flags and does not name them."""
    ids = recipe.get("learned") if recipe.get("flags") else recipe.get("learned") or []
    if not isinstance(ids, list) or not all(isinstance(flag_id, str) for flag_id in ids):
        return None
    return Origin(str(recipe.get("parent") or "")[:64], frozenset(ids))


def learned_from(known: Mapping[str, Origin], sha256: str) -> set[str] | None:
    """The flags that weights learned from, also those that the weights they were made from had learned from; None
    where it is not known of them."""
    found: set[str] | None = None
    passed = set[str]()
    while sha256 in known and sha256 not in passed:
        passed.add(sha256)
        found = (found or set()) | known[sha256].learned
        sha256 = known[sha256].parent
    return found


def note_weights(
    store: FeedbackStore,
    name: str,
    sha256: str,
    created: str,
    measured: Mapping[str, float],
    recipe: Mapping[str, Any] | None = None,
) -> None:
    """Remembers weights that have served: what they were measured at stays, also when others took their place.

    `recipe`, their header's, tells what they were made from and which flags they learned from.
    """
    made = recipe or {}
    origin = origin_of(made)
    known = select(releases.c.flag_ids).where(releases.c.sha256 == sha256)
    with refusals("the weights cannot be looked up"), store.reading() as connection:
        row = connection.execute(known).first()
    if row and (origin is None or row.flag_ids is not None):
        return
    facts = {
        "sha256": sha256,
        "name": name,
        "since": datetime.now(UTC).isoformat(timespec="microseconds"),
        "created": created,
        "measured": json.dumps(dict(measured)),
        "parent": str(made.get("parent") or "")[:64] or None,
        "learned": json.dumps(made.get("flags") or {}),
        "flag_ids": None if origin is None else json.dumps(sorted(origin.learned)),
    }
    # an earlier version noted everything but the parent and the flags
    added = {name: facts[name] for name in ("parent", "learned", "flag_ids")}
    with refusals("the weights cannot be noted"), store.writing() as connection:
        new = upsert(connection, releases).values(facts)
        connection.execute(new.on_conflict_do_update(index_elements=[releases.c.sha256], set_=added))


def noted_weights(store: FeedbackStore) -> list[dict[str, Any]]:
    """What `note_weights` was told of all weights that have served here, and `since` when; the oldest first.

    `learned` is what the header tells of the flags, empty for none, and None where an earlier version did not note it.
    """
    query = select(releases).order_by(releases.c.since)
    with refusals("the weights cannot be read"), store.reading() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [
        row
        | {"measured": json.loads(row["measured"])}
        | {name: json.loads(row[name] or "null") for name in ("learned", "flag_ids")}
        for row in rows
    ]


def noted_origins(store: FeedbackStore) -> dict[str, Origin]:
    """By the sha256 of weights; of those alone whose flags were noted, or that learned from none."""
    return {
        facts["sha256"]: Origin(facts["parent"] or "", frozenset(facts["flag_ids"] or ()))
        for facts in noted_weights(store)
        if facts["flag_ids"] is not None or facts["learned"] == {}
    }
