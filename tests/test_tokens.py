"""A client's token is nobody else's: whoever sends another visitor's learns nothing of them, and takes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from feedback_flags import flag_of
from sqlalchemy import update
from tiny import picture

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.store.limits import FlagLimits
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags
from deconvdemo.web.restore.cancellations import Cancellations
from deconvdemo.web.restore.flagging import Flagging
from deconvdemo.web.restore.results import Results
from deconvdemo.web.review.service import ReviewService

ADA, BOB = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def flagging(tmp_path, store) -> Flagging:
    return Flagging(Results(tmp_path / "results", 24, 100), store, max_pixels=10_000, limits=FlagLimits(store))


@pytest.fixture
def result(flagging, restorer):
    """`result()`: the id of a new result of one and the same photo."""
    restored = restorer.restore("denoise", picture(24, 32), sigma=20)
    return lambda: flagging.results.keep(replace(restored, restoration_id=_new_id())).restoration_id


def _new_id() -> str:
    import uuid

    return uuid.uuid4().hex


def test_another_visitors_token_gives_a_flag_of_ones_own(flagging, result):
    adas = flagging.add(result(), ["halo"], consent=True, client_token="1", address=ADA)
    bobs = flagging.add(result(), ["halo"], consent=True, client_token="1", address=BOB)
    assert bobs.flag_id != adas.flag_id
    assert bobs.erase_key != adas.erase_key
    assert flagging.store.totals()["flags"] == 2


def test_a_repetition_gets_its_own_answer_also_of_another_process_and_from_elsewhere(flagging, result):
    one = result()
    first = flagging.add(one, ["halo"], consent=True, client_token="1", address=ADA)
    again = FeedbackStore(flagging.store.folder.parent, flagging.store.database_url, min_free_mb=0)
    other = replace(flagging, store=again, limits=FlagLimits(again))
    # the result's id is what shows whose it is: a phone's address changes
    assert other.add(one, ["halo"], consent=True, client_token="1", address=BOB) == first
    assert again.totals()["flags"] == 1
    again.close()


def _as_an_earlier_version_did(store, flag_id: str, token: str, visitor: str) -> None:
    with store.writing() as connection:
        row = update(flags).where(flags.c.flag_id == flag_id)
        connection.execute(row.values(client_token=token, visitor=visitor))


def test_a_repetition_across_the_update_is_one_and_no_other_visitors(flagging, result):
    mine = result()
    first = flagging.add(mine, ["halo"], consent=True, client_token="1", address=ADA)
    _as_an_earlier_version_did(flagging.store, first.flag_id, "1", flagging.limits.visitor_before(ADA))
    assert flagging.add(mine, ["halo"], consent=True, client_token="1", address=ADA) == first
    for address, reasons in ((BOB, ["halo"]), (ADA, ["seams"])):  # the same photo, and even the same token
        other = flagging.add(result(), reasons, consent=True, client_token="1", address=address)
        assert other.erase_key not in ("", first.erase_key)
        assert other.flag_id != first.flag_id


def test_a_token_may_be_any_text_of_a_bounded_length(flagging, result):
    one = result()
    tokens = ("ñ 漢", "\ud800", "a\0b", "x" * 200, "a", "b")
    ids = {flagging.add(one, ["halo"], consent=True, client_token=token, address=ADA).flag_id for token in tokens}
    assert len(ids) == len(tokens)
    with pytest.raises(FeedbackError, match="at most 200 characters"):
        flagging.add(one, ["halo"], consent=True, client_token="x" * 201, address=ADA)


def test_a_verdicts_token_is_its_reviewers_and_of_one_flag(store):
    desk = ReviewService(ReviewQueue(store), None, 1_000)
    one, two = (store.add(flag_of(number)).flag_id for number in range(2))

    def give(reviewer: str, flag_id: str, token: str):
        said = {"flag_id": flag_id, "decision": "accept", "client_token": token}
        return desk.give(reviewer, said, None)[0].flag_id

    given = [give("ada", one, "b c"), give("ada b", one, "c"), give("ada", two, "b c")]
    given += [give("ada", one, "x" * 300 + end) for end in "12"]
    assert len(set(given)) == len(given)
    assert give("ada", one, "b c") == given[0]


def test_many_verdicts_at_once_are_all_stored_whatever_their_token(store):
    desk = ReviewService(ReviewQueue(store), None, 1_000)
    ids = [store.add(flag_of(number)).flag_id for number in range(3)]
    said = {"flag_ids": ids, "decision": "accept", "client_token": "x" * 300}
    assert desk.give_many("ada", said)["saved"] == ids
    assert store.totals()["verdicts"] == 3


def test_a_stop_ticket_ends_the_work_of_its_own_page_alone():
    turns, ticket = Cancellations(), "1764200000000-0.123"
    with turns.turn(ticket, "adas page") as called_off:
        turns.call_off(ticket, "bobs page", patience=0)
        assert not called_off()
        turns.call_off(ticket, "adas page", patience=0)
        assert called_off()
    turns.call_off(ticket, "x" * 1_000_000)
    assert {len(kept) for kept in turns._called_off} == {64}
