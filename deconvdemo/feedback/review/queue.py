"""The reviewers' queue: which flags a reviewer looks at next, and what was decided of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice

from sqlalchemy import ColumnElement, Select, func, select

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.opinions import WITHHOLDING, StoredVerdict, Verdict
from deconvdemo.feedback.events.records import Acknowledgement
from deconvdemo.feedback.review.conditions import behind, is_catch, order, seen
from deconvdemo.feedback.review.view import View
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.ruling import is_accepted
from deconvdemo.feedback.store.standing import newest_verdicts
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, reviews

MOST_ROWS = 200


@dataclass(frozen=True)
class Opinions:
    """What reviewers think of one flag, by the newest verdict of each."""

    reviewers: int = 0
    accepted: int = 0
    rejected: int = 0
    without_target: int = 0
    withheld: int = 0
    decision: str = ""  # by the rule of `store/ruling.py`, as long as there are enough reviewers
    ruled_by: str = ""  # the owner whose verdict it is
    showable: bool = False

    @property
    def disputed(self) -> bool:
        most = max(self.accepted, self.rejected, self.without_target, self.withheld)
        return most < self.reviewers and not self.ruled_by

    def consensus(self, needed: int = 1) -> str:
        """What was decided, "" as long as nothing is."""
        enough = self.ruled_by or self.decision in WITHHOLDING or self.reviewers >= needed
        return self.decision if enough else ""


class ReviewQueue:
    """Flags for review. `needed`: how many reviewers a flag should have."""

    def __init__(self, store: FeedbackStore, needed: int = 1):
        self.store, self.needed = store, needed

    def ids(self, view: View, reviewer: str, after: str = "", limit: int = 50) -> list[str]:
        """The next flags of a view, behind the flag `after`, at most `limit` of them (and of MOST_ROWS)."""
        query = self._seen(select(flags.c.flag_id), view, reviewer)
        with refusals("the queue cannot be read"), self.store.reading() as connection:
            if after:
                query = query.where(behind(connection, view, after))
            rows = query.order_by(*order(view)).limit(max(1, min(limit, MOST_ROWS)))
            return list(connection.execute(rows).scalars())

    def all(self, view: View, reviewer: str = "") -> Iterator[str]:
        """Every flag of a view, in its order. Without a reviewer, as whoever keeps the store sees it: all is shown."""
        after = ""
        while page := self.ids(view, reviewer, after, MOST_ROWS):
            yield from page
            after = page[-1]

    def count(self, view: View, reviewer: str) -> int:
        query = self._seen(select(func.count()), view, reviewer)
        with refusals("the queue cannot be read"), self.store.reading() as connection:
            return connection.execute(query).scalar_one()

    def opinions(self, flag_id: str) -> Opinions:
        columns = [reviews.c[field.name] for field in fields(Opinions)]
        with refusals("the verdicts cannot be read"), self.store.reading() as connection:
            row = connection.execute(select(*columns).where(reviews.c.flag_id == flag_id)).first()
            return Opinions(*row) if row else Opinions()

    def accepted(self) -> ColumnElement[bool]:
        """What makes a flag an accepted one, for queries of other tables: of a row of `reviews`."""
        return is_accepted(self.needed)

    def mine(self, flag_id: str, reviewer: str) -> str:
        """What this reviewer decided last: "" for nothing, or if it was taken back."""
        return self.own(flag_id, reviewer)[1]

    def own(self, flag_id: str, reviewer: str) -> tuple[str, str]:
        """The id and the decision of the reviewer's verdict that stands, or two empty words."""
        newest = newest_verdicts([flag_id], "verdict_id")
        query = select(newest.c.verdict_id, newest.c.decision).where(newest.c.reviewer == reviewer)
        with refusals("the verdicts cannot be read"), self.store.reading() as connection:
            row = connection.execute(query).first()
        return (row.verdict_id, row.decision) if row else ("", "")

    def ruling(self, flag_id: str) -> StoredVerdict | None:
        """The owner's verdict that decides, with who gave it, when and why; None where the reviewers' own do."""
        newest = newest_verdicts([flag_id], "verdict_id", "adjudicates", "created_at", "sequence")
        query = select(newest.c.verdict_id).where(newest.c.adjudicates)
        with refusals("the verdicts cannot be read"), self.store.reading() as connection:
            last = connection.execute(query.order_by(newest.c.created_at.desc(), newest.c.sequence.desc())).scalar()
        return self.store.get(last, "verdicts", with_images=False) if last else None

    def without(self, decisions: Sequence[str], flag_ids: Iterable[str]) -> Iterator[str]:
        """Those of the flags of which nothing of this was decided."""
        left = iter(flag_ids)
        while some := list(islice(left, MOST_ROWS)):
            out = select(reviews.c.flag_id).where(reviews.c.flag_id.in_(some), reviews.c.decision.in_(decisions))
            with refusals("the queue cannot be read"), self.store.reading() as connection:
                gone = set(connection.execute(out).scalars())
            yield from (flag_id for flag_id in some if flag_id not in gone)

    def catch_ids(self, view: View, reviewer: str, limit: int) -> list[str]:
        """Catch items of a view that the reviewer has not judged."""
        query = self._seen(select(flags.c.flag_id), view, reviewer).where(is_catch())
        with refusals("the queue cannot be read"), self.store.reading() as connection:
            return list(connection.execute(query.order_by(*order(view)).limit(limit)).scalars())

    def decide(self, verdict: Verdict) -> Acknowledgement:
        """Stores a verdict. FeedbackError if the flag was erased meanwhile, or there never was such a flag."""
        self.require(verdict.flag_id)
        return self.store.add(verdict)

    def require(self, flag_id: str) -> None:
        """FeedbackError for a flag that is not there, or not any more."""
        if self.store.erased(flag_id):
            raise FeedbackError("this flag was erased while you looked at it: there is nothing to judge any more")
        with refusals("the flag cannot be looked up"), self.store.reading() as connection:
            there = connection.execute(select(flags.c.sequence).where(flags.c.flag_id == flag_id)).first()
        if not there:
            raise FeedbackError(f"no flag has the id {flag_id!r}: reload the queue")

    def _seen(self, query: Select, view: View, reviewer: str) -> Select:
        return seen(query, view, reviewer, self.needed)
