"""When newer weights were last looked for, and what went wrong last: for /healthz, and the foot of the page."""

from __future__ import annotations

import logging

from deconvdemo.errors import DeconvdemoError
from deconvdemo.heartbeat import Look

log = logging.getLogger(__name__)

LONGEST = 500  # characters of a failure that are told


class WeightsLooks:
    """The looks at each place that newer weights may come from: "repository", "chosen folder", "bundled folder"."""

    def __init__(self) -> None:
        self.places: dict[str, Look] = {}

    def went_well(self, place: str) -> None:
        self._at(place).took_place()

    def failed(self, place: str, error: Exception) -> str:
        """Keeps and logs it, once as long as it is the same; returns the sentence."""
        sentence, look = _sentence(error), self._at(place)
        if look.error != sentence:
            log.warning("weights: %s; what serves goes on serving", sentence)
        look.took_place(sentence)
        return sentence

    def words(self) -> list[str]:
        """A sentence for each place whose last look failed."""
        failing = [look for look in self.places.values() if look.error]
        return [f"newer weights were not taken at {look.last_look[11:16]} UTC: {look.error}" for look in failing]

    def _at(self, place: str) -> Look:
        return self.places.setdefault(place, Look())


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())[:LONGEST]
    known = isinstance(error, DeconvdemoError)
    return text if known else f"looking for newer weights failed ({type(error).__name__}: {text})"
