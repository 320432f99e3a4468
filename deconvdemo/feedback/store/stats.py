"""What a store has, counted: by task, reason, weights and day."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from sqlalchemy import ColumnElement, func, select

from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags


def stats(store: FeedbackStore, *where: ColumnElement[bool]) -> dict[str, Any]:
    """Of all flags, or of those `where` something holds. JSON-able: `total` and `bytes` of images; `tasks`, `reasons`,
    `checkpoints` (name@first 12 of sha256) and `days` (UTC), each with its number of flags; numbers of `verdicts` and
    `votes`; `first` and `last`, ISO 8601 in UTC or None."""
    counted = store.totals()
    with refusals("the flags cannot be counted"):
        with store.reading() as connection:
            groups = connection.execute(
                select(flags.c.task, flags.c.reasons, flags.c.checkpoint, func.count())
                .where(*where)
                .group_by(flags.c.task, flags.c.reasons, flags.c.checkpoint)
            ).all()
            dates = select(func.min(flags.c.created_at), func.max(flags.c.created_at)).where(*where)
            first, last = connection.execute(dates).one()
            day = func.substr(flags.c.created_at, 1, 10)
            days = connection.execute(select(day, func.count()).where(*where).group_by(day).order_by(day)).all()
        tasks, reasons, checkpoints = Counter[str](), Counter[str](), Counter[str]()
        for task, given, checkpoint, number in groups:
            tasks[task] += number
            reasons.update(dict.fromkeys(json.loads(given), number))
            checkpoints[_checkpoint_label(json.loads(checkpoint))] += number
        return {
            "total": tasks.total(),
            "tasks": dict(tasks.most_common()),
            "reasons": dict(reasons.most_common()),
            "checkpoints": dict(checkpoints.most_common()),
            "days": {day: number for day, number in days},
            "verdicts": counted["verdicts"],
            "votes": counted["votes"],
            "bytes": counted["bytes"],
            "first": first,
            "last": last,
        }


def _checkpoint_label(checkpoint: dict[str, Any]) -> str:
    name, sha256 = checkpoint.get("name") or "unknown", checkpoint.get("sha256")
    return f"{name}@{sha256[:12]}" if sha256 else name
