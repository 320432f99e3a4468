"""The audit list: who gave which verdict on what, and when."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from deconvdemo.feedback.review.queue import MOST_ROWS
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.standing import judged_by
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import verdicts


@dataclass(frozen=True)
class AuditEntry:
    """A line of the audit list: who gave which verdict on what, and when."""

    verdict_id: str
    created_at: str
    flag_id: str
    reviewer: str
    decision: str  # "" as long as whoever looks has not judged the flag


def audit(store: FeedbackStore, reviewer: str, limit: int = 100, before: str = "") -> list[AuditEntry]:
    """The newest verdicts of all, those of one moment by their ids; `before` names the verdict where to go on.

    What others decided is told of the flags that `reviewer` has judged, as everywhere.
    """
    columns = [verdicts.c[name] for name in ("verdict_id", "created_at", "flag_id", "reviewer", "decision")]
    query = select(*columns, judged_by(reviewer, verdicts.c.flag_id).label("judged"))
    if before:
        place = select(verdicts.c.sequence).where(verdicts.c.verdict_id == before).scalar_subquery()
        query = query.where(verdicts.c.sequence < place)
    query = query.order_by(verdicts.c.sequence.desc()).limit(max(1, min(limit, MOST_ROWS)))
    with refusals("the verdicts cannot be read"), store.reading() as connection:
        rows = connection.execute(query).all()
    return [
        AuditEntry(verdict_id, when, flag_id, author, decision if judged or author == reviewer else "")
        for verdict_id, when, flag_id, author, decision, judged in rows
    ]
