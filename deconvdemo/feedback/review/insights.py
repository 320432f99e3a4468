"""What the feedback says as a whole: by day, task, reason and weights; reviewers' progress; the weights' history.

Each answer is one grouped look at the database, in rows that a plot takes: dictionaries with the names of columns.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, func, select

from deconvdemo.feedback.events.opinions import DECISIONS
from deconvdemo.feedback.events.records import REASONS
from deconvdemo.feedback.review.lineage import noted_weights
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.ruling import is_accepted, is_settled
from deconvdemo.feedback.store.standing import newest_verdicts
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, reviews
from deconvdemo.tasks import TASKS

Rows = list[dict[str, Any]]

DAYS = 60  # how far back the days go
MOST_WEIGHTS = 12  # the newest versions that are shown
_MAIN = ("sigma 25 PSNR", "real noise PSNR", "in holes")


def flags_a_day(store: FeedbackStore, now: datetime | None = None) -> Rows:
    """`day`, `task`, `flags`, of the last DAYS days (UTC); a day without flags is a row with 0."""
    today = (now or datetime.now(UTC)).date()
    first = today - timedelta(days=DAYS - 1)
    day = func.substr(flags.c.created_at, 1, 10).label("day")
    query = select(day, flags.c.task, func.count()).where(flags.c.created_at >= first.isoformat())
    found = {(when, task): number for when, task, number in _rows(store, query.group_by(day, flags.c.task))}
    tasks = sorted({task for _, task in found}) or [next(iter(TASKS))]
    days = [(first + timedelta(days=number)).isoformat() for number in range(DAYS)]
    begin = next((place for place, when in enumerate(days) if any((when, task) in found for task in tasks)), DAYS - 7)
    return [
        {"day": when, "task": task, "flags": found.get((when, task), 0)}
        for when in days[min(begin, DAYS - 7) :]
        for task in tasks
    ]


def reasons(store: FeedbackStore) -> tuple[Rows, Rows]:
    """(`task`, `reason`, `flags`) and (`weights`, `reason`, `share`), in percent.

    Shares are of all reasons given for these weights: a flag may have several, so that its own would not add up.
    """
    query = select(flags.c.task, flags.c.checkpoint, flags.c.reasons, func.count(), func.max(flags.c.sequence))
    groups = _rows(store, query.group_by(flags.c.task, flags.c.checkpoint, flags.c.reasons))
    by_task, by_weights = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    totals, newest = Counter[str](), defaultdict[str, int](int)
    for task, checkpoint, given, number, last in groups:
        weights = weights_label(json.loads(checkpoint))
        totals[weights] += number * len(json.loads(given))
        newest[weights] = max(newest[weights], last)
        for reason in json.loads(given):
            by_task[task, REASONS.get(reason, reason)] += number
            by_weights[weights, REASONS.get(reason, reason)] += number
    shown = sorted(totals, key=lambda weights: -newest[weights])[:MOST_WEIGHTS]
    first = [{"task": task, "reason": reason, "flags": number} for (task, reason), number in by_task.items()]
    second = [
        {"weights": weights, "reason": reason, "share": 100 * number / totals[weights], "of": totals[weights]}
        for (weights, reason), number in by_weights.items()
        if weights in shown
    ]
    return first, second


def rates(store: FeedbackStore, needed: int = 1) -> Rows:
    """`weights`, `rate`, `share` in percent and `of`: flagged good, and of the other ones that were
    judged, accepted by reviewers."""
    good, judged = flags.c.reasons == '["good"]', reviews.c.reviewers > 0
    query = select(
        flags.c.checkpoint,
        func.count(),
        func.sum(case((good, 1), else_=0)),
        func.sum(case((and_(judged, ~good), 1), else_=0)),
        func.sum(case((and_(is_accepted(needed), ~good), 1), else_=0)),
        func.max(flags.c.sequence),
    )
    joined = query.select_from(flags.outerjoin(reviews, reviews.c.flag_id == flags.c.flag_id))
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for checkpoint, number, good, judged, accepted, last in _rows(store, joined.group_by(flags.c.checkpoint)):
        counted = found[weights_label(json.loads(checkpoint))]
        counted.update({"flags": number, "good": good or 0, "judged": judged or 0, "accepted": accepted or 0})
        counted["last"] = max(counted["last"], last)
    shown = sorted(found, key=lambda weights: -found[weights]["last"])[:MOST_WEIGHTS]
    rows = []
    for weights in shown:
        counted = found[weights]
        for words, part, whole in (("flagged as good", "good", "flags"), ("failure confirmed", "accepted", "judged")):
            if counted[whole]:
                share = 100 * counted[part] / counted[whole]
                rows.append({"weights": weights, "rate": words, "share": share, "of": counted[whole]})
    return rows


def progress(store: FeedbackStore, needed: int) -> tuple[Rows, Rows]:
    """(`reviewer`, `decision`, `verdicts`) of what stands, and (`state`, `flags`): how far the reviewing is."""
    newest = newest_verdicts()
    given = select(newest.c.reviewer, newest.c.decision, func.count()).group_by(newest.c.reviewer, newest.c.decision)
    by_reviewer = [
        {"reviewer": reviewer, "decision": DECISIONS[decision], "verdicts": number}
        for reviewer, decision, number in _rows(store, given)
    ]
    state = case(
        (is_settled(needed), "judged"),
        (reviews.c.decision == "", "reviewers disagree"),
        else_="more reviewers needed",
    )
    counted = dict(_rows(store, select(state, func.count()).select_from(reviews).group_by(state)))
    waiting = store.totals()["flags"] - sum(counted.values())
    states = {"judged": 0, "reviewers disagree": 0, "more reviewers needed": 0, **counted, "not looked at": waiting}
    return by_reviewer, [{"state": name, "flags": number} for name, number in states.items()]


def weights_history(store: FeedbackStore) -> Rows:
    """`since` (when it began to serve here), `weights`, `measure` and `psnr` in dB."""
    rows: Rows = []
    for facts in noted_weights(store):
        measures = [measure for measure in facts["measured"] if measure.endswith(("PSNR", "PSNR in holes"))]
        if measures:
            # one line a network: the literature's middle case, what counts in inpainting, else the first
            main = next((one for one in measures if one.endswith(_MAIN)), measures[0])
            row = {"since": facts["since"], "weights": weights_label(facts), "measure": f"{facts['name']}, {main}"}
            rows.append({**row, "psnr": facts["measured"][main]})
    return sorted(rows, key=lambda row: (row["measure"], row["since"]))


def weights_label(checkpoint: dict[str, Any]) -> str:
    """A weights file's name and the beginning of its sha256."""
    name, sha256 = checkpoint.get("name") or "unknown", checkpoint.get("sha256")
    return f"{name} {sha256[:8]}" if sha256 else str(name)


def _rows(store: FeedbackStore, query: Any) -> list[Any]:
    with refusals("the feedback cannot be counted"), store.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]
