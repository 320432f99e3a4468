"""Where feedback is kept: images in files, rows in a database. What was acknowledged survives whatever is killed.

    data_dir/feedback/feedback.sqlite3      one row an event, in the order of acknowledgement (or a PostgreSQL database)
    data_dir/feedback/blobs/ab/abcd….png    its images, named by their sha256 (or a bucket)

Rows are only ever added. Bytes are on the disk before the row that names them is committed, and an event is
acknowledged after the commit. An erasure removes a row; `sweeping` the blobs that no other row uses.
"""

from __future__ import annotations

import errno
import logging
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, false, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.events.records import Acknowledgement, Event, Flag, StoredFlag, clean_text
from deconvdemo.feedback.store.about import recall
from deconvdemo.feedback.store.blobs import DamagedBlobError, blob_name
from deconvdemo.feedback.store.kinds import KINDS, Kind, kind_of
from deconvdemo.feedback.store.ledger import count, forget, recount, use
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.storage import Storage
from deconvdemo.feedback.store.sweeping import forget_unused
from deconvdemo.feedback.store.tables import about, blobs, erasures, totals
from deconvdemo.settings import Settings

PAGE = 500  # ids fetched at once: a reader that takes hours holds no transaction open

log = logging.getLogger(__name__)


class FeedbackStore(Storage):
    """Flags, verdicts and votes. Any number of threads and processes may use the same one.

    Making a store touches nothing; the folder and the database are made at the first use. Every method raises
    FeedbackError, in one sentence, when the disk or the database does not let it do its work.
    """

    def __init__(
        self, data_dir: Path, database_url: str = "", min_free_mb: int = 200, blobs_url: str = "", budget_mb: int = 0
    ):
        """`min_free_mb` of the disk stay free; images take at most `budget_mb` (0: as much as there is)."""
        super().__init__(data_dir, database_url, blobs_url)
        self._min_free, self._budget = min_free_mb * 1_000_000, budget_mb * 1_000_000

    @classmethod
    def of(cls, settings: Settings) -> FeedbackStore:
        return cls(
            settings.data_dir, settings.database_url, settings.min_free_mb, settings.blobs_url, settings.feedback_mb
        )

    def add(self, event: Event) -> Acknowledgement:
        """Stores an event durably. The same event, or one with its client token, gets the first's answer."""
        kind = kind_of(event)
        with refusals(f"the {event.WORD} was not saved", log.error):
            with self.reading() as connection:
                known = _known(connection, kind, event)
            if known:
                return known
            self._require_room(sum(map(len, event.images.values())))
            images = {blob_name(data): data for data in event.images.values()}
            with self.blobs.staged(images) as staged:
                try:
                    with self.writing() as connection:
                        # the other click may have come first meanwhile
                        return _known(connection, kind, event) or self.insert(connection, event, staged)
                except BaseException as error:
                    forget_unused(self, images)
                    if isinstance(error, IntegrityError):  # in PostgreSQL, the other click may come first even now
                        with self.reading() as connection:
                            known = _known(connection, kind, event)
                        if known:
                            return known
                    raise

    def has(self, event: Event) -> bool:
        """Whether this event, or one with its client token, is stored already."""
        with refusals(f"the {event.WORD} cannot be looked up"), self.reading() as connection:
            return _known(connection, kind_of(event), event) is not None

    def stored_before(self, event: Event, token: str, **who: str) -> Acknowledgement | None:
        """The answer to this very event, stored by an earlier version under the client's bare `token`.

        For a repetition across an update: the row must be of the same person, `who`, and equal in all that was said and
        shown, not in its token alone.
        """
        kind = kind_of(event)
        told = kind.row(event, {role: blob_name(data) for role, data in event.images.items()}) | who
        own = {
            kind.id_column,
            "client_token",
            "created_at",
            "app_version",
            "schema_version",
            "erase_key",
            "adjudicates",
        }
        same = [kind.table.c[name].is_not_distinct_from(value) for name, value in told.items() if name not in own]
        if not all(who.values()) or token != clean_text(token):
            return None
        with refusals(f"the {event.WORD} cannot be looked up"), self.reading() as connection:
            query = select(kind.table).where(kind.table.c.client_token == token, *same)
            row = connection.execute(query).mappings().first()
        return _acknowledged(row[kind.id_column], row.get("erase_key")) if row else None

    def insert(self, connection: Connection, event: Event, staged: Any, shard: int | None = None) -> Acknowledgement:
        """Adds the row of an event whose bytes are staged, in the caller's transaction. `shard`: its file, if any."""
        kind = kind_of(event)
        names = {role: blob_name(data) for role, data in event.images.items()}
        sizes = {names[role]: len(data) for role, data in event.images.items()}
        # in one order: two writers never wait for each other
        for name, uses in sorted(Counter(names.values()).items()):
            if use(connection, name, sizes[name], uses):
                count(connection, "bytes", sizes[name])
        # after the blobs' rows, which are locked now: nobody removes the files from here on
        self.blobs.keep(staged)
        connection.execute(insert(kind.table).values({**kind.row(event, names), "shard": shard}))
        count(connection, kind.name, 1)
        if isinstance(event, Verdict):
            recount(connection, event.flag_id)
        return _acknowledged(kind.id_of(event), getattr(event, "erase_key", ""))

    def check(self) -> None:
        """Raises FeedbackError if a flag could not be saved now: a door says it before a visitor does."""
        with refusals("flags cannot be saved"):
            self.engine()
            self._require_room(0)
            self.blobs.try_to_write()
            with self.writing() as connection:  # of no row, but a database that may not be written says so
                connection.execute(update(about).where(false()).values(number=1))

    def ids(self, kind: str = "flags", *where: ColumnElement[bool]) -> Iterator[str]:
        """The ids of the events stored by now, in the order of acknowledgement. `where`: conditions on their table."""
        table, event_id = KINDS[kind].table, KINDS[kind].id
        with refusals(f"the {kind} cannot be read"):
            with self.reading() as connection:
                last = connection.execute(select(func.max(table.c.sequence))).scalar() or 0
            seen = 0
            while seen < last:
                with self.reading() as connection:
                    rows = connection.execute(
                        select(table.c.sequence, event_id)
                        .where(table.c.sequence > seen, table.c.sequence <= last, *where)
                        .order_by(table.c.sequence)
                        .limit(PAGE)
                    ).all()
                yield from (row[1] for row in rows)
                seen = rows[-1].sequence if rows else last

    def flag_ids(self) -> Iterator[str]:
        return self.ids("flags")

    def events(self, kind: str = "flags") -> Iterator[Any]:
        """The events in the order of acknowledgement, one at a time in memory."""
        return (self.get(event_id, kind) for event_id in self.ids(kind))

    def flags(self) -> Iterator[StoredFlag]:
        return self.events("flags")

    def get(self, event_id: str, kind: str = "flags", with_images: bool = True) -> Any:
        """The stored event. FeedbackError for an unknown id, DamagedBlobError if its images are not what was stored.

        Without `with_images` no file is read, and its images are None.
        """
        of = KINDS[kind]
        word = of.record.WORD
        with refusals(f"the {word} cannot be read"):
            with self.reading() as connection:
                row = connection.execute(select(of.table).where(of.id == event_id)).mappings().first()
            if row is None:
                raise FeedbackError(f"no {word} has the id {event_id!r}: `deconvdemo feedback export` lists them")
            try:
                roles = [role for role in of.roles if row[role]] if with_images else []
                images = {role: self.blobs.read(row[role]) for role in roles}
            except DamagedBlobError as error:
                raise DamagedBlobError(f"{word} {event_id}: {error}") from error
            return of.event(dict(row), images)

    def image(self, event_id: str, role: str, kind: str = "flags") -> bytes:
        """One image of an event. FeedbackError if there is none, DamagedBlobError if it is not what was stored."""
        of = KINDS[kind]
        word = of.record.WORD
        if role not in of.roles:
            raise FeedbackError(f"a {word} has no {role!r} image: it has {', '.join(of.roles)}")
        with refusals(f"the {word} cannot be read"):
            with self.reading() as connection:
                name = connection.execute(select(of.table.c[role]).where(of.id == event_id)).scalar()
            if not name:
                raise FeedbackError(f"no {word} {event_id!r} has a {role} image")
            return self.blobs.read(name)

    def totals(self) -> dict[str, int]:
        """How many `flags`, `verdicts` and `votes` there are, and their images' `bytes`; at once, however many."""
        with refusals("the flags cannot be counted"), self.reading() as connection:
            found = {row.key: row.value for row in connection.execute(select(totals))}
        return {key: found.get(key, 0) for key in (*KINDS, "bytes")}

    def remove(self, connection: Connection, kind: Kind, event_id: str) -> bool:
        """Takes an event's row away, in the caller's transaction; False if there is none. `sweep` removes its files."""
        row = connection.execute(select(kind.table).where(kind.id == event_id)).mappings().first()
        if row is None or not connection.execute(delete(kind.table).where(kind.id == event_id)).rowcount:
            return False
        for name, uses in sorted(Counter(row[role] for role in kind.roles if row[role]).items()):
            connection.execute(update(blobs).where(blobs.c.name == name).values(uses=blobs.c.uses - uses))
        count(connection, kind.name, -1)
        if kind.record is Verdict:
            recount(connection, row["flag_id"])
        if kind.record is Flag:
            forget(connection, event_id)
        return True

    def erased(self, event_id: str) -> bool:
        with refusals("the erasures cannot be read"), self.reading() as connection:
            return connection.execute(select(erasures).where(erasures.c.event_id == event_id)).first() is not None

    @property
    def instance(self) -> str:
        """Names this database among all that publish to one dataset: 8 hex digits."""
        return recall(self, about.c.instance, lambda: secrets.token_hex(4))

    def _require_room(self, size: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < size + self._min_free:
            raise OSError(errno.ENOSPC, f"{free} bytes free, {size} to write, {self._min_free} to stay free")
        if self._budget and self.totals()["bytes"] + size > self._budget:
            raise FeedbackError(
                f"the {self._budget / 1e6:,.0f} MB that feedback may take here are used up: "
                "whoever keeps this demo can erase flags, or raise DECONVDEMO_FEEDBACK_MB"
            )


def _known(connection: Connection, kind: Kind, event: Event) -> Acknowledgement | None:
    same = kind.id == kind.id_of(event)
    if event.client_token:
        same = or_(same, kind.table.c.client_token == event.client_token)
    row = connection.execute(select(kind.table).where(same)).mappings().first()
    return _acknowledged(row[kind.id_column], row.get("erase_key")) if row else None


def _acknowledged(event_id: str, erase_key: str | None) -> Acknowledgement:
    return Acknowledgement(event_id, erase_key=erase_key or "")
