"""What has become of a flag, in words for its visitor and for /healthz."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from deconvdemo.feedback.dataset.shards import COMMITTED
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.ruling import is_public
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, shards

UNKNOWN, SAVED, PUBLISHING, PUBLISHED, ERASED = "unknown", "saved", "publishing", "published", "erased"
PRIVATE = "private"  # saved, and not published before a reviewer lets it pass


@dataclass(frozen=True)
class FlagState:
    """`revision` is the dataset's commit that brought the flag, once it is published."""

    state: str
    revision: str = ""


def state_of(store: FeedbackStore, flag_id: str, moderated: bool = False) -> FlagState:
    """Of one flag; a flag that there never was is "unknown"."""
    with refusals("the flag cannot be read"), store.reading() as connection:
        row = connection.execute(
            select(flags.c.flag_id, shards.c.state, shards.c.commit, is_public(flags, moderated).label("public"))
            .select_from(flags.outerjoin(shards, flags.c.shard == shards.c.shard))
            .where(flags.c.flag_id == flag_id)
        ).first()
    if row is None:
        return FlagState(ERASED if store.erased(flag_id) else UNKNOWN)
    if row.state is None:
        return FlagState(SAVED if row.public else PRIVATE)
    return FlagState(PUBLISHED, row.commit or "") if row.state == COMMITTED else FlagState(PUBLISHING)
