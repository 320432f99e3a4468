"""Weights that have served here, and what they come from: the one record of it that a database keeps.

Whoever serves weights notes them once, with what their header says; pages read the record without opening a file, and
it stays when the file is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from deconvdemo.feedback.store.ledger import upsert
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import releases


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
    known = select(releases.c.sha256).where(releases.c.sha256 == sha256)
    with refusals("the weights cannot be looked up"), store.reading() as connection:
        if connection.execute(known).first():
            return
    made = recipe or {}
    facts = {
        "sha256": sha256,
        "name": name,
        "since": datetime.now(UTC).isoformat(timespec="microseconds"),
        "created": created,
        "measured": json.dumps(dict(measured)),
        "parent": str(made.get("parent") or "")[:64] or None,
        "learned": json.dumps(made.get("flags") or {}),
    }
    with refusals("the weights cannot be noted"), store.writing() as connection:
        connection.execute(upsert(connection, releases).values(facts).on_conflict_do_nothing())


def noted_weights(store: FeedbackStore) -> list[dict[str, Any]]:
    """What `note_weights` was told of all weights that have served here, and `since` when; the oldest first.

    `learned` is what the header tells of the flags, empty for none, and None where an earlier version did not note it.
    """
    query = select(releases).order_by(releases.c.since)
    with refusals("the weights cannot be read"), store.reading() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [
        row | {"measured": json.loads(row["measured"]), "learned": json.loads(row["learned"] or "null")} for row in rows
    ]
