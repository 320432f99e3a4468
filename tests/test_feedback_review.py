"""The reviewers' queue: every flag has its place in every view, and nobody sees others' verdicts before their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from feedback_flags import NASTY_COMMENTS, flag_of
from sqlalchemy import select, text

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.events.opinions import WITHHOLDING, Verdict
from deconvdemo.feedback.review.counts import counts
from deconvdemo.feedback.review.queue import Opinions, ReviewQueue
from deconvdemo.feedback.review.view import SORTS, STATUSES, View
from deconvdemo.feedback.store.ruling import LEFT_OUT, may_be_shown
from deconvdemo.feedback.store.tables import reviews

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def ids(store) -> list[str]:
    """Eight flags: even ones denoise, the others inpaint; one a day; the weights change after the fourth."""
    return [
        store.add(
            flag_of(
                number,
                task="inpaint" if number % 2 else "denoise",
                reasons=("good",) if number == 2 else ("seams", "halo") if number < 5 else ("noise_left",),
                comment=f"100% of flag_{number}",
                created_at=NOON + timedelta(days=number),
                checkpoint={"name": "denoise", "sha256": ("ab" if number < 4 else "cd") * 32},
            )
        ).flag_id
        for number in range(8)
    ]


def say(queue: ReviewQueue, flag_id: str, reviewer: str, decision: str) -> None:
    queue.decide(Verdict(flag_id=flag_id, reviewer=reviewer, decision=decision))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [7, 6, 5, 4, 3, 2, 1, 0]),
        ({"sort": "oldest"}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"task": "inpaint"}, [7, 5, 3, 1]),
        ({"reason": "halo"}, [4, 3, 1, 0]),
        ({"rating": "good"}, [2]),
        ({"rating": "bad", "task": "denoise"}, [6, 4, 0]),
        ({"weights": "abab"}, [3, 2, 1, 0]),
        ({"since": "2026-11-25", "until": "2026-11-26"}, [6, 5]),
        ({"text": "FLAG_3"}, [3]),
        ({"text": "%"}, [7, 6, 5, 4, 3, 2, 1, 0]),
        ({"text": "100_"}, []),  # what a pattern means to the database means nothing here
        ({"status": "disputed"}, []),
    ],
)
def test_filters_and_sorts(store, ids, filters, expected):
    queue, view = ReviewQueue(store), View.of(filters)
    assert queue.ids(view, "ada") == [ids[number] for number in expected]
    assert queue.count(view, "ada") == len(expected)


@pytest.mark.parametrize("sort", SORTS)
def test_pages_have_every_flag_once_in_order(store, ids, sort):
    queue = ReviewQueue(store, needed=3)
    for flag, reviewer, decision in ((1, "a", "accept"), (1, "b", "reject"), (4, "a", "reject"), (4, "b", "accept")):
        say(queue, ids[flag], reviewer, decision)
    view, found, after = View(status="all", sort=sort), [], ""
    while page := queue.ids(view, "ada", after, limit=3):
        found += page
        after = page[-1]
    assert found == queue.ids(view, "ada")
    assert sorted(found) == sorted(ids)
    if sort == "disputed":
        assert found[:2] == [ids[4], ids[1]]


def test_a_view_is_an_address_and_back():
    view = View(task="denoise", text="a&b=c", sort="oldest")
    assert view.query() == {"task": "denoise", "text": "a&b=c", "sort": "oldest"}
    assert View.of({**view.query(), "utm_source": "mail"}) == view
    assert View().query() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: "x"} for name in ("status", "sort", "reason", "rating")),
        {"since": "yesterday"},
        {"until": "2026-1-1"},
        {"text": "x" * 201},
    ],
)
def test_what_no_filter_knows_is_refused_in_one_sentence(wrong):
    with pytest.raises(FeedbackError) as refusal:
        View.of(wrong)
    assert "\n" not in str(refusal.value)


def test_each_flag_is_judged_by_as_many_as_needed_and_by_nobody_twice(store, ids):
    queue, todo = ReviewQueue(store, needed=2), View(sort="oldest")
    say(queue, ids[0], "ada", "accept")
    assert ids[0] not in queue.ids(todo, "ada")  # she has judged it
    assert ids[0] in queue.ids(todo, "bob")
    say(queue, ids[0], "bob", "accept")
    assert ids[0] not in queue.ids(todo, "cyd")  # two were needed
    assert queue.opinions(ids[0]) == Opinions(2, 2, decision="accept")
    say(queue, ids[1], "ada", "accept")
    say(queue, ids[1], "bob", "reject")
    assert queue.opinions(ids[1]).disputed
    assert ids[1] in queue.ids(todo, "cyd")  # they disagree: a third may settle it
    assert queue.ids(View(status="disputed"), "cyd") == [ids[1]]


def test_one_flag_has_an_address(store, ids):
    assert ReviewQueue(store).ids(View(status="all", flag=ids[2]), "ada") == [ids[2]]
    assert View.of({"status": "all", "flag": ids[2]}) == View(status="all", flag=ids[2])


def test_what_others_decided_is_shown_to_those_who_decided(store, ids):
    queue = ReviewQueue(store)
    say(queue, ids[0], "ada", "accept")
    say(queue, ids[1], "ada", "needs_target")
    for status, flag in (("accepted", ids[0]), ("needs_target", ids[1])):
        assert queue.ids(View(status=status), "ada") == [flag]
        assert queue.ids(View(status=status), "bob") == []
    assert queue.mine(ids[0], "ada") == "accept"
    assert queue.mine(ids[0], "bob") == ""


def test_a_verdict_taken_back_is_as_if_it_had_never_been_and_both_stay_stored(store, ids):
    queue = ReviewQueue(store)
    before = queue.ids(View(), "ada")
    say(queue, ids[0], "ada", "reject")
    assert queue.opinions(ids[0]) == Opinions(1, 0, 1, decision="reject")
    say(queue, ids[0], "ada", "withdrawn")
    assert queue.opinions(ids[0]) == Opinions()
    assert queue.ids(View(), "ada") == before
    say(queue, ids[0], "ada", "accept")
    assert queue.opinions(ids[0]) == Opinions(1, 1, decision="accept")
    assert len(list(store.events("verdicts"))) == 3


def test_counts_tell_what_each_choice_would_show(store, ids):
    queue = ReviewQueue(store)
    say(queue, ids[0], "ada", "accept")
    view = View(task="denoise")
    found = counts(queue, view, "ada")
    assert found["task"] == {"inpaint": 4, "denoise": 3}
    assert found["reason"] == {"noise_left": 1, "good": 1, "seams": 1, "halo": 1}
    assert found["weights"] == {"ab" * 6: 1, "cd" * 6: 2}
    assert found["status"] == {status: queue.count(View(status=status, task="denoise"), "ada") for status in STATUSES}
    assert found["status"]["todo"] == 3
    assert found["status"]["all"] == 4


def test_an_erased_flag_is_in_no_view_and_cannot_be_judged(store, ids):
    queue = ReviewQueue(store)
    say(queue, ids[0], "ada", "accept")
    erase(store, [ids[0]])
    assert ids[0] not in queue.ids(View(status="all"), "ada")
    assert queue.opinions(ids[0]) == Opinions()
    with pytest.raises(FeedbackError, match="was erased while you looked at it"):
        say(queue, ids[0], "ada", "reject")
    with pytest.raises(FeedbackError, match="no flag has the id"):
        say(queue, "nothing", "ada", "reject")
    assert queue.ids(View(), "ada", after=ids[0]) == queue.ids(View(), "ada")


@pytest.mark.parametrize("words", NASTY_COMMENTS)
def test_any_text_can_be_looked_for(store, words):
    flag_id = store.add(flag_of(1, comment=f"a {words} b")).flag_id
    store.add(flag_of(2, comment="another"))
    assert ReviewQueue(store).ids(View(text=words), "ada") == [flag_id]


def test_most_decide_and_what_they_say_counts_everywhere(store, ids):
    queue = ReviewQueue(store, needed=3)
    for reviewer, decision in (("ada", "accept"), ("bob", "reject"), ("cyd", "accept")):
        assert list(queue.all(View(status="accepted"))) == []
        say(queue, ids[0], reviewer, decision)
    assert queue.opinions(ids[0]).consensus(3) == "accept"
    assert list(queue.all(View(status="accepted"))) == [ids[0]]
    assert ids[0] not in queue.ids(View(), "dan")  # it is decided
    say(queue, ids[0], "dan", "reject")  # two against two: nobody has decided anything
    assert queue.opinions(ids[0]).consensus(3) == ""
    assert ids[0] in queue.ids(View(), "eve")
    assert queue.ids(View(status="disputed"), "eve") == [ids[0]]


def test_an_owners_verdict_decides_and_tells_who_and_why(store, ids):
    queue = ReviewQueue(store, needed=3)
    for reviewer in ("ada", "bob", "cyd"):
        say(queue, ids[0], reviewer, "accept")

    def rule(reviewer, decision, comment=""):
        queue.decide(Verdict(flag_id=ids[0], reviewer=reviewer, decision=decision, comment=comment, adjudicates=True))

    rule("olga", "reject", "that is a face")
    assert list(queue.all(View(status="rejected"))) == [ids[0]]
    assert not list(queue.all(View(status="accepted")))
    ruling = queue.ruling(ids[0])
    assert (ruling.reviewer, ruling.decision, ruling.comment) == ("olga", "reject", "that is a face")
    assert (queue.opinions(ids[0]).ruled_by, queue.opinions(ids[0]).disputed) == ("olga", False)
    rule("otto", "needs_target")  # the newest owner's
    assert queue.opinions(ids[0]).consensus(3) == "needs_target"
    rule("otto", "withdrawn")
    rule("olga", "withdrawn")
    assert queue.opinions(ids[0]).consensus(3) == "accept"
    assert queue.ruling(ids[0]) is None
    rule("olga", "accept")
    say(queue, ids[1], "ada", "accept")
    assert list(queue.all(View(status="accepted"))) == [ids[0]]  # one owner is enough, one reviewer is not


@pytest.mark.parametrize("decision", WITHHOLDING)
def test_one_reviewer_is_enough_to_withhold_a_flag_until_an_owner_says_otherwise(store, ids, decision):
    queue = ReviewQueue(store, needed=2)
    for reviewer in ("ada", "bob"):
        say(queue, ids[0], reviewer, "accept")
    say(queue, ids[0], "cyd", decision)
    assert not list(queue.all(View(status="accepted")))
    assert list(queue.all(View(status="withheld"))) == [ids[0]]
    assert list(queue.without(LEFT_OUT, ids)) == ids[1:]
    queue.decide(Verdict(flag_id=ids[0], reviewer="olga", decision="accept", adjudicates=True))
    assert list(queue.all(View(status="accepted"))) == [ids[0]]


def test_a_photo_may_be_shown_only_if_whoever_decides_says_so(store, ids):
    queue = ReviewQueue(store)

    def shown(reviewer, decision, mark, owner=False):
        queue.decide(
            Verdict(flag_id=ids[0], reviewer=reviewer, decision=decision, may_be_shown=mark, adjudicates=owner)
        )
        with store.reading() as connection:
            return connection.execute(select(reviews.c.flag_id).where(may_be_shown())).scalars().all() == [ids[0]]

    assert not shown("ada", "accept", False)  # off by default
    assert shown("bob", "accept", True)
    assert not shown("bob", "reject", True)
    assert shown("bob", "accept", True)
    assert not shown("olga", "accept", False, owner=True)
    assert shown("olga", "accept", True, owner=True)


def test_verdicts_of_older_databases_are_counted(sqlite_store):
    """The migration counts what is there."""
    import sqlite3

    store, queue = sqlite_store, ReviewQueue(sqlite_store)
    ids = [store.add(flag_of(number)).flag_id for number in range(3)]
    for flag, reviewer, decision in (
        (0, "a", "accept"),
        (0, "a", "reject"),
        (0, "b", "needs_target"),
        (1, "a", "withdrawn"),
    ):
        say(queue, ids[flag], reviewer, decision)
    expected = [queue.opinions(flag_id) for flag_id in ids]
    store.close()
    with sqlite3.connect(store.folder / "feedback.sqlite3") as database:
        database.executescript(
            "DROP TABLE reviews; DROP INDEX ix_verdicts_reviewer; DROP TABLE catches; DROP TABLE likenesses; "
            "DROP TABLE replays; DROP TABLE about; DROP TABLE salts; DROP TABLE commits; DROP TABLE doomed; "
            "DROP TABLE copied; DROP TABLE releases; CREATE TABLE meta (key VARCHAR(64) PRIMARY KEY, value TEXT); "
            "ALTER TABLE verdicts DROP COLUMN target; ALTER TABLE verdicts DROP COLUMN may_be_shown; "
            "ALTER TABLE verdicts DROP COLUMN adjudicates; UPDATE alembic_version SET version_num = '0002'"
        )
    database.close()
    assert [queue.opinions(flag_id) for flag_id in ids] == expected == [Opinions(2, 0, 1, 1), Opinions(), Opinions()]


def test_what_most_said_in_older_databases_is_decided(store, ids):
    queue = ReviewQueue(store, needed=3)
    for number, decisions in enumerate(["aar", "ar", "rrt", "ttt"]):
        for reviewer, letter in enumerate(decisions):
            say(queue, ids[number], f"r{reviewer}", {"a": "accept", "r": "reject", "t": "needs_target"}[letter])
    expected = [queue.opinions(flag_id) for flag_id in ids]
    with store.writing() as connection:
        for name in ("withheld", "decision", "ruled_by", "showable"):
            connection.execute(text(f"ALTER TABLE reviews DROP COLUMN {name}"))
        for name in ("may_be_shown", "adjudicates"):
            connection.execute(text(f"ALTER TABLE verdicts DROP COLUMN {name}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    store.close()
    assert [queue.opinions(flag_id) for flag_id in ids] == expected
    assert [one.decision for one in expected[:4]] == ["accept", "", "reject", "needs_target"]
