"""Publishing feedback: what is stored here becomes rows of a dataset on the Hub, each exactly once.

    frozen → sending → committed at a commit

A batch is frozen once (`shards.py`). Before a call that may commit it, it is noted as `sending`; whatever becomes of
the call, the Hub is asked whether the file is there before the same bytes are sent again under the same name.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, select, update

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.card import MARK, dataset_card, plots
from deconvdemo.feedback.catch_up import TOMBSTONES, CatchUp
from deconvdemo.feedback.database import erasures
from deconvdemo.feedback.database import shards as shards_table
from deconvdemo.feedback.dataset_hub import DatasetHub, HubError, HubMovedError
from deconvdemo.feedback.kinds import KINDS
from deconvdemo.feedback.lease import Lease
from deconvdemo.feedback.refusals import refusals
from deconvdemo.feedback.shards import COMMITTED, LEAVING, SENDING, Shard, Shards
from deconvdemo.feedback.store import FeedbackStore
from deconvdemo.settings import Settings

FILES_A_COMMIT = 50
BYTES_A_COMMIT = 200_000_000
CARD_SECONDS = 3600.0  # between two cards that differ in their counts only
FIRST_WAIT, LONGEST_WAIT = 5.0, 1800.0  # seconds after a failure; doubled each time
HOUR = 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What one round did. `wait`: seconds until the next commit is allowed, where a commit had to wait."""

    rows: int = 0
    files: int = 0
    commit: str = ""
    wait: float = 0.0
    busy: bool = False  # another process publishes from this database


class NoPublisher:
    """For a demo without a dataset repository: feedback stays where it is."""

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
    ):
        self.store, self.hub, self.every, self.commits_per_hour = store, hub, every, commits_per_hour
        self.shards = Shards(store)
        self._clock, self._chance = clock, chance
        self._lease = Lease(store, f"publisher of {hub.repo}"[:64])
        self._catch_up = CatchUp(store, hub)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._card_head = ""  # the commit whose card is known,
        self._card_kinds: set[str] = set()  # and the kinds that it tells of
        self._carded = 0.0
        self._failures = 0
        self._error, self._next = "", 0.0

    # ---- a round ---------------------------------------------------------------------------------------------------

    def publish(self) -> Published:
        """Takes in what others published, and publishes what there is, in at most one commit. Raises FeedbackError."""
        if not self._lease.take():
            return Published(busy=True)
        head = self._head()
        self._catch_up.take(head)
        self._settle()
        self._rewrite_what_holds_erased()
        batch, erased = self._batch(), self._erased()
        if not batch and not erased and not self.shards.in_state(LEAVING):
            self._forget_history()
            return Published()
        if wait := self._wait_for_the_hour():
            return Published(wait=wait)
        done = self._commit(batch, erased, head)
        self._forget_history()
        return done

    def _head(self) -> str:
        head = self.hub.head()
        if head is None:
            self.hub.create()
            log.info("made the public dataset %s", self.hub.url())
            head = self.hub.head()
        if head is None:
            raise HubError(f"the Hub made the dataset {self.hub.repo}, and does not find it yet")
        return head

    def _settle(self) -> None:
        """Finds out what became of the batches whose commit got no clear answer."""
        unsure = [shard for shard in self.shards.unsent() if shard.state == SENDING]
        if not unsure:
            return
        there = self.hub.lookup([shard.path for shard in unsure])
        for shard in unsure:
            found = there.get(shard.path)
            if found and found.sha256 == shard.sha256:
                self.shards.committed([shard], found.commit)

    def _rewrite_what_holds_erased(self) -> None:
        for shard in self.shards.unsent():
            if self.shards.holds_erased(shard):
                self.shards.thaw(shard)
        for number in sorted({row.shard for row in self._erased() if row.shard}):
            old = self.shards.get(number)
            if old and old.state == COMMITTED:
                self.shards.rewrite(old)

    def _erased(self) -> Sequence[Row]:
        """Tombstones that the dataset does not have yet."""
        with refusals("the erasures cannot be read"), self.store.reading() as connection:
            return connection.execute(select(erasures).where(erasures.c.published.is_(None))).all()

    def _forget_history(self) -> None:
        """After an erasure: the dataset's past goes, and the bytes that only its past had."""
        doomed = json.loads(self.store.word("to forget") or "[]")
        if not doomed:
            return
        self.hub.squash("Erase rows on request")
        self._card_head = ""
        try:
            left = len(set(doomed) - set(self.hub.delete_objects(doomed)))
        except HubError as error:
            if not error.hopeless:
                raise
            left = len(doomed)  # a Hub without that service: no commit leads to the files any more
        if left:
            log.warning("the Hub still lists %d erased files of %s: ask it to drop them", left, self.hub.url())
        self.store.keep_word("to forget", "[]")

    def _batch(self) -> list[Shard]:
        """What to commit next: what was frozen before, then what is new."""
        waiting = self.shards.unsent()
        for shard in waiting:
            try:
                self.shards.data(shard)
            except FeedbackError as error:  # its events are here still: they go with another file
                log.warning("%s", error)
                self.shards.thaw(shard)
        waiting = self.shards.unsent()
        if len(waiting) < FILES_A_COMMIT:
            waiting += self.shards.freeze()
        batch: list[Shard] = []
        for shard in waiting[:FILES_A_COMMIT]:
            if not batch or sum(one.bytes for one in batch) + shard.bytes <= BYTES_A_COMMIT:
                batch.append(shard)
        return batch

    def _commit(self, batch: list[Shard], erased: Sequence[Row], head: str) -> Published:
        add = {shard.path: self.shards.data(shard) for shard in batch}
        for row in erased:
            tombstone = {"kind": row.kind, "event_id": row.event_id, "erased_at": row.created_at[:10]}
            add[f"{TOMBSTONES}/{row.event_id}.json"] = (json.dumps(tombstone) + "\n").encode()
        leaving = self.shards.in_state(LEAVING)
        there = self.hub.lookup([shard.path for shard in leaving]) if leaving else {}
        card = self._card({shard.kind for shard in batch}, head)
        self.shards.sending(batch)
        rows = {kind: sum(shard.rows for shard in batch if shard.kind == kind) for kind in KINDS}
        message = "Add " + (", ".join(f"{count} {kind}" for kind, count in rows.items() if count) or "tombstones")
        # the card is only written over the one that was read: two instances that begin at once must not hide each
        # other's rows. Shards need no such care: nobody else has their names
        self._card_head = ""  # whatever becomes of this commit, what is known of the card was known before it
        commit = self.hub.commit(add | card, message, delete=sorted(there), parent=head if card else None)
        self.shards.committed(batch, commit)
        if erased or leaving:
            self._note_erased(erased, leaving, commit)
        self._note_commit()
        if card:
            self._carded = self._clock()
            self._card_head = commit
        return Published(sum(rows.values()), len(batch), commit)

    def _note_erased(self, erased: Sequence[Row], leaving: list[Shard], commit: str) -> None:
        doomed = json.loads(self.store.word("to forget") or "[]")
        if leaving:  # before they are noted as gone: whoever is killed here forgets once more, not never
            self.store.keep_word("to forget", json.dumps(sorted({*doomed, *(shard.sha256 for shard in leaving)})))
        self.shards.gone(leaving)
        with refusals("the erasures cannot be written"), self.store.writing() as connection:
            numbers = [row.sequence for row in erased]
            connection.execute(update(erasures).where(erasures.c.sequence.in_(numbers)).values(published=commit))

    # ---- the card --------------------------------------------------------------------------------------------------

    def _card(self, new: set[str], head: str) -> dict[str, bytes]:
        """The card's files, if this commit should bring them."""
        if self._card_head != head:
            self._card_kinds = self._kinds_of_card(head)
            self._card_head = head
        kinds = self._published_kinds() | new
        if kinds == self._card_kinds and not (self._clock() - self._carded > CARD_SECONDS and self._leads()):
            return {}
        pictures = plots(self.store.stats())
        card = dataset_card(self._counts(), self.hub.repo, pictures)
        self._card_kinds = kinds
        return {"README.md": card.encode(), **pictures}

    def _kinds_of_card(self, head: str) -> set[str]:
        if "README.md" not in self.hub.lookup(["README.md"], head):
            return set()
        text = self.hub.read("README.md", revision=head).decode(errors="replace")
        if MARK not in text:
            raise HubError(
                f"the dataset {self.hub.repo} has a README.md that is not ours: "
                "set DECONVDEMO_FEEDBACK_REPO to a new dataset, or remove it",
                hopeless=True,
            )
        return set(re.findall(r"^- config_name: (\w+)", text, re.MULTILINE))

    def _published_kinds(self) -> set[str]:
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            kinds = select(shards_table.c.kind).where(shards_table.c.state == COMMITTED).distinct()
            return set(connection.execute(kinds).scalars())

    def _counts(self) -> dict[str, int]:
        """Rows of each kind that are in a shard."""
        totals = self.store.totals()
        with refusals("the backlog cannot be counted"), self.store.reading() as connection:
            for kind in KINDS.values():
                new = select(func.count()).where(kind.table.c.shard.is_(None))
                totals[kind.name] -= connection.execute(new).scalar_one()
        return {kind: totals[kind] for kind in KINDS}

    def _leads(self) -> bool:
        """Whether this is the instance that keeps the card: the first by name of those that published within a day."""
        day = datetime.fromtimestamp(self._clock() - 24 * HOUR, UTC).strftime("%Y-%m-%d")
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            recent = select(shards_table.c.path).where(func.substr(shards_table.c.created_at, 1, 10) >= day)
            names = {path.rpartition("/")[2].partition("-")[0] for path in connection.execute(recent).scalars()}
        return self.store.instance <= min(names, default=self.store.instance)

    # ---- commits an hour -------------------------------------------------------------------------------------------

    def _wait_for_the_hour(self) -> float:
        """Seconds until a commit is allowed; 0 if one is."""
        made = self._commits()
        return made[-self.commits_per_hour] + HOUR - self._clock() if len(made) >= self.commits_per_hour else 0.0

    def _commits(self) -> list[float]:
        """The moments of this database's commits within the last hour; they outlive the process."""
        return [moment for moment in json.loads(self.store.word("commits") or "[]") if moment > self._clock() - HOUR]

    def _note_commit(self) -> None:
        self.store.keep_word("commits", json.dumps([*self._commits(), self._clock()]))

    # ---- the thread ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Publishes in the background from now on."""
        self._stopping.clear()
        self._next = self._clock() + min(self.every, 5.0) * self._chance()  # replicas that start at once do not meet
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
            self._lease.release()
        except FeedbackError as error:
            log.warning("%s", error)

    def _run(self) -> None:
        with_tidying = True
        while not self._stopping.wait(max(0.0, min(self._next - self._clock(), self.every))):
            if self._clock() < self._next:
                continue
            self.round(with_tidying)
            with_tidying = False
        self.release()

    def round(self, with_tidying: bool = False) -> Published | None:
        """One publication and its bookkeeping: what went wrong is in the status, and when to try again."""
        try:
            if with_tidying:
                self.shards.tidy()
                self.store.tidy()
            done = self.publish()
            self._failures, self._error = 0, ""
            self._next = self._clock() + (done.wait or self.every)
            return done
        except FeedbackError as error:
            self._failures += 1
            self._error = str(error)
            self._next = self._clock() + self._pause(error)
            log.warning("feedback was not published: %s", error)
        except Exception as error:
            self._failures += 1
            self._error = f"unexpected {type(error).__name__}: {error}"
            self._next = self._clock() + self._pause(error)
            log.exception("feedback was not published")
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
        backlog = self.shards.backlog()
        age = 0.0
        if backlog["oldest"]:
            age = max(0.0, self._clock() - datetime.fromisoformat(backlog["oldest"]).timestamp())
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            last = connection.execute(
                select(shards_table.c.commit, shards_table.c.committed_at)
                .where(shards_table.c.committed_at.is_not(None))
                .order_by(shards_table.c.committed_at.desc())
                .limit(1)
            ).first()
        return {
            "repo": self.hub.repo,
            **backlog,
            "oldest_seconds": round(age),
            "error": self._error,
            "damaged": [*self.shards.damaged.values(), *self._catch_up.refused.values()],
            "commit": last.commit if last else None,
            "committed_at": last.committed_at if last else None,
            "next": datetime.fromtimestamp(self._next, UTC).isoformat(timespec="seconds") if self._thread else None,
        }

    def words(self) -> list[str]:
        """For the page's foot: what waits, and what is wrong."""
        status = self.status()
        said = [f"{status['waiting']:,} flags, verdicts and votes wait to be published" if status["waiting"] else ""]
        if status["waiting"] and status["oldest_seconds"] >= 60:
            said[0] += f", the oldest for {status['oldest_seconds'] // 60:,} minutes"
        return [*filter(None, said), *([f"publishing: {status['error']}"] if status["error"] else [])]

    def url(self, commit: str) -> str:
        """Where people look at a commit."""
        return self.hub.url(commit)


def publisher_of(settings: Settings, store: FeedbackStore) -> Publisher | NoPublisher:
    """Raises ControlError for a repository's name that is none."""
    if not settings.feedback_repo:
        return NoPublisher()
    return Publisher(store, DatasetHub(settings.feedback_repo), settings.publish_every, settings.commits_per_hour)
