"""A reviewer's view as SQL: what a flag must be to be seen, in which order, and what must not be given away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, or_, select, true

from deconvdemo.feedback.events.opinions import WITHHOLDING
from deconvdemo.feedback.review.view import View
from deconvdemo.feedback.store.ruling import is_settled
from deconvdemo.feedback.store.standing import judged_by
from deconvdemo.feedback.store.tables import flags, gold_items, likenesses, reviews


@dataclass(frozen=True)
class Facts:
    """What a flag's status depends on, as columns of a query."""

    judged: ColumnElement[bool]  # by the reviewer who asks
    catch: ColumnElement[bool]
    reviewers: ColumnElement[int]
    accepted: ColumnElement[int]
    rejected: ColumnElement[int]
    without_target: ColumnElement[int]
    withheld: ColumnElement[int]
    decision: ColumnElement[str]
    ruled_by: ColumnElement[str]


def facts_of(judged: ColumnElement[bool]) -> Facts:
    """Of `flags`, joined with `reviews`, which has a row only for flags that somebody has judged."""
    numbers = ("reviewers", "accepted", "rejected", "without_target", "withheld")
    counted = {name: func.coalesce(reviews.c[name], 0) for name in numbers}
    decided = {name: func.coalesce(reviews.c[name], "") for name in ("decision", "ruled_by")}
    return Facts(judged, is_catch(), **counted, **decided)


def seen(query: Select, view: View, reviewer: str, needed: int) -> Select:
    """`query` over the flags of a view. `needed`: how many reviewers a flag should have."""
    joined = query.select_from(flags.outerjoin(reviews, reviews.c.flag_id == flags.c.flag_id))
    return joined.where(has_status(view.status, facts_of(judged_by(reviewer)), reviewer, needed), *_filters(view))


def has_status(status: str, facts: Facts, reviewer: str, needed: int) -> ColumnElement[bool]:
    """What others decided is shown to those who have decided themselves; without a reviewer all is shown."""
    judged = facts.judged
    told = judged if reviewer else true()
    most = _largest(facts.accepted, facts.rejected, facts.without_target, facts.withheld)
    settled = is_settled(needed, facts.decision, facts.ruled_by, facts.reviewers)
    known = and_(told, settled)
    return {
        "todo": and_(~judged, or_(~settled, facts.catch)),
        "mine": judged,
        "disputed": and_(most < facts.reviewers, facts.ruled_by == ""),
        "accepted": and_(known, facts.decision == "accept"),
        "rejected": and_(known, facts.decision == "reject"),
        "needs_target": and_(known, facts.decision == "needs_target"),
        "withheld": and_(known, facts.decision.in_(WITHHOLDING)),
        "all": true(),
    }[status]


def _filters(view: View) -> list[ColumnElement[bool]]:
    most: list[ColumnElement[bool]] = []
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


def behind(connection: Connection, view: View, after: str) -> ColumnElement[bool]:
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


def order(view: View) -> list[Any]:
    return {
        "newest": [flags.c.sequence.desc()],
        "oldest": [flags.c.sequence.asc()],
        "disputed": [_disputed().desc(), flags.c.sequence.desc()],
    }[view.sort]


def _disputed() -> ColumnElement[int]:
    """How many reviewers do not agree with the most."""
    most = _largest(reviews.c.accepted, reviews.c.rejected, reviews.c.without_target, reviews.c.withheld)
    return func.coalesce(reviews.c.reviewers - most, 0)


def _largest(*columns: ColumnElement[int]) -> ColumnElement[int]:
    """SQLite calls it max, PostgreSQL greatest."""
    largest: ColumnElement[int] = columns[0]
    for column in columns[1:]:
        largest = case((column > largest, column), else_=largest)
    return largest


def gives_no_truth_away(flag_id: ColumnElement[str], reviewer: str) -> ColumnElement[bool]:
    """False for a catch item that this reviewer is still to be measured by."""
    return or_(~exists().where(gold_items.c.flag_id == flag_id), judged_by(reviewer, flag_id))


def is_catch() -> ColumnElement[bool]:
    return exists().where(gold_items.c.flag_id == flags.c.flag_id)
