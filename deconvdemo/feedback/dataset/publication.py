"""One round of publishing: what is stored here becomes rows of a dataset on the Hub, each exactly once.

    frozen → sending → committed at a commit

A batch is frozen once (`shards.py`). Before a call that may commit it, it is noted as `sending`; whatever becomes of
the call, the Hub is asked whether the file is there before the same bytes are sent again under the same name.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, update

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.backlog import shards_of_withheld
from deconvdemo.feedback.dataset.card_keeper import CardKeeper
from deconvdemo.feedback.dataset.catch_up import TOMBSTONES, CatchUp
from deconvdemo.feedback.dataset.repository import DatasetHub
from deconvdemo.feedback.dataset.shards import COMMITTED, LEAVING, SENDING, Shard, Shards
from deconvdemo.feedback.store.about import note
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.lease import Lease
from deconvdemo.feedback.store.ledger import upsert
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import about, commits, doomed, erasures
from deconvdemo.hub.repository import HubError

FILES_A_COMMIT = 50
BYTES_A_COMMIT = 200_000_000
HOUR = 3600.0
AHEAD = 300.0  # seconds by which the clocks of two replicas may differ

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What one round did. `wait`: seconds until the next commit is allowed, where a commit had to wait."""

    rows: int = 0
    files: int = 0
    commit: str = ""
    wait: float = 0.0
    busy: bool = False  # another process publishes from this database


class Publication:
    """Publishes a store's feedback to a dataset repository, one commit at a time."""

    def __init__(
        self,
        store: FeedbackStore,
        hub: DatasetHub,
        commits_per_hour: int,
        clock: Callable[[], float] = time.time,
        moderated: bool = False,
    ):
        self.store, self.hub, self.commits_per_hour = store, hub, commits_per_hour
        self.shards, self.catch_up = Shards(store, moderated=moderated), CatchUp(store, hub)
        self.lease = Lease(store, f"publisher of {hub.repo}"[:64])
        self._clock = clock
        self._card = CardKeeper(store, hub, clock)

    def publish(self) -> Published:
        """Takes in what others published, and publishes what there is, in at most one commit. Raises FeedbackError."""
        if not self.lease.take():
            return Published(busy=True)
        head = self._head()
        self.catch_up.take(head)
        self._settle()
        erased = self._rewrite_what_holds_erased()
        batch = self._batch()
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

    def _rewrite_what_holds_erased(self) -> Sequence[Row]:
        """Returns the tombstones that the dataset does not have yet, and that no file of it will contradict.

        What is withheld by now leaves the dataset in the same way, and stays here.
        """
        with refusals("the erasures cannot be read"), self.store.reading() as connection:
            erased = connection.execute(select(erasures).where(erasures.c.published.is_(None))).all()
        for shard in self.shards.unsent():
            if self.shards.holds_erased(shard):
                self.shards.thaw(shard)
        for number in sorted({row.shard for row in erased if row.shard} | shards_of_withheld(self.store)):
            old = self.shards.get(number)
            if old and old.state == COMMITTED:
                self.shards.rewrite(old)
        return [row for row in erased if not row.shard or not self.shards.in_dataset(row.shard)]

    def _forget_history(self) -> None:
        """After an erasure: the dataset's past goes, and the bytes that only its past had."""
        with refusals("the erased files cannot be read"), self.store.reading() as connection:
            files = connection.execute(select(doomed.c.sha256).order_by(doomed.c.sha256)).scalars().all()
        if not files:
            return
        note(self.store, about.c.head, self.hub.squash("Erase rows on request"))
        self._card.forget()
        try:
            left = len(set(files) - set(self.hub.delete_objects(files)))
        except HubError as error:
            if not error.hopeless:
                raise
            left = len(files)  # a Hub without that service: no commit leads to the files any more
        if left:
            log.warning("the Hub still lists %d erased files of %s: ask it to drop them", left, self.hub.url())
        with refusals("the erased files cannot be noted"), self.store.writing() as connection:
            connection.execute(delete(doomed).where(doomed.c.sha256.in_(files)))

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
        card = self._card.files({shard.kind for shard in batch}, head, fewer=bool(erased or leaving))
        self.shards.sending(batch)
        rows = {kind: sum(shard.rows for shard in batch if shard.kind == kind) for kind in KINDS}
        message = "Add " + (", ".join(f"{count} {kind}" for kind, count in rows.items() if count) or "tombstones")
        # the card is only written over the one that was read: two instances that begin at once must not hide each
        # other's rows. Shards need no such care: nobody else has their names
        self._card.forget()  # whatever becomes of this commit, what is known of the card was known before it
        commit = self.hub.commit(add | card, message, delete=sorted(there), parent=head if card else None)
        note(self.store, about.c.head, commit)  # before the rows count as published: it is never without one of them
        self.shards.committed(batch, commit)
        if erased or leaving:
            self._note_erased(erased, leaving, commit)
        self._note_commit()
        if card:
            self._card.written(commit)
        return Published(sum(rows.values()), len(batch), commit)

    def _note_erased(self, erased: Sequence[Row], leaving: list[Shard], commit: str) -> None:
        # before they are noted as gone: whoever is killed here forgets once more, not never
        with refusals("the erased files cannot be noted"), self.store.writing() as connection:
            for shard in leaving:
                connection.execute(upsert(connection, doomed).values(sha256=shard.sha256).on_conflict_do_nothing())
        self.shards.gone(leaving)
        with refusals("the erasures cannot be written"), self.store.writing() as connection:
            numbers = [row.sequence for row in erased]
            connection.execute(update(erasures).where(erasures.c.sequence.in_(numbers)).values(published=commit))

    # ---- commits an hour -------------------------------------------------------------------------------------------

    def _wait_for_the_hour(self) -> float:
        """Seconds until a commit is allowed; 0 if one is."""
        made = self._commits()
        return made[-self.commits_per_hour] + HOUR - self._clock() if len(made) >= self.commits_per_hour else 0.0

    def _commits(self) -> list[float]:
        """The moments of this database's commits within the last hour; they outlive the process.

        Moments to come were noted before the clock was set back: they would hold up publishing until it is there again.
        """
        recent = select(commits.c.moment).where(self._recent()).order_by(commits.c.number)
        with refusals("the last commits cannot be read"), self.store.reading() as connection:
            return list(connection.execute(recent).scalars())

    def _note_commit(self) -> None:
        with refusals("the commit cannot be noted"), self.store.writing() as connection:
            connection.execute(delete(commits).where(~self._recent()))
            connection.execute(insert(commits).values(moment=self._clock()))

    def _recent(self) -> ColumnElement[bool]:
        now = self._clock()
        return and_(commits.c.moment > now - HOUR, commits.c.moment < now + AHEAD)
