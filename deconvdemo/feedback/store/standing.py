"""Which verdict stands: the newest of each reviewer on each flag, unless they took it back. Said here alone.

Two moments alike are told apart by the sequence number.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Subquery, exists, func, select, tuple_

from deconvdemo.feedback.store.tables import flags, verdicts


def newest_verdicts(flag_ids: Collection[str] | None = None, *more: str) -> Subquery:
    """What stands, of all flags or of these: `flag_id`, `reviewer`, `decision`, and `more` columns."""
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


def judged_by(reviewer: str, flag_id: ColumnElement[str] = flags.c.flag_id) -> ColumnElement[bool]:
    """Whether a verdict of the reviewer stands, for each row of a query: asked of the index, where `newest_verdicts`
    would look at every verdict of all."""
    last, newer = verdicts.alias(), verdicts.alias()
    overtaken = exists().where(
        newer.c.flag_id == last.c.flag_id,
        newer.c.reviewer == last.c.reviewer,
        tuple_(newer.c.created_at, newer.c.sequence) > tuple_(last.c.created_at, last.c.sequence),
    )
    mine = exists().where(last.c.flag_id == flag_id, last.c.reviewer == reviewer)
    return mine.where(last.c.decision != "withdrawn", ~overtaken)
