"""When each thread behind the demo last looked at what it looks after, and what failed then: /healthz tells it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any


class Look:
    """What one thread says of itself. `last_look` is in seconds since 1970, None before the first look; `last_error`
    a sentence, "" when nothing failed."""

    def __init__(self) -> None:
        self.last_look: float | None = None
        self.last_error = ""
        self._steady = 0.0

    def took_place(self, error: str = "") -> None:
        self.last_look, self.last_error, self._steady = time.time(), error, time.monotonic()

    def facts(self) -> dict[str, Any]:
        """JSON-able. The age is measured, not computed from dates: a clock may be set."""
        if self.last_look is None:
            return {"last_look": None, "age_seconds": None, "error": self.last_error}
        moment = datetime.fromtimestamp(self.last_look, UTC).isoformat(timespec="seconds")
        age = round(time.monotonic() - self._steady, 1)
        return {"last_look": moment, "age_seconds": age, "error": self.last_error}


def facts_by_place(look: Any) -> dict[str, dict[str, Any]]:
    """Of a look at several places, which says of each when it was `looked_at` and how it was `failing`, if at all."""
    found = {}
    for place, seen in (look.facts() if look is not None else {}).items():
        at = datetime.fromisoformat(seen["looked_at"]) if seen.get("looked_at") else None
        error = seen.get("failure", "") if seen.get("failing") else ""
        found[place] = facts_of(SimpleNamespace(last_look=at, last_error=error))
    return found


def facts_of(look: Any) -> dict[str, Any]:
    """Of any object that has `last_look` and `last_error`."""
    if isinstance(look, Look):
        return look.facts()
    at = getattr(look, "last_look", None)
    at = at.timestamp() if isinstance(at, datetime) else at
    moment = None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    age = None if at is None else max(0.0, round(time.time() - at, 1))
    return {"last_look": moment, "age_seconds": age, "error": str(getattr(look, "last_error", "") or "")}
