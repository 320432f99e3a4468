"""Who wins the duels: a Bradley–Terry ranking with confidence intervals, and whether the side matters.

Bradley & Terry 1952: the log-odds that i is chosen over j are b_i − b_j; here also + c for standing on the left
(Davidson & Beaver 1977), so that c tells the position bias. A vote for neither is half a win for each. That is a
logistic regression, which statsmodels fits. Each contender, and the left side, also wins and loses half a duel against
a strength of 0: without that, who has never lost would have no finite strength, and nobody could be compared with
those they never met.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import func, select

from deconvdemo.feedback.events.records import as_json
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import votes

Z = 1.96  # of a 95 % interval
FEWEST_DUELS = 10  # that tell whether a candidate is liked less
PRIOR = 0.5  # wins, and defeats, against the contender of strength 0


@dataclass(frozen=True)
class Standing:
    """A contender: its strength in log-odds (0 is the average), the ends of its 95 % interval, and its duels."""

    contender: dict[str, Any]
    strength: float
    low: float
    high: float
    duels: int
    wins: float  # a vote for neither is half a win

    @property
    def chance(self) -> float:
        """Of being chosen over the average contender."""
        return 1 / (1 + math.exp(-self.strength))


@dataclass(frozen=True)
class Ranking:
    """The strongest first. `left` is how often the left one of two equal ones is chosen, with its 95 % interval."""

    task: str
    votes: int
    standings: tuple[Standing, ...]
    left: tuple[float, float, float]  # at, low, high; (0.5, 0, 1) without votes


def ranking(store: FeedbackStore, task: str) -> Ranking:
    """Of all votes on a task's results."""
    columns = (votes.c.left_contender, votes.c.right_contender, votes.c.choice)
    query = select(*columns, func.count()).where(votes.c.task == task).group_by(*columns)
    with refusals("the votes cannot be read"), store.reading() as connection:
        rows = connection.execute(query).all()
    counted = [(_key(left), _key(right), choice, number) for left, right, choice, number in rows]
    return fit(task, counted)


def direct(store: FeedbackStore, task: str, candidate: str, served: str) -> tuple[float, int]:
    """How many duels `candidate` won against `served`, both sha256 of weights, and how many there were.

    A vote for neither is half a win.
    """
    query = select(votes.c.left_contender, votes.c.right_contender, votes.c.choice).where(votes.c.task == task)
    with refusals("the votes cannot be read"), store.reading() as connection:
        rows = connection.execute(query).all()
    wins, duels = 0.0, 0
    for left, right, choice in rows:
        sides = [str((json.loads(one).get("checkpoint") or {}).get("sha256", "")) for one in (left, right)]
        if set(sides) == {candidate, served}:
            on_the_left = sides[0] == candidate
            share = {"left": 1.0, "right": 0.0}.get(choice, 0.5)
            wins, duels = wins + (share if on_the_left else 1 - share), duels + 1
    return wins, duels


def less_liked(won: float, duels: int) -> list[str]:
    """A sentence if people certainly prefer what serves: the 95 % interval (Wilson 1927) is below one half."""
    from statsmodels.stats.proportion import proportion_confint

    if duels < FEWEST_DUELS or proportion_confint(won, duels, method="wilson")[1] >= 0.5:
        return []
    return [f"people prefer what serves: it was chosen {won:g} times in {duels} duels"]


def fit(task: str, counted: list[tuple[str, str, str, int]]) -> Ranking:
    """`counted`: left contender and right contender (JSON), choice, and how often."""
    names = sorted({name for left, right, *_ in counted for name in (left, right)})
    if not names:
        return Ranking(task, 0, (), (0.5, 0.0, 1.0))
    place = {name: number for number, name in enumerate(names)}
    design, chosen, weights = [], [], []

    def row(plus: int, minus: int | None, side: int, left_won: int, weight: float) -> None:
        line = np.zeros(len(names) + 1)
        line[plus] += 1
        if minus is not None:
            line[minus] -= 1
        line[-1] += side
        design.append(line)
        chosen.append(left_won)
        weights.append(weight)

    duels, wins = np.zeros(len(names)), np.zeros(len(names))
    for left, right, choice, number in counted:
        share = {"left": 1.0, "right": 0.0}.get(choice, 0.5)
        i, j = place[left], place[right]
        duels[[i, j]] += number
        wins[i] += share * number
        wins[j] += (1 - share) * number
        for won, part in ((1, share), (0, 1 - share)):
            if part and i != j:
                row(i, j, 1, won, part * number)
    for prior in range(len(names) + 1):  # the last: the side
        row(prior, None, 0, 1, PRIOR)
        row(prior, None, 0, 0, PRIOR)
    fitted = _logistic(np.array(design), np.array(chosen), np.array(weights))
    strengths, errors = (column.tolist() for column in fitted)
    found = [
        Standing(json.loads(name), strengths[i], strengths[i] - Z * errors[i], strengths[i] + Z * errors[i],
                 int(duels[i]), float(wins[i]))
        for name, i in place.items()
    ]  # fmt: skip
    bias = strengths[-1], strengths[-1] - Z * errors[-1], strengths[-1] + Z * errors[-1]
    at, low, high = (1 / (1 + math.exp(-value)) for value in bias)
    standings = tuple(sorted(found, key=lambda standing: -standing.strength))
    return Ranking(task, sum(number for *_, number in counted), standings, (at, low, high))


def _logistic(design: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients, the strengths' mean taken off, and their standard errors."""
    import statsmodels.api as sm

    result = sm.GLM(chosen, design, family=sm.families.Binomial(), freq_weights=weights).fit()
    count = design.shape[1] - 1
    centring = np.eye(count + 1)
    centring[:count, :count] -= 1 / count
    covariance = centring @ result.cov_params() @ centring.T
    return centring @ result.params, np.sqrt(np.maximum(np.diag(covariance), 0))


def _key(contender: str) -> str:
    """What makes two contenders one: not where the weights were read from."""
    facts = json.loads(contender)
    if isinstance(facts.get("checkpoint"), dict):
        facts["checkpoint"] = {name: facts["checkpoint"].get(name) for name in ("name", "sha256")}
    return as_json(facts)
