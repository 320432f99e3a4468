"""Connections on which no whole request arrives are closed in time, before they take the descriptors of others.

uvicorn waits for a request's head for ever. Bodies have a time of their own (`bodies.py`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

HEAD_SECONDS = 10.0  # from a connection's beginning, or the end of its last reply, to the end of a request's head
WAITING = 256  # connections that may be in that state: one more, and the one that waits longest is closed
DESCRIPTORS = 8192  # what the process is allowed to open, where the machine lets it
SPARE = 256  # of those for files, databases and the Hub


def patient(protocol: type[Any], seconds: float, most_waiting: int, most: int) -> type[Any]:
    """uvicorn's `protocol` with that patience. `most` connections are taken at once, those that are served included."""
    waiting: dict[Any, None] = {}  # in the order in which they began to wait
    connected: set[Any] = set()

    class Patient(protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            connected.add(self)
            self._wait()
            if most and len(connected) > most:
                next(iter(waiting)).give_up()

        def connection_lost(self, error: Exception | None) -> None:
            self._stop_waiting()
            connected.discard(self)
            super().connection_lost(error)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_served():
                self._stop_waiting()
            else:
                self._wait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self._is_served():
                self._wait()

        def give_up(self) -> None:
            """Closes it at once: there is nobody to answer, and nothing that was asked."""
            self._stop_waiting()
            self.transport.abort()

        def _is_served(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _wait(self) -> None:
            if self._timer is not None or self.transport.is_closing():
                return
            self._timer = self.loop.call_later(seconds, self.give_up)
            waiting[self] = None
            if len(waiting) > most_waiting:
                next(iter(waiting)).give_up()

        def _stop_waiting(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            waiting.pop(self, None)

    return Patient


def be_patient(config: Any) -> None:
    """Of a running server's `config`: connections made from now on. There are no websockets here, so none are taken."""
    config.http_protocol_class = patient(config.http_protocol_class, HEAD_SECONDS, WAITING, _allowed() - SPARE)
    config.ws_protocol_class = None


def _allowed() -> int:
    """How many descriptors this process may open, once it may open as many as the machine lets it."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return min(soft, DESCRIPTORS)
