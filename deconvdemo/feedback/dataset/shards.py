"""Batches of events, frozen once into parquet files that are published as they are: same bytes, same name, ever after.

    data_dir/feedback/shards/<sha256>.parquet     a batch's bytes, until its commit is known

A file is complete before the row that names it; the row and its events' `shard` are one transaction.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, insert, select, update

from deconvdemo.digests import sha256_of
from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.parquet import WHOLE, ShardLimits, tables, write
from deconvdemo.feedback.store.blobs import STALE_SECONDS, DamagedBlobError, make_folder, sync
from deconvdemo.feedback.store.kinds import KINDS, Kind
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.ruling import is_public
from deconvdemo.feedback.store.store import PAGE, FeedbackStore
from deconvdemo.feedback.store.tables import shards

FROZEN, SENDING, COMMITTED = "frozen", "sending", "committed"
READING = "reading"  # another instance's, being taken in
LEAVING, GONE = "leaving", "gone"  # rewritten after an erasure: still in the dataset, or not any more
UNSENT = (FROZEN, SENDING)

# what is uploaded at once is in memory at once
LIMITS = ShardLimits(rows_a_group=100, bytes_a_group=32_000_000, rows_a_shard=500, bytes_a_shard=48_000_000)


@dataclass(frozen=True)
class Shard:
    """A file of the dataset: a row of the table `shards`."""

    shard: int
    kind: str
    path: str
    sha256: str
    bytes: int
    rows: int
    state: str
    commit: str | None
    created_at: str
    committed_at: str | None

    @classmethod
    def of(cls, row: RowMapping) -> Shard:
        return cls(**row)


@dataclass(frozen=True)
class _Batch:
    """A file that is written: its events' places in the order of acknowledgement, by their ids."""

    sequences: dict[str, int]
    sha256: str
    bytes: int


class Shards:
    """The shards of a store. `damaged` has a sentence for each event that the last freezing had to leave out."""

    def __init__(self, store: FeedbackStore, limits: ShardLimits = LIMITS, moderated: bool = False):
        """`moderated`: no flag is frozen before a reviewer lets it pass."""
        self.store, self.limits, self.moderated = store, limits, moderated
        self.folder = store.folder / "shards"
        self.damaged: dict[str, str] = {}

    def freeze(self) -> list[Shard]:
        """A shard of each kind that has unpublished events, as many as fit; the others' turn comes next time."""
        frozen = []
        with refusals("feedback cannot be frozen for its publication"):
            for kind in KINDS.values():
                shard = self._freeze(kind)
                frozen += [shard] if shard else []
        return frozen

    def unsent(self) -> list[Shard]:
        """The shards whose commit is not known, the oldest first."""
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            rows = connection.execute(select(shards).where(shards.c.state.in_(UNSENT)).order_by(shards.c.shard))
            return [Shard.of(row) for row in rows.mappings()]

    def get(self, number: int) -> Shard | None:
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            row = connection.execute(select(shards).where(shards.c.shard == number)).mappings().first()
            return Shard.of(row) if row else None

    def data(self, shard: Shard) -> bytes:
        """Its bytes. FeedbackError if the disk has lost or spoilt them."""
        try:
            data = self.file(shard).read_bytes()
        except OSError:
            data = b""
        if sha256_of(data) != shard.sha256:
            raise FeedbackError(
                f"the frozen file {self.file(shard)} is missing or damaged: bring it back from a backup"
            )
        return data

    def thaw(self, shard: Shard) -> None:
        """Undoes a freezing that was never sent: its events are unpublished again."""
        with refusals("a shard cannot be thawed"):
            with self.store.writing() as connection:
                table = KINDS[shard.kind].table
                connection.execute(update(table).where(table.c.shard == shard.shard).values(shard=None))
                connection.execute(shards.delete().where(shards.c.shard == shard.shard, shards.c.state.in_(UNSENT)))
            self.file(shard).unlink(missing_ok=True)

    def holds_erased(self, shard: Shard) -> bool:
        """Whether it has rows that were erased since, or whose flag is withheld."""
        table = KINDS[shard.kind].table
        there = and_(table.c.shard == shard.shard, is_public(table, moderated=False))
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            rows = connection.execute(select(func.count()).where(there)).scalar_one()
        return rows != shard.rows

    def in_dataset(self, number: int) -> bool:
        """Whether the dataset has this shard, or may have, also after the next commit."""
        shard = self.get(number)
        return shard is not None and shard.state not in (LEAVING, GONE)

    def in_state(self, state: str) -> list[Shard]:
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            rows = connection.execute(select(shards).where(shards.c.state == state).order_by(shards.c.shard))
            return [Shard.of(row) for row in rows.mappings()]

    def rewrite(self, old: Shard) -> Shard | None:
        """Freezes what is left of a committed shard after an erasure into another one, and has the old one leave."""
        with refusals("a shard cannot be rewritten"):
            return self._freeze(KINDS[old.kind], old)

    def gone(self, batch: list[Shard]) -> None:
        self._set(batch, {"state": GONE})

    def sending(self, batch: list[Shard]) -> None:
        self._set(batch, {"state": SENDING})

    def committed(self, batch: list[Shard], commit: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        self._set(batch, {"state": COMMITTED, "commit": commit, "committed_at": now})
        for shard in batch:
            self.file(shard).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Removes the bytes that a killed process left: of no row, or of one that is committed."""
        with refusals("left shards cannot be removed"):
            if not self.folder.is_dir():
                return
            kept = {self.file(shard).name for shard in self.unsent()}
            for file in self.folder.iterdir():
                # a young one may be another process's, whose row is not committed yet
                if file.name not in kept and time.time() - file.stat().st_mtime > STALE_SECONDS:
                    file.unlink(missing_ok=True)

    def last_commit(self) -> tuple[str | None, str | None]:
        """The newest commit of this database's, and its moment (ISO 8601)."""
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            last = select(shards.c.commit, shards.c.committed_at).where(shards.c.committed_at.is_not(None))
            row = connection.execute(last.order_by(shards.c.committed_at.desc()).limit(1)).first()
            return (row.commit, row.committed_at) if row else (None, None)

    def file(self, shard: Shard) -> Path:
        return self._file(shard.sha256)

    def _file(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.parquet"

    def _freeze(self, kind: Kind, old: Shard | None = None) -> Shard | None:
        """Freezes events that are in no shard, or what is left of an `old` one."""
        batch = self._written(kind, self._events(kind, old))
        if batch is not None:
            return self._noted(kind, batch, old)
        if old:
            with self.store.writing() as connection:
                self._let_go(connection, kind, old)
        return None

    def _new(self, kind: Kind) -> list[ColumnElement[bool]]:
        """What an event is that waits to be frozen."""
        return [kind.table.c.shard.is_(None), is_public(kind.table, self.moderated)]

    def _let_go(self, connection: Connection, kind: Kind, old: Shard) -> None:
        """An old shard leaves; what was left out of the new one, because it is withheld, is unpublished again."""
        connection.execute(update(kind.table).where(kind.table.c.shard == old.shard).values(shard=None))
        connection.execute(update(shards).where(shards.c.shard == old.shard).values(state=LEAVING))

    def _written(self, kind: Kind, events: Iterator[Any]) -> _Batch | None:
        """The file of all of these events, complete and in its place; None if there are none."""
        sequences: dict[str, int] = {}

        def taken() -> Iterator[Any]:
            for event in events:
                sequences[kind.id_of(event)] = event.sequence
                yield event

        pieces = tables(kind, taken(), self.limits)
        first = next(pieces, None)
        if first is None:
            return None
        make_folder(self.folder)
        partial = self.folder / f"{uuid4().hex}.tmp"
        try:
            write(partial, chain([first], pieces), WHOLE)
            data = partial.read_bytes()
            sha256 = sha256_of(data)
            os.replace(partial, self._file(sha256))
            sync(self.folder)
        finally:
            partial.unlink(missing_ok=True)
        return _Batch(sequences, sha256, len(data))

    def _noted(self, kind: Kind, batch: _Batch, old: Shard | None) -> Shard | None:
        """The row of a written file, and its events' `shard`; None if they are not what they were, or not free."""
        now = datetime.now(UTC)
        day = old.created_at[:10] if old else f"{now:%Y-%m-%d}"
        first, last = min(batch.sequences.values()), max(batch.sequences.values())
        values = {
            "kind": kind.name,
            "path": f"data/{kind.name}/{day}/{self.store.instance}-{first}-{last}-{batch.sha256[:8]}.parquet",
            "sha256": batch.sha256,
            "bytes": batch.bytes,
            "rows": len(batch.sequences),
            "state": FROZEN,
            "created_at": now.isoformat(timespec="microseconds"),
        }
        with self.store.writing() as connection:
            number = connection.execute(insert(shards).values(values).returning(shards.c.shard)).scalar_one()
            mine = and_(kind.id.in_(batch.sequences), *(self._left_of(kind, old) if old else self._new(kind)))
            taken = connection.execute(update(kind.table).where(mine).values(shard=number)).rowcount
            if taken != len(batch.sequences):
                # one was erased, or another process was quicker: nothing is written, the next try will see
                connection.rollback()
                self._file(batch.sha256).unlink(missing_ok=True)
                return None
            if old:
                self._let_go(connection, kind, old)
        return self.get(number)

    def _left_of(self, kind: Kind, old: Shard) -> list[ColumnElement[bool]]:
        """What an event of an old shard is that stays published."""
        return [kind.table.c.shard == old.shard, is_public(kind.table, moderated=False)]

    def _events(self, kind: Kind, old: Shard | None) -> Iterator[Any]:
        """The events of an `old` shard, or the oldest that are in none, up to the limits."""
        number = size = 0
        for event_id in self._ids(kind, and_(*(self._left_of(kind, old) if old else self._new(kind)))):
            try:
                event = self.store.get(event_id, kind.name)
            except DamagedBlobError as error:
                self.damaged[event_id] = str(error)
                continue
            except FeedbackError:  # erased since
                continue
            self.damaged.pop(event_id, None)
            number, size = number + 1, size + sum(map(len, event.images.values()))
            yield event
            if old is None and (number >= self.limits.rows_a_shard or size >= self.limits.bytes_a_shard):
                return

    def _ids(self, kind: Kind, which: ColumnElement[bool]) -> Iterator[str]:
        """The ids of such events, the oldest first."""
        seen = 0
        while True:
            query = select(kind.table.c.sequence, kind.id).where(which, kind.table.c.sequence > seen)
            with self.store.reading() as connection:
                rows = connection.execute(query.order_by(kind.table.c.sequence).limit(PAGE)).all()
            yield from (event_id for _, event_id in rows)
            if len(rows) < PAGE:
                return
            seen = rows[-1].sequence

    def _set(self, batch: list[Shard], values: dict[str, Any]) -> None:
        with refusals("the shards' state cannot be written"), self.store.writing() as connection:
            numbers = [shard.shard for shard in batch]
            connection.execute(update(shards).where(shards.c.shard.in_(numbers)).values(values))
