"""Taking in what is in the dataset already: after a wiped disk, or from other instances that publish to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from sqlalchemy import insert, select, update

from deconvdemo.errors import DatasetError, FeedbackError
from deconvdemo.feedback.dataset.erase import erase_event
from deconvdemo.feedback.dataset.parquet import LIMITS
from deconvdemo.feedback.dataset.repository import DatasetHub
from deconvdemo.feedback.dataset.rows import event_of, in_order, kind_of_path
from deconvdemo.feedback.dataset.shards import COMMITTED, GONE, READING
from deconvdemo.feedback.events.records import Event
from deconvdemo.feedback.store.about import note
from deconvdemo.feedback.store.blobs import blob_name
from deconvdemo.feedback.store.kinds import KINDS, Kind
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import about, erasures, shards
from deconvdemo.hub.parquet_rows import Damage, ParquetRows
from deconvdemo.hub.repository import RepoFile

TOMBSTONES = "erasures"  # folder of the dataset: one small file an erased event, with nothing but its kind and id
log = logging.getLogger(__name__)

LARGEST = 600_000_000  # bytes of a file that is read; ours have a tenth


class CatchUp:
    """Brings a store to what the dataset has. `refused`: a sentence for each file or row that is not ours."""

    def __init__(self, store: FeedbackStore, hub: DatasetHub):
        self.store, self.hub = store, hub
        self.refused: dict[str, str] = {}
        self._head = ""

    def take(self, head: str) -> int:
        """Stores the rows that are new here, as published ones, and erases what was erased elsewhere; returns how many
        rows are new. It may be killed anywhere, and goes on at the next call."""
        if head == self._head:
            return 0
        there = {path: file for path, file in self.hub.files("data", head).items() if kind_of_path(path)}
        known = self._known()
        taken = 0
        self._apply_tombstones(head)
        for path in in_order(there):
            if known.get(path) not in (None, READING) or path in self.refused:
                continue
            try:
                taken += self._read(path, there[path], head)
            except _NotOursError as error:
                self._refuse(path, str(error))
        with refusals("the shards' state cannot be written"), self.store.writing() as connection:
            vanished = [path for path, state in known.items() if state == COMMITTED and path not in there]
            for path in vanished:
                connection.execute(update(shards).where(shards.c.path == path).values(state=GONE))
        note(self.store, about.c.head, head)
        self._head = head
        return taken

    def _known(self) -> dict[str, str]:
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            return {row.path: row.state for row in connection.execute(select(shards.c.path, shards.c.state))}

    def _apply_tombstones(self, head: str) -> None:
        for path in self.hub.files(TOMBSTONES, head):
            event_id = path.rpartition("/")[2].removesuffix(".json")
            if self.store.erased(event_id) or not path.endswith(".json"):
                continue
            try:
                kind = KINDS[json.loads(self.hub.read(path, revision=head))["kind"]]
            except (KeyError, TypeError, ValueError):
                self._refuse(path, f"{path} in the dataset is not a tombstone of ours")
                continue
            erase_event(self.store, kind, event_id, "dataset", published=head)

    def _read(self, path: str, file: RepoFile, head: str) -> int:
        kind = kind_of_path(path)
        assert kind is not None
        if file.bytes > LARGEST:
            raise _NotOursError(f"{path} in the dataset has {file.bytes / 1e6:.0f} MB: it is not read")
        data = self.hub.read(path, file.sha256, head)
        # in this process: who may write to this program's own dataset is no stranger; the rows are bounded all the same
        try:
            parquet = ParquetRows(BytesIO(data), f"{path} in the dataset")
        except DatasetError as error:
            raise _NotOursError(str(error)) from error
        if kind.id_column not in parquet.columns:
            raise _NotOursError(f"{path} in the dataset has no column {kind.id_column}: it is not read")
        number = self._begin(kind, path, file, parquet.metadata.num_rows, head)
        taken = 0
        rows: list[dict[str, Any]] = []
        size = 0
        for row in parquet.rows():
            if isinstance(row, Damage):
                self._refuse(f"{path} {row.where}", f"{row.where} of {path} in the dataset cannot be read ({row.why})")
                continue
            rows.append(row)
            images = (row[role].get("bytes") for role in kind.roles if isinstance(row.get(role), dict))
            size += sum(len(data) for data in images if isinstance(data, bytes))
            if len(rows) == LIMITS.rows_a_group or size > LIMITS.bytes_a_group:
                taken += self._store(kind, path, rows, number)
                rows, size = [], 0
        taken += self._store(kind, path, rows, number) if rows else 0
        with refusals("the shards' state cannot be written"), self.store.writing() as connection:
            connection.execute(update(shards).where(shards.c.shard == number).values(state=COMMITTED))
        return taken

    def _begin(self, kind: Kind, path: str, file: RepoFile, rows: int, head: str) -> int:
        with refusals("the shards' state cannot be written"), self.store.writing() as connection:
            found = connection.execute(select(shards.c.shard).where(shards.c.path == path)).scalar()
            if found is not None:
                return found
            day = path.split("/")[2]
            values = {
                "kind": kind.name,
                "path": path,
                "sha256": file.sha256,
                "bytes": file.bytes,
                "rows": rows,
                "state": READING,
                "commit": head,
                "created_at": day if _is_day(day) else datetime.now(UTC).isoformat(),
            }
            return connection.execute(insert(shards).values(values).returning(shards.c.shard)).scalar_one()

    def _store(self, kind: Kind, path: str, rows: list[dict[str, Any]], number: int) -> int:
        """Some rows in one transaction."""
        events = list(self._events(kind, path, rows))
        images = {blob_name(data): data for event in events for data in event.images.values()}
        taken = 0
        stored = refusals("rows of the dataset cannot be stored")
        with stored, self.store.blobs.staged(images) as staged, self.store.writing() as connection:
            ids = [kind.id_of(event) for event in events]
            gone = erasures.c.event_id.in_(ids)
            erased = set(connection.execute(select(erasures.c.event_id).where(gone)).scalars())
            here = set(connection.execute(select(kind.id).where(kind.id.in_(ids))).scalars())
            # rows that are here already are published by this file, whatever this database remembers
            connection.execute(update(kind.table).where(kind.id.in_(ids)).values(shard=number))
            left = dict(staged)
            for event in events:
                if kind.id_of(event) in here | erased:
                    continue
                names = {blob_name(data) for data in event.images.values()}
                self.store.insert(connection, event, {n: left.pop(n) for n in names if n in left}, number)
                taken += 1
        return taken

    def _events(self, kind: Kind, path: str, rows: list[dict[str, Any]]) -> Iterator[Event]:
        for row in rows:
            try:
                yield event_of(kind, row)
            except FeedbackError as error:
                which = f"{path} {row.get(kind.id_column)}"
                self._refuse(which, f"a row of {path} in the dataset is not ours: {error}")

    def _refuse(self, what: str, why: str) -> None:
        self.refused[what] = " ".join(why.split())
        log.warning("%s", self.refused[what])


class _NotOursError(Exception):
    """A file of the dataset that this program did not write, or not so."""


def _is_day(text: str) -> bool:
    try:
        return bool(datetime.strptime(text, "%Y-%m-%d"))
    except ValueError:
        return False
