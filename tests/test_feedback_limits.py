"""Rate limits hold for visitors and for all; a visitor is a hash that nobody can lead back to an address."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest
from feedback_flags import flag_of

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.opinions import Vote
from deconvdemo.feedback.store.addresses import network_of, visitor_of
from deconvdemo.feedback.store.lease import Lease
from deconvdemo.feedback.store.limits import FlagLimits
from deconvdemo.feedback.store.store import FeedbackStore

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_visitor_is_the_same_all_day_and_another_tomorrow(store):
    limits = FlagLimits(store)
    today = limits.visitor("203.0.113.7", NOON)
    assert today == FlagLimits(FeedbackStore(store.folder.parent, store.database_url)).visitor(
        "203.0.113.7", NOON + timedelta(hours=5)
    )
    assert today != limits.visitor("203.0.113.8", NOON)
    assert today != limits.visitor("203.0.113.7", NOON + timedelta(days=1))
    assert limits.visitor("", NOON) == ""


def test_no_address_is_stored_and_yesterdays_salt_is_gone(sqlite_store):
    store = sqlite_store
    limits = FlagLimits(store)
    for day in range(3):
        visitor = limits.visitor("203.0.113.7", NOON + timedelta(days=day))
    store.add(flag_of(1, visitor=visitor))
    store.close()
    with sqlite3.connect(store.folder / "feedback.sqlite3") as database:
        assert "203.0.113.7" not in "\n".join(database.iterdump())
        salts = database.execute("SELECT day FROM salts").fetchall()
    assert salts == [("2026-11-22",)]


def test_each_visitor_and_all_together_have_a_share_of_the_hour(store):
    limits = FlagLimits(store, per_visitor=2, per_hour=3)
    for number in range(2):
        limits.check("flags", "one", NOON)
        store.add(flag_of(number, visitor="one", created_at=NOON - timedelta(minutes=40 - number)))
    with pytest.raises(FeedbackError, match=r"2 flags came from you within an hour.*try again in 20 minutes"):
        limits.check("flags", "one", NOON)
    limits.check("flags", "two", NOON)
    limits.check("votes", "one", NOON)
    limits.check("flags", "one", NOON + timedelta(minutes=21))
    store.add(flag_of(3, visitor="two", created_at=NOON))
    with pytest.raises(FeedbackError, match="3 flags came from everyone"):
        limits.check("flags", "three", NOON)


def test_votes_are_counted_like_flags(store):
    store.add(Vote(task="denoise", choice="left", visitor="one", created_at=NOON))
    with pytest.raises(FeedbackError, match="1 votes came from you"):
        FlagLimits(store, per_visitor=1).check("votes", "one", NOON)


def test_a_budget_is_kept(tmp_path):
    store = FeedbackStore(tmp_path, min_free_mb=0, budget_mb=1)
    big = [flag_of(number, observed=flag_of(number).observed) for number in range(2)]
    store.add(big[0])
    store._budget = store.totals()["bytes"] + 10
    with pytest.raises(FeedbackError, match="are used up: whoever keeps this demo can erase flags"):
        store.add(big[1])
    assert store.totals()["flags"] == 1
    assert store.add(big[0]).flag_id == big[0].flag_id  # what is known needs no room


@pytest.mark.parametrize(
    ("address", "visitor", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32", "203.0.0.0/16"),
        ("203.0.113.7:5000", "203.0.113.7/32", "203.0.0.0/16"),
        ("::ffff:203.0.113.7", "203.0.113.7/32", "203.0.0.0/16"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8::/32"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64", "2001:db8::/32"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/32"),
        ("no address", "no address", "no address"),
    ],
)
def test_who_an_address_is_counted_as(address, visitor, network):
    assert (visitor_of(address), network_of(address)) == (visitor, network)


def test_a_visitor_of_ipv6_is_one_whichever_of_their_addresses_they_use(store):
    limits = FlagLimits(store)
    assert limits.visitor("2001:db8:1:2::1", NOON) == limits.visitor("2001:db8:1:2:ffff::9", NOON)
    assert limits.visitor("2001:db8:1:2::1", NOON) != limits.visitor("2001:db8:1:3::1", NOON)
    assert limits.visitor("::ffff:203.0.113.7", NOON) == limits.visitor("203.0.113.7", NOON)


def test_one_networks_burst_leaves_room_for_others(store):
    limits = FlagLimits(store, per_visitor=2, per_hour=16)
    for number in range(4):
        visitor = limits.visitor(f"2001:db8:{number}::1", NOON)
        limits.check("votes", visitor, NOON)
        store.add(Vote(task="denoise", choice="left", visitor=visitor, created_at=NOON))
    with pytest.raises(FeedbackError, match="4 votes came from your network"):
        limits.check("votes", limits.visitor("2001:db8:99::1", NOON), NOON)
    limits.check("votes", limits.visitor("203.0.113.7", NOON), NOON)


def test_a_clock_that_is_set_back_shuts_nobody_out(store):
    limits = FlagLimits(store, per_visitor=1, per_hour=1)
    store.add(Vote(task="denoise", choice="left", visitor="one", created_at=NOON))
    with pytest.raises(FeedbackError):
        limits.check("votes", "one", NOON)
    limits.check("votes", "one", NOON - timedelta(days=30))


def test_a_lease_from_before_the_clock_was_set_back_is_taken(store, monkeypatch):
    before, after = Lease(store, "work"), Lease(store, "work")
    before.holder = "another machine/1/x"
    assert before.take()
    assert not after.take()
    now = time.time()
    monkeypatch.setattr("deconvdemo.feedback.store.lease.time.time", lambda: now - 86400)
    assert after.take()
