"""When each thread behind the demo last looked at what it looks after, and what failed then: /healthz tells it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any


class Look:
    """What one thread says of itself; times are ISO, in UTC, and empty before there is one.

    `error` is why the last look failed, "" if it did not; `last_error` is the last
    failure, also when all went well since.
    """

    def __init__(self) -> None:
        self.last_look = self.last_error_at = ""
        self.error = self.last_error = ""
        self._steady = 0.0

    def took_place(self, error: str = "") -> None:
        self.last_look, self._steady = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        self.error = error
        if error:
            self.last_error, self.last_error_at = error, self.last_look

    def facts(self) -> dict[str, Any]:
        """JSON-able. The age is measured, not computed from dates: a clock may be set."""
        age = round(time.monotonic() - self._steady, 1) if self.last_look else None
        return {
            "last_look": self.last_look or None,
            "age_seconds": age,
            "error": self.error,
            "last_error": self.last_error,
            "last_error_at": self.last_error_at or None,
        }
