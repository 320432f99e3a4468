"""What each release makes of the flags: fixed, still bad, or newly bad.

A release is a set of weights that has served a name. It restores again every accepted flag of that name which says that
something is wrong and has a clean target; what is kept of it is two figures: PSNR in dB against the target, of the
flagged result and of the release's own. States follow from the figures when they are asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, exists, func, or_, select

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.review import pairs
from deconvdemo.feedback.review.conditions import gives_no_truth_away
from deconvdemo.feedback.review.likeness import Likenesses
from deconvdemo.feedback.review.lineage import noted_weights
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.review.targets import targets
from deconvdemo.feedback.store.ledger import upsert
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, replays, reviews, verdicts
from deconvdemo.tasks import TASKS

MARGIN = 0.5  # dB: a smaller change is none that a person would see
NEWLY_BAD, STILL_BAD, FIXED = "newly_bad", "still_bad", "fixed"
STATES = {NEWLY_BAD: "Newly bad", STILL_BAD: "Still bad", FIXED: "Fixed"}  # as they are shown, what needs a look first
KEPT = {"": "All", "held_back": "Held back from training", "others": "Open to training"}
PAGE = 200  # flags looked at in one transaction
SHOWN = 20  # replays on a page


def state_of(flagged: Any, now: Any, before: Any) -> ColumnElement[str]:
    """The state of a replay, from columns of figures in dB; `before`: of the release before, null if it has none.

    fixed: at least MARGIN above the flagged result. Newly bad: at least MARGIN below it, or the release before had
    fixed it and this one has not. Still bad: all else. Hundredths decide, as they are shown.
    """

    def gained(figure: Any) -> Any:
        return func.round(100 * (figure - flagged))

    least = round(100 * MARGIN)
    return case(
        (gained(now) >= least, FIXED),
        (or_(gained(now) <= -least, gained(before) >= least), NEWLY_BAD),
        else_=STILL_BAD,
    )


@dataclass(frozen=True)
class Due:
    """A flag that a release has not replayed, or only against another target."""

    name: str
    sha256: str
    flag_id: str
    target: str  # the stored file


@dataclass(frozen=True)
class Release:
    """Weights that have served `name` since a moment (ISO 8601), with state → flags: of all, and of those held back."""

    name: str
    sha256: str
    since: str
    all: Counter[str]
    held_back: Counter[str]


@dataclass(frozen=True)
class Replay:
    """One flag, as a release restores it. Figures are PSNR in dB; `before`: of the release before, if it has one."""

    sha256: str
    flag_id: str
    state: str
    flagged: float
    now: float
    before: float | None
    held_back: bool
    target: str  # the stored file


class Replays:
    """The replays of a store. `needed`: how many reviewers a flag should have."""

    def __init__(self, store: FeedbackStore, needed: int = 1):
        self.store, self.queue, self.likenesses = store, ReviewQueue(store, needed), Likenesses(store)

    def due(self, serving: Mapping[str, str]) -> Iterator[Due]:
        """What is left to replay, the oldest flag first. `serving`: name → sha256 of the weights."""
        while self.likenesses.note():
            pass  # which flags are held back follows from the families
        seen = 0
        while rows := self._candidates(seen):
            seen = rows[-1].sequence
            names = {row.flag_id: weights_name(row.task, json.loads(row.controls)) for row in rows}
            served = {flag_id: name for flag_id, name in names.items() if name in serving}
            found = targets(self.store, served)
            done = self._done(list(found))
            for flag_id, target in found.items():
                due = Due(served[flag_id], serving[served[flag_id]], flag_id, target)
                if (due.sha256, flag_id, target) not in done:
                    yield due

    def note(self, due: Due, flagged: float, now: float) -> None:
        """Keeps the figures of one replay; in place of those against another target, if there are any."""
        facts = {
            "target": due.target,
            "flagged": round(flagged, 2),
            "now": round(now, 2),
            "held_back": pairs.is_held_out(self.likenesses.family(due.flag_id)[0] or due.flag_id),
            "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        }
        with refusals("the replay was not noted"), self.store.writing() as connection:
            # locked, so that an erasure waits and then removes this row too; none for a flag that is erased by now
            flag = select(flags.c.sequence).where(flags.c.flag_id == due.flag_id).with_for_update(read=True)
            if connection.execute(flag).first():
                row = upsert(connection, replays).values(sha256=due.sha256, flag_id=due.flag_id, **facts)
                keys = [replays.c.sha256, replays.c.flag_id]
                connection.execute(row.on_conflict_do_update(index_elements=keys, set_=facts))

    def releases(self, reviewer: str = "") -> list[Release]:
        """Of the names that have replays, the newest release first. To a reviewer, catch items do not count that would
        give their truth away."""
        shown = self._shown(reviewer).subquery()
        group = (shown.c.sha256, shown.c.state, shown.c.held_back)
        query = select(*group, func.count()).group_by(*group)
        with refusals("the replays cannot be counted"), self.store.reading() as connection:
            rows = connection.execute(query).all()
        every, held_back = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for sha256, state, kept, number in rows:
            every[sha256, state] += number
            held_back[sha256, state] += number if kept else 0
        known = noted_weights(self.store)
        names = {facts["name"] for facts in known if any((facts["sha256"], state) in every for state in STATES)}

        def of(counted: Counter[tuple[str, str]], sha256: str) -> Counter[str]:
            return Counter({state: counted[sha256, state] for state in STATES})

        return [
            Release(facts["name"], sha256, facts["since"], of(every, sha256), of(held_back, sha256))
            for facts in reversed(known)
            if (sha256 := facts["sha256"]) and facts["name"] in names
        ]

    def page(self, sha256: str, state: str = "", kept: str = "", number: int = 1, reviewer: str = "") -> list[Replay]:
        """One page of a release's replays, what needs a look first. FeedbackError for a state that is none."""
        for value, known in ((state, {"": "", **STATES}), (kept, KEPT)):
            if value not in known:
                raise FeedbackError(f"{value!r} cannot be shown: choose among {', '.join(filter(None, known))}")
        shown = self._of(sha256, reviewer).subquery()
        query = select(shown)
        if state:
            query = query.where(shown.c.state == state)
        if kept:
            query = query.where(shown.c.held_back.is_(kept == "held_back"))
        rank = case({name: place for place, name in enumerate(STATES)}, value=shown.c.state)
        query = query.order_by(rank, shown.c.now - shown.c.flagged, shown.c.flag_id)
        return self._read(query.limit(SHOWN).offset((max(number, 1) - 1) * SHOWN))

    def get(self, sha256: str, flag_id: str, reviewer: str = "") -> Replay:
        """FeedbackError for a flag that this release has not replayed, or that is not shown any more."""
        found = self._read(self._of(sha256, reviewer).where(replays.c.flag_id == flag_id))
        if not found:
            raise FeedbackError(f"there is no replay of flag {flag_id!r} any more: reload the page")
        return found[0]

    def _of(self, sha256: str, reviewer: str) -> Select:
        if not any(facts["sha256"] == sha256 for facts in noted_weights(self.store)):
            raise FeedbackError(f"no weights with the sha256 {sha256[:12]!r} have served here: choose a release")
        return self._shown(reviewer).where(replays.c.sha256 == sha256)

    def _read(self, query: Select) -> list[Replay]:
        with refusals("the replays cannot be read"), self.store.reading() as connection:
            return [Replay(**row) for row in connection.execute(query).mappings()]

    def _shown(self, reviewer: str) -> Select:
        """Replay's columns, of flags that are accepted still; to a reviewer no truth of a catch item is given away."""
        earlier = replays.alias()
        # CASE wants a branch also where no release has one before it
        previous = case(_releases_before(noted_weights(self.store)) or {"": ""}, value=replays.c.sha256)
        sources = replays.join(reviews, reviews.c.flag_id == replays.c.flag_id).outerjoin(
            earlier, and_(earlier.c.flag_id == replays.c.flag_id, earlier.c.sha256 == previous)
        )
        columns = (replays.c[name] for name in ("sha256", "flag_id", "target", "flagged", "now", "held_back"))
        state = state_of(replays.c.flagged, replays.c.now, earlier.c.now).label("state")
        query = select(*columns, earlier.c.now.label("before"), state).select_from(sources)
        query = query.where(self.queue.accepted())
        return query.where(gives_no_truth_away(replays.c.flag_id, reviewer)) if reviewer else query

    def _candidates(self, seen: int) -> list[Row]:
        """Accepted flags that say that something is wrong and may have a target."""
        given = exists().where(verdicts.c.flag_id == flags.c.flag_id, verdicts.c.clean.is_not(None))
        query = select(flags.c.sequence, flags.c.flag_id, flags.c.task, flags.c.controls)
        query = query.select_from(flags.join(reviews, reviews.c.flag_id == flags.c.flag_id))
        query = query.where(flags.c.sequence > seen, self.queue.accepted(), flags.c.reasons != '["good"]')
        query = query.where(or_(flags.c.clean.is_not(None), given)).order_by(flags.c.sequence).limit(PAGE)
        with refusals("the flags cannot be read"), self.store.reading() as connection:
            return list(connection.execute(query).all())

    def _done(self, flag_ids: list[str]) -> set[tuple[str, str, str]]:
        query = select(replays.c.sha256, replays.c.flag_id, replays.c.target).where(replays.c.flag_id.in_(flag_ids))
        with refusals("the replays cannot be read"), self.store.reading() as connection:
            return {(row.sha256, row.flag_id, row.target) for row in connection.execute(query)}


def weights_name(task: str, controls: Mapping[str, Any]) -> str:
    """The name of the weights that a flag's controls ask for; "" if there can be none."""
    try:
        return TASKS[task].weights(controls)
    except KeyError:  # a task of another program, or an upscaled photo without its scale
        return ""


def _releases_before(known: list[dict[str, Any]]) -> dict[str, str]:
    """sha256 → the sha256 of the release before it of the same name; `known`: the oldest first."""
    last: dict[str, str] = {}
    before: dict[str, str] = {}
    for facts in known:
        if facts["name"] in last:
            before[facts["sha256"]] = last[facts["name"]]
        last[facts["name"]] = facts["sha256"]
    return before
