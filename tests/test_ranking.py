"""The duels' ranking: known strengths are found again, with honest intervals, and so is a preference for a side."""

from __future__ import annotations

import json

import numpy as np
import pytest
from feedback_flags import picture

from deconvdemo.feedback.events.opinions import CHOICES, Vote
from deconvdemo.feedback.review.ballots import GOLD
from deconvdemo.feedback.review.ranking import direct, fit, less_liked, rankings

STRENGTHS = {"a": 1.0, "b": 0.3, "c": -0.2, "d": -1.1}


def drawn(rng: np.random.Generator, number: int, side: float = 0.0) -> list[tuple[str, str, str, int]]:
    votes = []
    for _ in range(number):
        left, right = rng.choice(list(STRENGTHS), 2, replace=False)
        chance = 1 / (1 + np.exp(-(STRENGTHS[left] - STRENGTHS[right] + side)))
        choice = "left" if rng.random() < chance else "right"
        votes.append((json.dumps({"method": left}), json.dumps({"method": right}), choice, 1))
    return votes


def test_known_strengths_are_within_their_intervals_as_often_as_they_claim():
    inside = 0
    for seed in range(40):
        found = fit("denoise", drawn(np.random.default_rng(seed), 400))
        inside += sum(
            standing.low <= STRENGTHS[standing.contender["method"]] <= standing.high for standing in found.standings
        )
    assert 0.9 <= inside / 160 <= 0.99


def test_the_order_and_the_side_are_found():
    found = fit("denoise", drawn(np.random.default_rng(0), 4000, side=0.4))
    assert [standing.contender["method"] for standing in found.standings] == ["a", "b", "c", "d"]
    _, low, high = found.left
    assert low < 1 / (1 + np.exp(-0.4)) < high
    assert low > 0.5  # people did prefer the left
    assert found.votes == 4000
    assert sum(standing.duels for standing in found.standings) == 8000


def test_few_votes_give_wide_intervals_and_who_never_lost_is_finite():
    found = fit("denoise", [('{"method":"a"}', '{"method":"b"}', "left", 3)])
    first, second = found.standings
    assert first.strength > 0 > second.strength
    assert first.low < 0 < first.high < 10
    assert fit("denoise", []).standings == ()
    alone = fit("denoise", [('{"method":"a"}', '{"method":"a"}', "left", 3)])
    assert [standing.strength for standing in alone.standings] == [0.0]


def test_both_bad_is_no_tie():
    duels = [('{"method":"a"}', '{"method":"b"}', "left", 3), ('{"method":"b"}', '{"method":"a"}', "same", 2)]
    plain = fit("denoise", duels)
    found = fit("denoise", [*duels, ('{"method":"a"}', '{"method":"b"}', "both_bad", 50)])
    assert [standing.strength for standing in found.standings] == [standing.strength for standing in plain.standings]
    assert [(standing.wins, standing.duels, standing.bad) for standing in found.standings] == [(4, 5, 50), (1, 5, 50)]
    assert (found.votes, found.both_bad, plain.both_bad) == (55, 50, 0)


@pytest.mark.parametrize("choice", ["same"])
def test_a_vote_for_neither_is_half_a_win(choice):
    found = fit("denoise", [('{"method":"a"}', '{"method":"b"}', choice, 10)])
    assert [standing.wins for standing in found.standings] == [5.0, 5.0]
    assert [standing.strength for standing in found.standings] == pytest.approx([0.0, 0.0], abs=1e-6)


def test_votes_in_a_store_are_counted_by_task_and_by_weights_not_by_where_they_are_from(store):
    def contender(name, source):
        return {"kind": "network", "checkpoint": {"name": name, "sha256": f"{name}1", "source": source}, "controls": {}}

    for number, choice in enumerate([*CHOICES, "left"]):
        store.add(
            Vote(
                task="denoise",
                choice=choice,
                left_contender=contender("denoise", f"place {number}"),
                right_contender=contender("denoise-fast", "bundled"),
                observed=picture("o"),
                left=picture("l"),
                right=picture("r"),
                client_token=f"t{number}",
            )
        )
    (found,) = rankings(store, "denoise")
    assert found.votes == 5
    assert [(standing.contender["checkpoint"]["name"], standing.wins) for standing in found.standings] == [
        ("denoise", 2.5),
        ("denoise-fast", 1.5),
    ]
    assert rankings(store, "upscale") == []


def votes_of(store, choices, visitor="", **facts) -> None:
    """`choices` of a pair: (left, right, choice), each a contender's kind or method."""
    for number, (left, right, choice) in enumerate(choices):
        sides = [{"kind": word} if word in GOLD else {"kind": "classical", "method": word} for word in (left, right)]
        store.add(
            Vote("upscale", choice, left_contender=sides[0] | facts, right_contender=sides[1] | facts,
                 observed=picture("o"), left=picture("l"), right=picture("r"), visitor=visitor,
                 client_token=f"{visitor} {number} {facts}")
        )  # fmt: skip


def test_another_scale_is_another_contender(store):
    for scale in (2, 3):
        votes_of(store, [("bicubic", "lanczos", "left")] * scale, scale=scale)
    found = rankings(store, "upscale")
    assert [(one.scale, one.votes, [standing.duels for standing in one.standings]) for one in found] == [
        (2, 2, [2, 2]),
        (3, 3, [3, 3]),
    ]


def test_whoever_does_not_see_which_of_a_gold_pair_is_better_is_not_counted(store):
    votes_of(store, [("clean", "spoilt", "left"), ("spoilt", "clean", "right"), ("a", "b", "left")], "eye" * 10)
    votes_of(store, [("clean", "spoilt", "right"), ("spoilt", "clean", "same"), ("a", "b", "right")], "die" * 10)
    votes_of(store, [("a", "b", "left")])  # from elsewhere: nobody knows whose
    (found,) = rankings(store, "upscale")
    assert (found.gold, found.left_out, found.votes) == ((2, 4), 1, 2)
    assert [standing.contender["method"] for standing in found.standings] == ["a", "b"]  # the gold pair ranks nobody
    assert found.standings[0].wins == 2


def test_voters_agree_as_krippendorff_says_from_whichever_side_they_saw_it(store):
    votes_of(store, [("a", "b", "left"), ("a", "c", "right")], "one")
    votes_of(store, [("b", "a", "right"), ("a", "c", "right")], "two")
    (found,) = rankings(store, "upscale")
    assert (found.alpha, found.shared) == (1.0, 2)
    votes_of(store, [("a", "b", "both_bad"), ("c", "a", "right")], "three")
    (found,) = rankings(store, "upscale")
    assert found.shared == 2
    assert found.alpha < 0.5


def stood(sha256: str, **controls) -> dict:
    return {"kind": "network", "checkpoint": {"name": "denoise", "sha256": sha256}, "controls": controls}


def test_duels_of_two_weights_are_counted_from_either_side(store):
    def vote(left: dict, right: dict, choice: str) -> None:
        images = {"observed": picture(0), "left": picture(1), "right": picture(2)}
        store.add(Vote("denoise", choice, left_contender=left, right_contender=right, **images))

    new, old = stood("a" * 64), stood("b" * 64)
    assert direct(store, "denoise", "a" * 64, "b" * 64) == (0.0, 0)
    vote(new, old, "left")
    vote(old, new, "left")
    vote(old, new, "right")
    vote(new, old, "both_bad")
    vote(new, stood("c" * 64), "left")
    vote(new, {"kind": "classical", "method": "nlm"}, "right")
    assert direct(store, "denoise", "a" * 64, "b" * 64) == (2.0, 3)  # both bad: no duel
    assert direct(store, "denoise", "b" * 64, "a" * 64) == (1.0, 3)
    assert direct(store, "inpaint", "a" * 64, "b" * 64) == (0.0, 0)


@pytest.mark.parametrize(
    ("won", "duels", "less"), [(0, 9, False), (1, 10, True), (4, 10, False), (41, 100, False), (40, 100, True)]
)
def test_only_a_certain_dislike_keeps_a_candidate_out(won, duels, less):
    assert bool(less_liked(won, duels)) == less
