"""What is not in the dataset: what waits for its commit, and what stays private."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from deconvdemo.feedback.dataset.shards import UNSENT
from deconvdemo.feedback.events.opinions import WITHHOLDING
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.ruling import is_public
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, reviews, shards


def backlog(store: FeedbackStore, moderated: bool = False) -> dict[str, Any]:
    """JSON-able: `waiting` events whose commit is not known, the moment of the `oldest` (ISO 8601 or None), and how
    many flags are `private`: until a reviewer lets them pass, or for good."""
    with refusals("the backlog cannot be counted"), store.reading() as connection:
        unsent = select(func.coalesce(func.sum(shards.c.rows), 0), func.min(shards.c.created_at))
        waiting, oldest = connection.execute(unsent.where(shards.c.state.in_(UNSENT))).one()
        since = [oldest]
        for kind in KINDS.values():
            new = select(func.count(), func.min(kind.table.c.created_at))
            new = new.where(kind.table.c.shard.is_(None), is_public(kind.table, moderated))
            count, first = connection.execute(new).one()
            waiting, since = waiting + count, [*since, first]
        private = select(func.count()).where(flags.c.shard.is_(None), ~is_public(flags, moderated))
        kept = connection.execute(private).scalar_one()
    return {"waiting": int(waiting), "oldest": min(filter(None, since), default=None), "private": kept}


def shards_of_withheld(store: FeedbackStore) -> set[int]:
    """The shards that have rows whose flag is withheld by now, whatever their state."""
    found: set[int] = set()
    with refusals("the shards cannot be read"), store.reading() as connection:
        for kind in KINDS.values():
            about = kind.table.join(reviews, reviews.c.flag_id == kind.table.c.flag_id)
            query = select(kind.table.c.shard).select_from(about).where(reviews.c.decision.in_(WITHHOLDING))
            query = query.where(kind.table.c.shard.is_not(None), ~is_public(kind.table, moderated=False))
            found |= set(connection.execute(query.distinct()).scalars())
    return found
