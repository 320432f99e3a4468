"""The reviewers' queue: which flags a reviewer looks at next, by filters that an address bar can hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, exists, func, or_, select, true, tuple_

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.events.records import REASONS, Acknowledgement
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, gold_items, likenesses, reviews, verdicts

STATUSES = {
    "todo": "To do",
    "mine": "Judged by me",
    "disputed": "Reviewers disagree",
    "accepted": "Accepted",
    "rejected": "Rejected",
    "needs_target": "Needs a target",
    "all": "All",
}
RATINGS = {"": "Any", "good": "Good", "bad": "Something is wrong"}
SORTS = {"newest": "Newest first", "oldest": "Oldest first", "disputed": "Disagreement first"}
CHOICES = {"status": STATUSES, "rating": RATINGS, "sort": SORTS, "reason": {"": "Any", **REASONS}}  # by View's field
COUNTED = {"task": flags.c.task, "reason": flags.c.reasons, "weights": flags.c.checkpoint}
MOST_ROWS = 200
MAX_TEXT = 200  # characters


@dataclass(frozen=True)
class View:
    """What a reviewer asked to see. Dates are UTC days like 2026-11-20; `weights` begins a sha256."""

    status: str = "todo"
    task: str = ""
    reason: str = ""
    rating: str = ""
    weights: str = ""
    since: str = ""
    until: str = ""
    text: str = ""
    family: str = ""  # flags of one picture
    flag: str = ""  # one alone
    sort: str = "newest"

    def __post_init__(self):
        for name, known in (
            ("status", STATUSES),
            ("rating", RATINGS),
            ("sort", SORTS),
            ("reason", {"": "", **REASONS}),
        ):
            if getattr(self, name) not in known:
                raise FeedbackError(
                    f"{getattr(self, name)!r} is not a {name}: choose among {', '.join(filter(None, known))}"
                )
        for name in ("since", "until"):
            if getattr(self, name) and not _is_day(getattr(self, name)):
                raise FeedbackError(f"{getattr(self, name)!r} is not a day: write it like 2026-11-20")
        if len(self.text) > MAX_TEXT:
            raise FeedbackError(f"search for at most {MAX_TEXT} characters")

    @classmethod
    def of(cls, query: Mapping[str, str]) -> View:
        """From an address's query; what it does not know is left out. FeedbackError for values that are none."""
        return cls(**{field.name: query[field.name] for field in fields(cls) if field.name in query})

    def query(self) -> dict[str, str]:
        """For an address: what is not the default."""
        plain = asdict(View())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}


@dataclass(frozen=True)
class Opinions:
    """What reviewers think of one flag, by the newest verdict of each."""

    reviewers: int = 0
    accepted: int = 0
    rejected: int = 0
    without_target: int = 0

    @property
    def disputed(self) -> bool:
        return max(self.accepted, self.rejected, self.without_target) < self.reviewers

    def consensus(self, needed: int = 1) -> str:
        """The decision of more than half of the reviewers, once there are as many as needed; else ""."""
        if self.reviewers < needed:
            return ""
        counted = {"accept": self.accepted, "reject": self.rejected, "needs_target": self.without_target}
        return next((decision for decision, number in counted.items() if 2 * number > self.reviewers), "")


@dataclass(frozen=True)
class AuditEntry:
    """A line of the audit list: who gave which verdict on what, and when."""

    verdict_id: str
    created_at: str
    flag_id: str
    reviewer: str
    decision: str  # "" as long as whoever looks has not judged the flag


class ReviewQueue:
    """Flags for review. `needed`: how many reviewers a flag should have."""

    def __init__(self, store: FeedbackStore, needed: int = 1):
        self.store, self.needed = store, needed

    def ids(self, view: View, reviewer: str, after: str = "", limit: int = 50) -> list[str]:
        """The next flags of a view, behind the flag `after`, at most `limit` of them (and of MOST_ROWS)."""
        query = self._seen(select(flags.c.flag_id), view, reviewer)
        with refusals("the queue cannot be read"), self.store.reading() as connection:
            if after:
                query = query.where(self._behind(connection, view, after))
            rows = query.order_by(*_order(view)).limit(max(1, min(limit, MOST_ROWS)))
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

    def counts(self, view: View, reviewer: str) -> dict[str, dict[str, int]]:
        """How many flags each choice of a filter would show, the other filters as they are: filter → choice → flags."""
        found: dict[str, dict[str, int]] = {}
        alike: dict[View, list[str]] = {}  # filters that are not set are counted in one look at the table
        for name in COUNTED:
            alike.setdefault(View(**{**asdict(view), name: ""}), []).append(name)
        with refusals("the queue cannot be read"), self.store.reading() as connection:
            for without, names in alike.items():
                columns = [COUNTED[name] for name in names]
                query = self._seen(select(*columns, func.count()), without, reviewer).group_by(*columns)
                counted: dict[str, Counter[str]] = {name: Counter() for name in names}
                for *values, number in connection.execute(query):
                    for name, value in zip(names, values, strict=True):
                        counted[name].update(dict.fromkeys(_choices(name, value), number))
                found |= {name: dict(numbers.most_common()) for name, numbers in counted.items()}
            # one look at the table for all statuses. The limit keeps SQLite from asking anew for each of them whether
            # the reviewer has judged a flag
            facts = _facts(_judged_by(reviewer))
            named = [column.label(name) for name, column in vars(facts).items()]
            inner = self._seen(select(*named), replace(view, status="all"), reviewer).limit(2**62).subquery()
            told = _Facts(**{name: inner.c[name] for name in vars(facts)})
            sums = [
                func.sum(case((and_(true(), *self._status(status, told, reviewer)), 1), else_=0)) for status in STATUSES
            ]
            row = connection.execute(select(*sums)).one()
            found["status"] = {status: number or 0 for status, number in zip(STATUSES, row, strict=True)}
        return found

    def opinions(self, flag_id: str) -> Opinions:
        columns = [reviews.c[field.name] for field in fields(Opinions)]
        with refusals("the verdicts cannot be read"), self.store.reading() as connection:
            row = connection.execute(select(*columns).where(reviews.c.flag_id == flag_id)).first()
            return Opinions(*row) if row else Opinions()

    def accepted(self) -> ColumnElement[bool]:
        """What makes a flag an accepted one, for queries of other tables: of a row of `reviews`."""
        return and_(true(), *self._status("accepted", _facts(true()), ""))

    def mine(self, flag_id: str, reviewer: str) -> str:
        """What this reviewer decided last: "" for nothing, or if it was taken back."""
        return self.own(flag_id, reviewer)[1]

    def own(self, flag_id: str, reviewer: str) -> tuple[str, str]:
        """The id and the decision of the reviewer's verdict that stands, or two empty words."""
        query = select(verdicts.c.verdict_id, verdicts.c.decision)
        query = query.where(verdicts.c.flag_id == flag_id, verdicts.c.reviewer == reviewer)
        newest = query.order_by(verdicts.c.created_at.desc(), verdicts.c.sequence.desc()).limit(1)
        with refusals("the verdicts cannot be read"), self.store.reading() as connection:
            row = connection.execute(newest).first()
        return ("", "") if row is None or row.decision == "withdrawn" else (row.verdict_id, row.decision)

    def catch_ids(self, view: View, reviewer: str, limit: int) -> list[str]:
        """Catch items of a view that the reviewer has not judged."""
        query = self._seen(select(flags.c.flag_id), view, reviewer).where(_is_catch())
        with refusals("the queue cannot be read"), self.store.reading() as connection:
            return list(connection.execute(query.order_by(*_order(view)).limit(limit)).scalars())

    def audit(self, reviewer: str, limit: int = 100, before: str = "") -> list[AuditEntry]:
        """The newest verdicts of all, those of one moment by their ids; `before` names the verdict where to go on.

        What others decided is told of the flags that `reviewer` has judged, as everywhere.
        """
        columns = [verdicts.c[name] for name in ("verdict_id", "created_at", "flag_id", "reviewer", "decision")]
        query = select(*columns, _judged_by(reviewer, verdicts.c.flag_id).label("judged"))
        if before:
            place = select(verdicts.c.sequence).where(verdicts.c.verdict_id == before).scalar_subquery()
            query = query.where(verdicts.c.sequence < place)
        query = query.order_by(verdicts.c.sequence.desc()).limit(max(1, min(limit, MOST_ROWS)))
        with refusals("the verdicts cannot be read"), self.store.reading() as connection:
            rows = connection.execute(query).all()
        return [
            AuditEntry(verdict_id, when, flag_id, author, decision if judged or author == reviewer else "")
            for verdict_id, when, flag_id, author, decision, judged in rows
        ]

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
        """`query` over the flags of a view."""
        joined = query.select_from(flags.outerjoin(reviews, reviews.c.flag_id == flags.c.flag_id))
        return joined.where(*self._conditions(view, reviewer))

    def _conditions(self, view: View, reviewer: str) -> list[ColumnElement[bool]]:
        most = self._status(view.status, _facts(_judged_by(reviewer)), reviewer)
        if view.task:
            most.append(flags.c.task == view.task)
        if view.reason:
            most.append(flags.c.reasons.contains(f'"{view.reason}"', autoescape=True))
        if view.rating:
            good = flags.c.reasons == '["good"]'
            most.append(good if view.rating == "good" else ~good)
        if view.weights:
            most.append(flags.c.checkpoint.contains(f'"sha256":"{view.weights}', autoescape=True))
        if view.since:
            most.append(flags.c.created_at >= view.since)
        if view.until:
            most.append(flags.c.created_at < f"{view.until}T~")  # the whole day: ~ sorts behind all digits
        if view.family:
            alike = select(likenesses.c.flag_id).where(likenesses.c.family == view.family)
            most.append(flags.c.flag_id.in_(alike))
        if view.flag:
            most.append(flags.c.flag_id == view.flag)
        if view.text:
            most.append(flags.c.comment.icontains(view.text, autoescape=True))
        return most

    def _status(self, status: str, facts: _Facts, reviewer: str) -> list[ColumnElement[bool]]:
        judged, reviewers = facts.judged, facts.reviewers
        told = judged if reviewer else true()
        most = _largest(facts.accepted, facts.rejected, facts.without_target)
        agreed = and_(reviewers >= self.needed, most == reviewers)
        return {
            "todo": lambda: [~judged, or_(reviewers < self.needed, most < reviewers, facts.catch)],
            "mine": lambda: [judged],
            "disputed": lambda: [most < reviewers],
            # what others decided is shown to those who have decided themselves
            "accepted": lambda: [told, agreed, facts.accepted == reviewers],
            "rejected": lambda: [told, agreed, facts.rejected == reviewers],
            "needs_target": lambda: [told, agreed, facts.without_target == reviewers],
            "all": list,
        }[status]()

    def _behind(self, connection, view: View, after: str) -> ColumnElement[bool]:
        """What comes behind a flag in the view's order; everything, if the flag is not there any more."""
        place = select(flags.c.sequence, _disputed()).select_from(
            flags.outerjoin(reviews, reviews.c.flag_id == flags.c.flag_id)
        )
        row = connection.execute(place.where(flags.c.flag_id == after)).first()
        if row is None:
            return flags.c.sequence.is_not(None)
        sequence, disputed = row
        if view.sort == "oldest":
            return flags.c.sequence > sequence
        if view.sort == "newest":
            return flags.c.sequence < sequence
        return or_(_disputed() < disputed, and_(_disputed() == disputed, flags.c.sequence < sequence))


@dataclass(frozen=True)
class _Facts:
    """What a flag's status depends on, as columns of a query."""

    judged: ColumnElement[bool]  # by the reviewer who asks
    catch: ColumnElement[bool]
    reviewers: ColumnElement[int]
    accepted: ColumnElement[int]
    rejected: ColumnElement[int]
    without_target: ColumnElement[int]


def _facts(judged: ColumnElement[bool]) -> _Facts:
    """Of `flags`, joined with `reviews`, which has a row only for flags that somebody has judged."""
    counted = {
        name: func.coalesce(reviews.c[name], 0) for name in ("reviewers", "accepted", "rejected", "without_target")
    }
    return _Facts(judged, _is_catch(), **counted)


def gives_no_truth_away(flag_id: ColumnElement[str], reviewer: str) -> ColumnElement[bool]:
    """False for a catch item that this reviewer is still to be measured by."""
    return or_(~exists().where(gold_items.c.flag_id == flag_id), _judged_by(reviewer, flag_id))


def newest_verdicts(flag_ids: Collection[str] | None = None, *more: str) -> Subquery:
    """What stands: the newest verdict of each reviewer on each flag, or on each of these: `flag_id`, `reviewer`,
    `decision`, and `more` columns."""
    age = func.row_number().over(
        partition_by=(verdicts.c.flag_id, verdicts.c.reviewer),
        order_by=(verdicts.c.created_at.desc(), verdicts.c.sequence.desc()),
    )
    columns = [verdicts.c[name] for name in ("flag_id", "reviewer", "decision", *more)]
    query = select(*columns, age.label("age"))
    if flag_ids is not None:
        query = query.where(verdicts.c.flag_id.in_(flag_ids))
    aged = query.subquery()
    standing = select(aged).where(aged.c.age == 1, aged.c.decision != "withdrawn")
    return standing.subquery()


def _is_catch() -> ColumnElement[bool]:
    return exists().where(gold_items.c.flag_id == flags.c.flag_id)


def _judged_by(reviewer: str, flag_id: ColumnElement[str] = flags.c.flag_id) -> ColumnElement[bool]:
    """Whether the reviewer's newest verdict on a flag stands."""
    last, newer = verdicts.alias(), verdicts.alias()
    overtaken = exists().where(
        newer.c.flag_id == last.c.flag_id,
        newer.c.reviewer == last.c.reviewer,
        tuple_(newer.c.created_at, newer.c.sequence) > tuple_(last.c.created_at, last.c.sequence),
    )
    mine = exists().where(last.c.flag_id == flag_id, last.c.reviewer == reviewer)
    return mine.where(last.c.decision != "withdrawn", ~overtaken)


def _order(view: View) -> list[Any]:
    return {
        "newest": [flags.c.sequence.desc()],
        "oldest": [flags.c.sequence.asc()],
        "disputed": [_disputed().desc(), flags.c.sequence.desc()],
    }[view.sort]


def _disputed() -> ColumnElement[int]:
    """How many reviewers do not agree with the most."""
    most = _largest(reviews.c.accepted, reviews.c.rejected, reviews.c.without_target)
    return func.coalesce(reviews.c.reviewers - most, 0)


def _largest(*columns: ColumnElement[int]) -> ColumnElement[int]:
    """SQLite calls it max, PostgreSQL greatest."""
    largest: ColumnElement[int] = columns[0]
    for column in columns[1:]:
        largest = case((column > largest, column), else_=largest)
    return largest


def _choices(name: str, value: str) -> list[str]:
    if name == "reason":
        return json.loads(value)
    if name == "weights":
        facts: dict[str, Any] = json.loads(value)
        return [str(facts.get("sha256") or "")[:12]] if facts.get("sha256") else []
    return [value]


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
