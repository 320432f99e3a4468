"""Stopping a restoration: each has a ticket from its visitor's browser, and ends when the ticket is called off.

Gradio's own `cancels` lets what was on its way arrive after the cancellation: a page that has stopped, or has a new
photo, would go on showing the old progress. Here the work ends first, then the page is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deconvdemo.feedback.records import bound_token

_REMEMBERED = 10_000  # tickets called off while they waited in the queue


def own_ticket(session: str | None, ticket: str | None) -> str:
    """The ticket of one page's session, of a bounded length: nobody calls off another visitor's work by a guess."""
    return bound_token(str(session or ""), str(ticket)) if ticket else ""


class Turns:
    """The restorations under way on this server. Safe to use from many threads."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._under_way: dict[str, threading.Event] = {}
        self._called_off: dict[str, None] = {}  # in the order of calling off

    @contextmanager
    def turn(self, ticket: str) -> Iterator[Callable[[], bool]]:
        """Gives a function that tells whether this ticket has been called off."""
        ended = threading.Event()
        with self._changing:
            self._under_way[ticket] = ended
        try:
            yield lambda: ticket in self._called_off
        finally:
            ended.set()
            with self._changing:
                self._under_way.pop(ticket, None)

    def call_off(self, ticket: str, patience: float = 15.0) -> None:
        """Ends this ticket's work, now or when its turn comes, and returns when it has ended (or patience has)."""
        if not ticket:
            return
        with self._changing:
            self._called_off[ticket] = None
            while len(self._called_off) > _REMEMBERED:
                self._called_off.pop(next(iter(self._called_off)))
            ended = self._under_way.get(ticket)
        if ended:
            ended.wait(patience)
