"""What the page of releases shows: the counts of each, what its history says, one replay's facts and pictures."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from cachetools import LRUCache

from deconvdemo.checkpoints.promotion import version
from deconvdemo.evaluation.lineage import origins
from deconvdemo.evaluation.replaying import ReleaseRestorers, run_again, scale_of
from deconvdemo.feedback.review.lineage import Origin, learned_from, noted_weights
from deconvdemo.feedback.review.replays import KEPT, MARGIN, SHOWN, STATES, Release, Replay, Replays
from deconvdemo.image.lossless import lossless
from deconvdemo.web.review.thumbnails import Thumbnails

TOLD_OF_REPLAY = ("flag_id", "state", "flagged", "now", "before", "target")
ROLES = ("observed", "restored", "now", "target")
KEPT_BYTES = 64_000_000  # of large pictures in memory: some ten of a phone's photos, hundreds of small ones
TOLD_OF_HISTORY = ("when", "what", "found", "openings")  # of a line of history
# what a release has to do with a flag, in the page's words
LEARNED = {
    "trained": "trained on",
    "held_back": "held back from training",
    "not": "not trained on",
    "unknown": "may have been trained on",
}


class ReleaseService:
    """The replays, and the weights that make their pictures. Errors are FeedbackError, CheckpointError, PhotoError."""

    def __init__(self, replays: Replays, past: ReleaseRestorers):
        self.replays, self.past = replays, past
        self.thumbnails = Thumbnails()
        # in memory alone: nothing of a flag lies anywhere that an erasure does not reach; a too large one is kept alone
        self._made: LRUCache[tuple[str, str], bytes] = LRUCache(KEPT_BYTES, lambda made: min(len(made), KEPT_BYTES))
        self._making = threading.Lock()  # pictures are made one after another: visitors come first

    def releases(self, reviewer: str) -> dict[str, Any]:
        """All releases, the newest first."""
        serving, lines = self.past.serving(), self._history()
        noted = {facts["sha256"]: facts for facts in noted_weights(self.replays.store)}
        known = self._origins()
        found = [
            {
                **vars(release),
                "called": version(lines, release.name, release.sha256),
                "serves": serving.get(release.name) == release.sha256,
                "here": self.past.here(release.name, release.sha256),
                "learned": _number_learned(noted[release.sha256], learned_from(known, release.sha256)),
                "history": _told(lines, release),
            }
            for release in self.replays.releases(reviewer)
        ]
        return {"releases": found, "margin": MARGIN, "shown": SHOWN, "states": STATES, "kept": KEPT, "marks": LEARNED}

    def page(self, sha256: str, query: Mapping[str, str], number: int, reviewer: str) -> list[dict[str, Any]]:
        """One page of a release's replays. FeedbackError for a filter that there is not."""
        found = self.replays.page(sha256, query.get("state", ""), query.get("kept", ""), number, reviewer)
        learned = learned_from(self._origins(), sha256)
        return [self._card(replay, learned) for replay in found]

    def image(self, sha256: str, flag_id: str, role: str, small: bool, reviewer: str) -> bytes:
        """One picture of a replay; that of now is made for whoever asks, and kept for a while in memory."""
        replay = self.replays.get(sha256, flag_id, reviewer)

        def large() -> bytes:
            if role == "now":
                return self._now(replay)
            store = self.replays.store
            return store.blobs.read(replay.target) if role == "target" else store.image(flag_id, role)

        of = {"now": f"{sha256} {flag_id}", "target": replay.target}
        return self.thumbnails.of((of.get(role, flag_id), role), large) if small else large()

    def _card(self, replay: Replay, learned: set[str] | None) -> dict[str, Any]:
        flag = self.replays.store.get(replay.flag_id, with_images=False)
        mark = "unknown" if learned is None else "trained" if replay.flag_id in learned else "not"
        if replay.held_back and mark != "trained":
            mark = "held_back"
        facts = {name: getattr(replay, name) for name in TOLD_OF_REPLAY}
        said = {"task": flag.task, "reasons": list(flag.reasons), "comment": flag.comment}
        return {**facts, **said, "created_at": flag.created_at.isoformat(timespec="seconds"), "learned": mark}

    def _now(self, replay: Replay) -> bytes:
        key = (replay.sha256, replay.flag_id)
        with self._making:
            if (made := self._made.get(key)) is not None:
                return made
            facts = next(facts for facts in noted_weights(self.replays.store) if facts["sha256"] == replay.sha256)
            restorer = self.past.restorer(facts["name"], replay.sha256)
            flag = self.replays.store.get(replay.flag_id)
            with self.past.serves.place(flag.observed, scale=scale_of(flag)):
                made = lossless(run_again(restorer, flag).photo)
            self._made[key] = made
            return made

    def _origins(self) -> dict[str, Origin]:
        return origins(self.replays.store, self.past.serves.weights)

    def _history(self) -> list[dict[str, Any]]:
        return self.past.serves.weights.history()


def _told(lines: list[dict[str, Any]], release: Release) -> list[dict[str, Any]]:
    """What the history says of a release, the newest first."""
    of = [line for line in lines if line["name"] == release.name and line["sha256"] == release.sha256]
    return [{name: line.get(name) for name in TOLD_OF_HISTORY} for line in reversed(of)]


def _number_learned(facts: dict[str, Any], learned: set[str] | None) -> int | None:
    """How many flags a release learned from, by their ids or else by its header's count; None: nobody knows."""
    if learned is not None:
        return len(learned)
    if facts["learned"] is None:
        return None
    return sum(value for name, value in facts["learned"].items() if name != "share" and isinstance(value, int))
