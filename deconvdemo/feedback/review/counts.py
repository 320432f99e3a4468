"""How many flags each choice of a filter would show, the other filters as they are."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, case, func, select

from deconvdemo.feedback.review.conditions import Facts, facts_of, has_status, seen
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.review.view import STATUSES, View
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.standing import judged_by
from deconvdemo.feedback.store.tables import flags

COUNTED = {"task": flags.c.task, "reason": flags.c.reasons, "weights": flags.c.checkpoint}  # by View's field


def counts(queue: ReviewQueue, view: View, reviewer: str) -> dict[str, dict[str, int]]:
    """Filter → choice → flags."""
    with refusals("the queue cannot be read"), queue.store.reading() as connection:
        return {
            **_by_column(connection, view, reviewer, queue.needed),
            "status": _by_status(connection, view, reviewer, queue.needed),
        }


def _by_column(connection: Connection, view: View, reviewer: str, needed: int) -> dict[str, dict[str, int]]:
    alike: dict[View, list[str]] = {}  # filters that are not set are counted in one look at the table
    for name in COUNTED:
        alike.setdefault(replace(view, **{name: ""}), []).append(name)
    counted: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
    for without, names in alike.items():
        columns = [COUNTED[name] for name in names]
        query = seen(select(*columns, func.count()), without, reviewer, needed).group_by(*columns)
        for *values, number in connection.execute(query):
            for name, value in zip(names, values, strict=True):
                counted[name].update(dict.fromkeys(_choices(name, value), number))
    return {name: dict(numbers.most_common()) for name, numbers in counted.items()}


def _by_status(connection: Connection, view: View, reviewer: str, needed: int) -> dict[str, int]:
    """In one look at the table: flags of whom the same is known are counted together, then by status."""
    facts = vars(facts_of(judged_by(reviewer)))
    known = [column.label(name) for name, column in facts.items()]
    query = seen(select(*known, func.count().label("flags")), replace(view, status="all"), reviewer, needed)
    groups = query.group_by(*facts).subquery()
    told = Facts(**{name: groups.c[name] for name in facts})
    sums = [
        func.coalesce(func.sum(case((has_status(status, told, reviewer, needed), groups.c.flags), else_=0)), 0)
        for status in STATUSES
    ]
    return dict(zip(STATUSES, map(int, connection.execute(select(*sums)).one()), strict=True))


def _choices(name: str, value: str) -> list[str]:
    if name == "reason":
        return json.loads(value)
    if name == "weights":
        facts: dict[str, Any] = json.loads(value)
        return [str(facts.get("sha256") or "")[:12]] if facts.get("sha256") else []
    return [value]
