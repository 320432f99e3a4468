"""When newer weights were last looked for, and what went wrong last: for /healthz, and the foot of the page."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from deconvdemo.errors import DeconvdemoError

log = logging.getLogger(__name__)

LONGEST = 500  # characters of a failure that are told


@dataclass(frozen=True)
class Seen:
    """What the looks at one place came to; dates are ISO, in UTC, and empty where there is nothing to date."""

    looked_at: str = ""
    failed_at: str = ""
    failure: str = ""  # the last one, in a sentence: it is told also when all went well since
    failing: bool = False  # the last look failed: what serves goes on serving


class Look:
    """The looks at each place that newer weights may come from: "repository", "chosen folder", "bundled folder"."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def went_well(self, place: str) -> None:
        self._seen[place] = replace(self._seen.get(place, Seen()), looked_at=_now(), failing=False)

    def failed(self, place: str, error: Exception) -> str:
        """Keeps and logs it, once as long as it is the same; returns the sentence."""
        sentence = _sentence(error)
        before = self._seen.get(place, Seen())
        if not (before.failing and before.failure == sentence):
            log.warning("weights: %s; what serves goes on serving", sentence)
        self._seen[place] = Seen(_now(), _now(), sentence, failing=True)
        return sentence

    def facts(self) -> dict[str, dict[str, str | bool]]:
        """Place → what its looks came to, JSON-able."""
        return {place: asdict(seen) for place, seen in self._seen.items()}

    def words(self) -> list[str]:
        """A sentence for each place whose last look failed."""
        return [
            f"newer weights were not taken at {seen.looked_at[11:16]} UTC: {seen.failure}"
            for seen in self._seen.values()
            if seen.failing
        ]


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())[:LONGEST]
    known = isinstance(error, DeconvdemoError)
    return text if known else f"looking for newer weights failed ({type(error).__name__}: {text})"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
