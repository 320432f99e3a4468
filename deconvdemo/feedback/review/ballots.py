"""Which votes count, what is known of who gave them, and whether they agree."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from deconvdemo.feedback.events.records import as_json
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import votes

GOLD = ("clean", "spoilt")  # kinds of contenders: between these two everybody who looks chooses the first


@dataclass(frozen=True)
class Ballot:
    """A vote that counts, contenders as text that is equal for one contender."""

    left: str
    right: str
    choice: str
    scale: int  # 0: the task has none, or an earlier version did not note it
    picture: str  # the stored file of what came in
    visitor: str  # "": not known


@dataclass(frozen=True)
class Ballots:
    """`gold` is how many gold pairs were told rightly, and of how many; `left_out` how many votes do not count, since
    whoever gave them chose wrongly in more gold pairs than rightly."""

    counted: tuple[Ballot, ...]
    gold: tuple[int, int] = (0, 0)
    left_out: int = 0


def ballots(store: FeedbackStore, task: str) -> Ballots:
    """Of all votes on a task's results. Who voters are is known for a day, and of votes from elsewhere never."""
    names = ("left_contender", "right_contender", "choice", "observed", "visitor")
    query = select(*(votes.c[name] for name in names)).where(votes.c.task == task).order_by(votes.c.sequence)
    with refusals("the votes cannot be read"), store.reading() as connection:
        rows = connection.execute(query).all()
    known: dict[str, tuple[str, str, int]] = {}
    plain, right, wrong = [], Counter[str](), Counter[str]()
    for left, side, choice, picture, visitor in rows:
        for contender in (left, side):
            if contender not in known:
                known[contender] = _key(contender)
        (one, kind, scale), (other, second, _) = known[left], known[side]
        if {kind, second} == set(GOLD):
            better = "left" if kind == GOLD[0] else "right"
            (right if choice == better else wrong)[visitor or ""] += 1
        else:
            plain.append(Ballot(one, other, choice, scale, picture or "", visitor or ""))
    blind = {visitor for visitor in wrong if visitor and wrong[visitor] > right[visitor]}
    counted = tuple(ballot for ballot in plain if ballot.visitor not in blind)
    return Ballots(counted, (right.total(), right.total() + wrong.total()), len(plain) - len(counted))


def agreement(counted: list[Ballot]) -> tuple[float | None, int]:
    """Krippendorff's alpha of the choices, and the number of pairs of pictures that several visitors judged.

    None where it is not defined. Of one visitor the last choice on a pair counts.
    """
    said: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for number, ballot in enumerate(counted):
        pair = sorted((ballot.left, ballot.right))
        chosen = {"left": ballot.left, "right": ballot.right}.get(ballot.choice)
        word = ballot.choice if chosen is None else "first" if chosen == pair[0] else "second"
        said[ballot.picture, *pair][ballot.visitor or f"vote {number}"] = word
    shared = [Counter(words.values()) for words in said.values() if len(words) > 1]
    words = sorted(set().union(*shared))
    if len(words) < 2:  # nothing to tell agreement from chance by
        return None, len(shared)
    import krippendorff

    table = np.array([[counter[word] for word in words] for counter in shared])
    return float(krippendorff.alpha(value_counts=table, level_of_measurement="nominal")), len(shared)


def _key(contender: str) -> tuple[str, str, int]:
    """What makes two contenders one (not where the weights were read from), their kind and their scale."""
    facts = json.loads(contender)
    if isinstance(facts.get("checkpoint"), dict):
        facts["checkpoint"] = {name: facts["checkpoint"].get(name) for name in ("name", "sha256")}
    scale = facts.get("scale")
    return as_json(facts), str(facts.get("kind", "")), scale if isinstance(scale, int) else 0
