"""Stopping a restoration: each has a ticket from its visitor's browser, and ends when the ticket is called off.

Gradio's own `cancels` lets what was on its way arrive after the cancellation: a page that has stopped, or has a new
photo, would go on showing the old progress. Here the work ends first, then the page is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deconvdemo.feedback.events.records import bound_token

_REMEMBERED = 10_000  # tickets called off while they waited in the queue


class Cancellations:
    """The restorations under way on this server. Safe to use from many threads."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._under_way: dict[str, threading.Event] = {}
        self._called_off: dict[str, None] = {}  # in the order of calling off

    @contextmanager
    def turn(self, ticket: str, session: str | None = "") -> Iterator[Callable[[], bool]]:
        """Gives a function that tells whether this ticket of a page's `session` has been called off."""
        ended, own = threading.Event(), _own(ticket, session)
        with self._changing:
            self._under_way[own] = ended
        try:
            yield lambda: own in self._called_off
        finally:
            ended.set()
            with self._changing:
                self._under_way.pop(own, None)

    def call_off(self, ticket: str, session: str | None = "", patience: float = 15.0) -> None:
        """Ends this ticket's work, now or when its turn comes, and returns when it has ended (or patience has)."""
        if not ticket:
            return
        own = _own(ticket, session)
        with self._changing:
            self._called_off[own] = None
            while len(self._called_off) > _REMEMBERED:
                self._called_off.pop(next(iter(self._called_off)))
            ended = self._under_way.get(own)
        if ended:
            ended.wait(patience)


def _own(ticket: str, session: str | None) -> str:
    """Of a bounded length, and of one page alone: nobody calls off another visitor's work by a guess."""
    return bound_token(str(session or ""), str(ticket))
