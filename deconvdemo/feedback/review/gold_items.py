"""Catch items: flags whose truth is known, shown among the others to every reviewer, who is measured by them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, case, delete, func, select

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.opinions import TRUTHS
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.review.view import View
from deconvdemo.feedback.store.ledger import upsert
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.standing import newest_verdicts
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, gold_items

EVERY = 10  # one catch item among so many flags, while a reviewer has some left


@dataclass(frozen=True)
class Accuracy:
    """How often a reviewer's newest verdicts on catch items are what is known to be true.

    Whoever stated the truth is not measured by it, and neither are verdicts from before: they were not given blindly,
    or the truth may have been taken from them.
    """

    reviewer: str
    right: int
    judged: int


class GoldItems:
    """The catch items of a store."""

    def __init__(self, store: FeedbackStore):
        self.store = store

    def state(self, flag_id: str, decision: str, reviewer: str, owner: bool) -> None:
        """What a reviewer says of a flag's truth; "" makes it a flag like all others. FeedbackError for somebody else's
        item, unless an owner asks: whoever is to be measured by it must not change it."""
        with refusals("the catch items cannot be read"), self.store.reading() as connection:
            known = select(gold_items.c.author).where(gold_items.c.flag_id == flag_id)
            author = connection.execute(known).scalar()
        if author not in (None, reviewer) and not owner:
            raise FeedbackError("somebody else stated what is true of this flag: an owner may change it")
        if decision:
            self.set(flag_id, decision, reviewer)
        else:
            self.unset(flag_id)

    def told(self, flag_ids: Sequence[str], reviewer: str, owner: bool = False) -> dict[str, str]:
        """Flag id → what is true of it, of these flags, for whoever may know: an owner, and who stated it."""
        query = select(gold_items.c.flag_id, gold_items.c.decision).where(gold_items.c.flag_id.in_(flag_ids))
        if not owner:
            query = query.where(gold_items.c.author == reviewer)
        with refusals("the catch items cannot be read"), self.store.reading() as connection:
            return {flag_id: decision for flag_id, decision in connection.execute(query)}

    def set(self, flag_id: str, decision: str, author: str) -> None:
        """Makes a flag a catch item. FeedbackError for an unknown flag or decision."""
        if decision not in TRUTHS:
            raise FeedbackError(f"{decision!r} cannot be a flag's truth: choose among {', '.join(TRUTHS)}")
        with refusals("the catch item was not saved"), self.store.writing() as connection:
            if not connection.execute(select(flags.c.sequence).where(flags.c.flag_id == flag_id)).first():
                raise FeedbackError(f"no flag has the id {flag_id!r}: `deconvdemo feedback export` lists them")
            facts = {
                "decision": decision,
                "author": author,
                "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
            }
            row = upsert(connection, gold_items).values(flag_id=flag_id, **facts)
            connection.execute(row.on_conflict_do_update(index_elements=[gold_items.c.flag_id], set_=facts))

    def unset(self, flag_id: str) -> bool:
        """Makes a flag one like all others; False if it was."""
        with refusals("the catch item was not removed"), self.store.writing() as connection:
            return bool(connection.execute(delete(gold_items).where(gold_items.c.flag_id == flag_id)).rowcount)

    def all(self) -> dict[str, str]:
        """Flag id → what is true of it, the newest first."""
        with refusals("the catch items cannot be read"), self.store.reading() as connection:
            rows = connection.execute(select(gold_items).order_by(gold_items.c.created_at.desc())).all()
        return {row.flag_id: row.decision for row in rows}

    def mixed(self, queue: ReviewQueue, ids: list[str], view: View, reviewer: str) -> list[str]:
        """A page of a reviewer's queue with catch items of the same view that they have not judged put in between.

        Never the last, by which the next page is asked for; and always at the same places for one reviewer and page.
        """
        if view.status != "todo" or len(ids) < 2:
            return ids
        wanted = queue.catch_ids(view, reviewer, max(1, len(ids) // EVERY))
        mixed = [flag_id for flag_id in ids if flag_id not in wanted or flag_id == ids[-1]]
        for number, flag_id in enumerate(flag_id for flag_id in wanted if flag_id != ids[-1]):
            place = int.from_bytes(hashlib.sha256(f"{reviewer} {flag_id}".encode()).digest()[:4]) % EVERY
            mixed.insert(min(number * EVERY + place, len(mixed) - 1), flag_id)
        return mixed

    def accuracy(self) -> list[Accuracy]:
        """By reviewer, for those who have judged catch items."""
        newest = newest_verdicts(None, "created_at")
        blind = and_(newest.c.created_at > gold_items.c.created_at, newest.c.reviewer != gold_items.c.author)
        right = func.sum(case((newest.c.decision == gold_items.c.decision, 1), else_=0))
        query = (
            select(newest.c.reviewer, right, func.count())
            .select_from(newest.join(gold_items, gold_items.c.flag_id == newest.c.flag_id))
            .where(blind)
            .group_by(newest.c.reviewer)
            .order_by(newest.c.reviewer)
        )
        with refusals("the verdicts cannot be read"), self.store.reading() as connection:
            return [Accuracy(*row) for row in connection.execute(query)]
