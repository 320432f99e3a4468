"""Stopping a restoration: each has a ticket from its visitor's browser, and ends when the ticket is called off.

Gradio's own `cancels` lets what was on its way arrive after the cancellation: a page that has stopped, or has a new
photo, would go on showing the old progress. Here the work ends first, then the page is told.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deconvdemo.errors import ControlError

_REMEMBERED = 10_000  # tickets called off while they waited in the queue
_FORM = re.compile(r"\d{1,16}-\d(\.\d{1,24})?(e-\d{1,3})?")  # as `in_the_browser` makes them: the time, and a chance


class Turns:
    """The restorations under way on this server. Safe to use from many threads."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._under_way: dict[str, threading.Event] = {}
        self._called_off: dict[str, None] = {}  # in the order of calling off

    @contextmanager
    def turn(self, ticket: str) -> Iterator[Callable[[], bool]]:
        """Gives a function that tells whether this ticket has been called off. ControlError for what is no ticket."""
        _check(ticket)
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
        _check(ticket)
        with self._changing:
            self._called_off[ticket] = None
            while len(self._called_off) > _REMEMBERED:
                self._called_off.pop(next(iter(self._called_off)))
            ended = self._under_way.get(ticket)
        if ended:
            ended.wait(patience)


def _check(ticket: str) -> None:
    """What is remembered has a length that is known: anybody may send any number of tickets, and of any kind."""
    if not _FORM.fullmatch(ticket):
        raise ControlError("this is not a ticket that the page makes: reload the page")
