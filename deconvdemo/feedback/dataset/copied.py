"""A store that was imported has what a revision of a dataset has: what it teaches, that revision teaches anywhere.

What is noted is how many rows there were of each kind, and the last one's place: places are never given twice, so what
comes or goes later changes one of the two, and makes the store one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, func, insert, select

from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import copied


def note_copy(store: FeedbackStore, revision: str, ids: Iterable[str]) -> None:
    """Notes that a revision has what the store has, if it does: `ids` are the revision's rows."""
    here: set[str] = set()
    noted = []
    with refusals("the revision cannot be noted"), store.writing() as connection:
        for kind in KINDS.values():
            rows = connection.execute(select(kind.table.c.sequence, kind.id)).all()
            here |= {event_id for _, event_id in rows}
            last = max((sequence for sequence, _ in rows), default=0)
            noted.append({"kind": kind.name, "revision": revision, "rows": len(rows), "last": last})
        connection.execute(delete(copied))
        if here == set(ids):
            connection.execute(insert(copied), noted)


def copy_of(store: FeedbackStore) -> str:
    """The revision that has the same rows as the store; "" if none is known."""
    with refusals("the revision cannot be read"), store.reading() as connection:
        noted = {row.kind: row for row in connection.execute(select(copied))}
        for kind in KINDS.values():
            here = select(func.count(), func.coalesce(func.max(kind.table.c.sequence), 0)).select_from(kind.table)
            told = noted.get(kind.name)
            if told is None or connection.execute(here).one() != (told.rows, told.last):
                return ""
    return next(iter(noted.values())).revision
