"""The publisher: a thread of the door that brings feedback to a dataset on the Hub, and tells how it goes."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.backlog import backlog
from deconvdemo.feedback.dataset.publication import Publication, Published
from deconvdemo.feedback.dataset.repository import DatasetHub
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.sweeping import tidy
from deconvdemo.heartbeat import Look
from deconvdemo.hub.repository import HubError, HubMovedError
from deconvdemo.settings import Settings

FIRST_WAIT, LONGEST_WAIT = 5.0, 1800.0  # seconds after a failure; doubled each time

log = logging.getLogger(__name__)


class NoPublisher:
    """For a demo without a dataset repository: feedback stays where it is."""

    look: Look | None = None  # there is nothing to look at

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def status(self) -> dict[str, Any]:
        return {"repo": ""}

    def words(self) -> list[str]:
        return []

    def url(self, commit: str) -> str:
        return ""


class Publisher:
    """Publishes a store's feedback to a dataset repository: once by `publish()`, or from `start()` to `stop()`."""

    def __init__(
        self,
        store: FeedbackStore,
        hub: DatasetHub,
        every: float = 300.0,
        commits_per_hour: int = 20,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        steady: Callable[[], float] = time.monotonic,
        moderated: bool = False,
    ):
        """`moderated`: flags stay here until a reviewer lets them pass. `clock` is the calendar's; `steady` measures
        the waiting: a clock that is set back must not stretch it."""
        self.store, self.hub, self.every = store, hub, every
        self.publication = Publication(store, hub, commits_per_hour, clock, moderated)
        self._clock, self._chance, self._steady = clock, chance, steady
        self.look = Look()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._error, self._next = "", 0.0

    def publish(self) -> Published:
        """Takes in what others published, and publishes what there is, in at most one commit. Raises FeedbackError."""
        return self.publication.publish()

    def start(self) -> None:
        """Publishes in the background from now on."""
        self._stopping.clear()
        self._next = self._steady() + min(self.every, 5.0) * self._chance()  # replicas that start at once do not meet
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; a commit under way ends first, for at most ten seconds."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None

    def release(self) -> None:
        """Lets another process publish at once."""
        try:
            self.publication.lease.release()
        except FeedbackError as error:
            log.warning("%s", error)

    def _run(self) -> None:
        with_tidying = True
        while not self._stopping.wait(max(0.0, min(self._next - self._steady(), self.every))):
            if self._steady() < self._next:
                continue
            self.round(with_tidying)
            with_tidying = False
        self.release()

    def round(self, with_tidying: bool = False) -> Published | None:
        """One publication and its bookkeeping: what went wrong is in the status, and when to try again."""
        try:
            if with_tidying:
                self.publication.shards.tidy()
                tidy(self.store)
            done = self.publish()
            self._failures, self._error = 0, ""
            self._next = self._steady() + (done.wait or self.every)
            return done
        except FeedbackError as error:
            self._failures += 1
            self._error = str(error)
            self._next = self._steady() + self._pause(error)
            log.warning("feedback was not published: %s", error)
        except Exception as error:
            self._failures += 1
            self._error = f"unexpected {type(error).__name__}, see the log"
            self._next = self._steady() + self._pause(error)
            log.exception("feedback was not published")
        finally:
            self.look.took_place(self._error)
        return None

    def _pause(self, error: Exception) -> float:
        """Seconds until the next try: what the Hub asked for, else longer each time; no two replicas' the same."""
        if isinstance(error, HubError) and error.retry_after is not None:
            return error.retry_after * (1 + 0.1 * self._chance())
        if isinstance(error, HubMovedError):
            return 1 + 2 * self._chance()
        return min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self._failures - 1, 20)) * (0.5 + self._chance() / 2)

    def status(self) -> dict[str, Any]:
        """JSON-able: the repository, the backlog, the last error and commit, and when the next try is."""
        waits = backlog(self.store, self.publication.shards.moderated)
        age = 0.0
        if waits["oldest"]:
            age = max(0.0, self._clock() - datetime.fromisoformat(waits["oldest"]).timestamp())
        commit, committed_at = self.publication.shards.last_commit()
        return {
            "repo": self.hub.repo,
            **waits,
            "oldest_seconds": round(age),
            "error": self._error,
            "damaged": [*self.publication.shards.damaged.values(), *self.publication.catch_up.refused.values()],
            "commit": commit,
            "committed_at": committed_at,
            "next": self._next_moment() if self._thread else None,
        }

    def _next_moment(self) -> str:
        left = self._next - self._steady()
        return datetime.fromtimestamp(self._clock() + left, UTC).isoformat(timespec="seconds")

    def words(self) -> list[str]:
        """For the page's foot: what waits, and what is wrong."""
        status = self.status()
        said = [f"{status['waiting']:,} flags, verdicts and votes wait to be published" if status["waiting"] else ""]
        if status["waiting"] and status["oldest_seconds"] >= 60:
            said[0] += f", the oldest for {status['oldest_seconds'] // 60:,} minutes"
        if status["private"]:
            said.append(f"{status['private']:,} flags are private: not reviewed, or not let pass")
        return [*filter(None, said), *([f"publishing: {status['error']}"] if status["error"] else [])]

    def url(self, commit: str) -> str:
        """Where people look at a commit."""
        return self.hub.url(commit)


def publisher_of(settings: Settings, store: FeedbackStore) -> Publisher | NoPublisher:
    """Raises ControlError for a repository's name that is none, or moderation that is neither on nor off."""
    if not settings.feedback_repo:
        return NoPublisher()
    hub, moderated = DatasetHub(settings.feedback_repo), settings.moderated
    return Publisher(store, hub, settings.publish_every, settings.commits_per_hour, moderated=moderated)
