"""The clean target of a flag: what a reviewer uploaded, or the visitor gave; never a network's own output (law 8)."""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import select

from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.standing import newest_verdicts
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags


def targets(store: FeedbackStore, flag_ids: Collection[str]) -> dict[str, str]:
    """Flag id → the stored file of its target, for those of these flags (some hundreds at most) that have one.

    The newest upload among the verdicts that accept the flag counts, before the visitor's own.
    """
    own = select(flags.c.flag_id, flags.c.clean).where(flags.c.flag_id.in_(flag_ids), flags.c.clean.is_not(None))
    newest = newest_verdicts(flag_ids, "clean", "target", "created_at", "sequence")
    given = select(newest.c.flag_id, newest.c.clean, newest.c.target)
    given = given.where(newest.c.decision == "accept", newest.c.clean.is_not(None))
    with refusals("the flags' targets cannot be looked up"), store.reading() as connection:
        found = {flag_id: name for flag_id, name in connection.execute(own)}
        for flag_id, name, told in connection.execute(given.order_by(newest.c.created_at, newest.c.sequence)):
            if json.loads(told).get("source") == "upload":
                found[flag_id] = name
    return found
