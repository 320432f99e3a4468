"""Passwords cannot be tried by the thousand, and nobody is shut out for ever."""

from __future__ import annotations

from contextlib import suppress
from http.cookies import SimpleCookie

import pytest
from starlette.responses import Response

from deconvdemo.errors import FeedbackError
from deconvdemo.web.review.reviewers import BROWSER, Reviewers, _same
from deconvdemo.web.server.tries import BURST, FREE, LONGEST_WAIT, REMEMBERED, SECONDS_EACH, Tries


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def looked_at(tries: Tries, addresses) -> int:
    """How many of these attempts were let through."""
    number = 0
    for address in addresses:
        with suppress(FeedbackError):
            tries.begin(address)
            number += 1
    return number


def test_one_address_is_slowed_more_and_more_and_never_shut_out(clock):
    tries, waits = Tries(clock), []
    for _ in range(FREE):
        tries.begin("203.0.113.7")
    for _ in range(12):
        before = clock.now
        while not looked_at(tries, ["203.0.113.7"]):
            clock.now += 1
        waits.append(clock.now - before)
    assert waits == [min(LONGEST_WAIT, 2.0**number) for number in range(1, 13)]
    clock.now += LONGEST_WAIT
    tries.begin("203.0.113.7")
    tries.right("203.0.113.7")
    assert looked_at(tries, ["203.0.113.7"] * FREE) == FREE  # as if nothing had been


def test_all_addresses_together_are_slowed_too(clock):
    tries = Tries(clock)
    assert looked_at(tries, (f"203.0.{number // 250}.{number % 250}" for number in range(2000))) == BURST
    clock.now += 60
    many = looked_at(tries, (f"198.51.{number // 250}.{number % 250}" for number in range(2000)))
    assert many == min(BURST, 60 / SECONDS_EACH)
    with pytest.raises(FeedbackError, match=r"wait 2 seconds, then try again"):
        tries.begin("192.0.2.1")
    clock.now += SECONDS_EACH
    tries.begin("192.0.2.1")  # whoever comes then has their turn


def test_a_browser_that_was_right_before_does_not_wait_for_others(sqlite_store, clock):
    reviewers = Reviewers(sqlite_store, "word", tries=Tries(clock))

    def sign_in(password: str, browser: str = "") -> str:
        answer = Response()
        reviewers.sign_in(answer, "ada", password, False, address="203.0.113.7", browser=browser)
        cookies = [SimpleCookie(value.decode()) for name, value in answer.raw_headers if name == b"set-cookie"]
        return next(cookie[BROWSER].value for cookie in cookies if BROWSER in cookie)

    browser = sign_in("word")
    looked_at(reviewers.tries, (f"203.0.{number // 250}.{number % 250}" for number in range(2000)))
    looked_at(reviewers.tries, ["203.0.113.7"] * 100)
    for forged in ("", "x", browser[:-1], f"x{browser}", "."):
        with pytest.raises(FeedbackError, match="too many"):
            sign_in("word", forged)
    assert sign_in("word", browser)
    for _ in range(FREE):
        with pytest.raises(FeedbackError, match="not the reviewers'"):
            sign_in("guess", browser)
    respelt = f"{browser[:-1]}!!!!{browser[-1]}"  # base64 is read without what is none of its letters
    for spelling in (browser, respelt):
        with pytest.raises(FeedbackError, match="too many"):
            sign_in("word", spelling)
    clock.now += 2
    assert sign_in("word", browser)


def test_an_ipv6_visitor_is_one_address(clock):
    tries = Tries(clock)
    assert looked_at(tries, (f"2001:db8:1:2::{number:x}" for number in range(15))) == FREE


def test_what_is_remembered_is_bounded(clock):
    tries = Tries(clock)
    for number in range(REMEMBERED + 10):
        clock.now += SECONDS_EACH
        tries.begin(f"10.{number // 62500}.{number // 250 % 250}.{number % 250}")
    assert len(tries._wrong) == REMEMBERED


def test_the_right_password_is_not_even_looked_at_too_soon(sqlite_store, clock):
    reviewers = Reviewers(sqlite_store, "word", tries=Tries(clock))
    sign_in = lambda password: reviewers.sign_in(Response(), "ada", password, False, address="203.0.113.7")
    for _ in range(FREE):
        with pytest.raises(FeedbackError, match="not the reviewers' password"):
            sign_in("guess")
    with pytest.raises(FeedbackError, match="too many passwords were tried"):
        sign_in("word")
    clock.now += 2
    assert sign_in("word") == "ada"


@pytest.mark.parametrize("given", ["", "Word", "word ", "wörd", "\ud800", "w" * 100_000])
def test_another_password_is_another(given):
    assert not _same(given, "word")
    assert _same(given, given)
