"""How far reviewers agree, beyond what chance would give: Krippendorff's alpha for all, Cohen's kappa for each pair.

Krippendorff 2011 ("Computing Krippendorff's alpha-reliability"), for any number of reviewers, with gaps; Cohen 1960.
1 is perfect agreement, 0 what chance gives, below 0 less than that. Both are computed by libraries.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from deconvdemo.feedback.events.opinions import DECISIONS
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.standing import newest_verdicts
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import reviews

FEWEST = 2  # flags that two reviewers must both have judged


@dataclass(frozen=True)
class ReviewerPair:
    """Two reviewers: how many flags both judged, on what share they agree, and Cohen's kappa (None: not defined)."""

    first: str
    second: str
    flags: int
    agreed: float
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """`alpha` is None as long as it is not defined: no flag with two reviewers, or only one decision ever given."""

    flags: int  # that at least two reviewers judged
    alpha: float | None
    pairs: tuple[ReviewerPair, ...]


def agreement(store: FeedbackStore) -> Agreement:
    """Of the reviewers of a store, by the newest verdict of each."""
    newest = newest_verdicts()
    shared = newest.join(reviews, reviews.c.flag_id == newest.c.flag_id)
    query = select(newest.c.flag_id, newest.c.reviewer, newest.c.decision).select_from(shared)
    with refusals("the verdicts cannot be read"), store.reading() as connection:
        rows = connection.execute(query.where(reviews.c.reviewers > 1)).all()
    places = {flag_id: place for place, flag_id in enumerate(dict.fromkeys(row.flag_id for row in rows))}
    names = sorted({row.reviewer for row in rows})
    codes = {decision: code for code, decision in enumerate(DECISIONS)}
    table = np.full((len(names), len(places)), np.nan)
    lines = {name: line for line, name in enumerate(names)}
    for row in rows:
        table[lines[row.reviewer], places[row.flag_id]] = codes[row.decision]
    pairs = [_pair(names, table, i, j) for i, j in itertools.combinations(range(len(names)), 2)]
    return Agreement(len(places), _alpha(table), tuple(pair for pair in pairs if pair.flags >= FEWEST))


def _alpha(table: np.ndarray) -> float | None:
    if len(np.unique(table[~np.isnan(table)])) < 2:  # nothing to tell agreement from chance by
        return None
    import krippendorff

    return _finite(krippendorff.alpha(reliability_data=table, level_of_measurement="nominal"))


def _pair(names: list[str], table: np.ndarray, i: int, j: int) -> ReviewerPair:
    both = table[:, ~np.isnan(table[[i, j]]).any(axis=0)][[i, j]].astype(int)
    counts = np.zeros((len(DECISIONS), len(DECISIONS)), int)
    np.add.at(counts, (both[0], both[1]), 1)
    number = both.shape[1]
    agreed = float(np.trace(counts)) / number if number else 0.0
    return ReviewerPair(names[i], names[j], number, agreed, _kappa(counts) if number >= FEWEST else None)


def _kappa(counts: np.ndarray) -> float | None:
    from statsmodels.stats.inter_rater import cohens_kappa

    used = counts.sum(axis=0) + counts.sum(axis=1) > 0
    if used.sum() < 2:
        return None
    with np.errstate(all="ignore"):
        return _finite(cohens_kappa(counts[used][:, used], return_results=False))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
