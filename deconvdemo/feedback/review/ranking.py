"""Who wins the duels: a Bradley–Terry ranking with confidence intervals, and whether the side matters.

Bradley & Terry 1952: the log-odds that i is chosen over j are b_i − b_j; here also + c for standing on the left
(Davidson & Beaver 1977), so that c tells the position bias. "The same" is half a win for each; "both are bad" says
nothing of which is better, so it is no duel, but is counted by itself. That is a
logistic regression, which statsmodels fits. Each contender, and the left side, also wins and loses half a duel against
a strength of 0: without that, who has never lost would have no finite strength, and nobody could be compared with
those they never met.

Contenders at another scale are others, and have a ranking of their own: they never meet. Gold pairs, the original
beside a spoilt one, rank nobody: whoever chose wrongly in more of them than rightly that day is not counted. Whether
voters agree is Krippendorff's alpha of their choices on the same pictures.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deconvdemo.feedback.review.ballots import agreement, ballots
from deconvdemo.feedback.store.store import FeedbackStore

Z = 1.96  # of a 95 % interval
FEWEST_DUELS = 10  # that tell whether a candidate is liked less
SHARES = {"left": 1.0, "right": 0.0, "same": 0.5}  # what the left one has of a win, by what was chosen
PRIOR = 0.5  # wins, and defeats, against the contender of strength 0


@dataclass(frozen=True)
class Standing:
    """A contender: its strength in log-odds (0 is the average), the ends of its 95 % interval, and its duels."""

    contender: dict[str, Any]
    strength: float
    low: float
    high: float
    duels: int
    wins: float  # "the same" is half a win
    bad: int = 0  # times that both were called bad, which are no duels

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
    scale: int = 0  # of an enlargement; 0: the task has none, or it was not noted
    both_bad: int = 0  # of the votes
    gold: tuple[int, int] = (0, 0)  # gold pairs of the task that were told rightly, of how many
    left_out: int = 0  # votes on the task of those who do not see which of a gold pair is better
    alpha: float | None = None  # Krippendorff's, of the choices
    shared: int = 0  # pairs of pictures that several visitors judged, which it is of


def rankings(store: FeedbackStore, task: str) -> list[Ranking]:
    """Of all votes on a task's results: one for each scale, where it has several."""
    given, found = ballots(store, task), []
    for scale in sorted({ballot.scale for ballot in given.counted}):
        mine = [ballot for ballot in given.counted if ballot.scale == scale]
        counted = Counter((ballot.left, ballot.right, ballot.choice) for ballot in mine)
        alpha, shared = agreement(mine)
        fitted = fit(task, [(*key, number) for key, number in counted.items()])
        found.append(replace(fitted, scale=scale, gold=given.gold, left_out=given.left_out, alpha=alpha, shared=shared))
    return found


def direct(store: FeedbackStore, task: str, candidate: str, served: str) -> tuple[float, int]:
    """How many duels `candidate` won against `served`, both sha256 of weights, and how many there were.

    "The same" is half a win; where both are bad neither was chosen, so that it is no duel.
    """
    wins, duels = 0.0, 0
    for ballot in ballots(store, task).counted:
        sides = [
            str((json.loads(one).get("checkpoint") or {}).get("sha256", "")) for one in (ballot.left, ballot.right)
        ]
        if set(sides) == {candidate, served} and ballot.choice in SHARES:
            share = SHARES[ballot.choice]
            wins, duels = wins + (share if sides[0] == candidate else 1 - share), duels + 1
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

    duels, wins, bad = np.zeros(len(names)), np.zeros(len(names)), np.zeros(len(names))
    for left, right, choice, number in counted:
        i, j = place[left], place[right]
        if choice not in SHARES:
            bad[[i, j]] += number
            continue
        share = SHARES[choice]
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
                 int(duels[i]), float(wins[i]), int(bad[i]))
        for name, i in place.items()
    ]  # fmt: skip
    bias = strengths[-1], strengths[-1] - Z * errors[-1], strengths[-1] + Z * errors[-1]
    at, low, high = (1 / (1 + math.exp(-value)) for value in bias)
    standings = tuple(sorted(found, key=lambda standing: -standing.strength))
    both_bad = sum(number for *_, choice, number in counted if choice not in SHARES)
    return Ranking(task, sum(number for *_, number in counted), standings, (at, low, high), both_bad=both_bad)


def _logistic(design: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients, the strengths' mean taken off, and their standard errors."""
    import statsmodels.api as sm

    result = sm.GLM(chosen, design, family=sm.families.Binomial(), freq_weights=weights).fit()
    count = design.shape[1] - 1
    centring = np.eye(count + 1)
    centring[:count, :count] -= 1 / count
    covariance = centring @ result.cov_params() @ centring.T
    return centring @ result.params, np.sqrt(np.maximum(np.diag(covariance), 0))
