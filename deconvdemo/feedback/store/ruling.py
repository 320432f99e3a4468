"""What was decided of a flag: one rule, said here alone, for the queue, pairs, releases, duels and publication.

The newest verdict of each reviewer stands (`standing.py`). Of those that stand:

1. an owner's decides, whatever others say; of several owners' the newest;
2. else one that calls the flag unsafe, or hides it, is enough;
3. else what more than half of the reviewers say, once there are as many as a flag should have (`needed`).

A photo may be shown to strangers where the flag is accepted and who decides says so: the owner, or one of those who
accept it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, exists, or_

from deconvdemo.feedback.events.opinions import WITHHOLDING
from deconvdemo.feedback.store.tables import flags, reviews

PASSED = ("accept", "needs_target")  # whoever says so lets the flag be published
LEFT_OUT = ("reject", *WITHHOLDING)  # of everything that leaves this machine


def ruling_of(standing: Sequence[Any]) -> dict[str, Any]:
    """The columns of `reviews`, from the verdicts on one flag that stand, the oldest first."""
    decisions = [verdict.decision for verdict in standing]
    owners = [verdict for verdict in standing if verdict.adjudicates]
    said = [owners[-1].decision] if owners else [word for word in WITHHOLDING if word in decisions]
    said = said or [word for word in dict.fromkeys(decisions) if 2 * decisions.count(word) > len(decisions)]
    return {
        "reviewers": len(decisions),
        "accepted": decisions.count("accept"),
        "rejected": decisions.count("reject"),
        "without_target": decisions.count("needs_target"),
        "withheld": sum(decision in WITHHOLDING for decision in decisions),
        "decision": said[0] if said else "",
        "ruled_by": owners[-1].reviewer if owners else "",
        "showable": said == ["accept"] and any(verdict.may_be_shown for verdict in owners[-1:] or standing),
    }


def is_settled(
    needed: int,
    decision: ColumnElement[str] = reviews.c.decision,
    ruled_by: ColumnElement[str] = reviews.c.ruled_by,
    reviewers: ColumnElement[int] = reviews.c.reviewers,
) -> ColumnElement[bool]:
    """Of a row of `reviews`: whether its decision counts."""
    enough = or_(ruled_by != "", decision.in_(WITHHOLDING), reviewers >= needed)
    return and_(decision != "", enough)


def is_accepted(needed: int = 1) -> ColumnElement[bool]:
    """Of a row of `reviews`."""
    return and_(reviews.c.decision == "accept", is_settled(needed))


def may_be_shown(needed: int = 1) -> ColumnElement[bool]:
    """Of a row of `reviews`: accepted, and marked as something that strangers may see."""
    return and_(is_accepted(needed), reviews.c.showable)


def decided_as(decisions: Sequence[str], flag_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether one of these was decided of a flag, at once: not waiting for as many reviewers as a flag should have."""
    noted = reviews.alias()  # the query around may look at the table, too
    return exists().where(noted.c.flag_id == flag_id, noted.c.decision.in_(decisions))


def is_public(table: Table, moderated: bool) -> ColumnElement[bool]:
    """Whether a row of `flags`, `verdicts` or `votes` may be published, by the flag that it is about.

    Withheld flags never are; where publishing is `moderated`, no flag is before a reviewer lets it pass. What is said
    of a flag goes with it, but a word that withholds it always goes: so other machines learn of it.
    """
    shown = ~decided_as(WITHHOLDING, table.c.flag_id)
    if moderated:
        passed = decided_as(PASSED, table.c.flag_id)
        if table is flags:
            shown = and_(shown, passed)
        else:
            told = flags.alias()
            there = exists().where(told.c.flag_id == table.c.flag_id, told.c.shard.is_not(None))
            shown = and_(shown, or_(table.c.flag_id == "", passed, there))
    return or_(shown, table.c.decision.in_(WITHHOLDING)) if "decision" in table.c else shown
