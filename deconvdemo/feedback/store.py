"""Where flags are kept: images in files, rows in SQLite. An acknowledged flag survives whatever is killed.

    data_dir/feedback/feedback.sqlite3      one row a flag, in the order of acknowledgement
    data_dir/feedback/blobs/ab/abcd….png    its images, named by their sha256

Rows are only ever added. Bytes are on the disk before the row that names them is committed, and the flag is
acknowledged after the commit.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, or_, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.blobs import Blobs, DamagedBlobError, blob_name, make_folder, sync, total_size
from deconvdemo.feedback.database import flags, open_database, sqlite_url
from deconvdemo.feedback.records import IMAGES, SCHEMA_VERSION, Acknowledgement, Flag, StoredFlag, as_json

PAGE = 500  # ids fetched at once: a reader that takes hours holds no transaction open

# EFBIG is the full disk of a process with a limit on its files
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = logging.getLogger(__name__)


class FeedbackStore:
    """Flags in a folder. Any number of threads and processes may use the same one.

    Making a store touches nothing; the folder and the database are made at the first use. Every method raises
    FeedbackError, in one sentence, when the disk or the database does not let it do its work.
    """

    def __init__(self, data_dir: Path, database_url: str = "", min_free_mb: int = 200):
        self.folder = Path(data_dir).absolute() / "feedback"
        self._url = database_url or sqlite_url(self.folder / "feedback.sqlite3")
        self._min_free = min_free_mb * 1_000_000
        self._blobs = Blobs(self.folder / "blobs")
        self._database: Engine | None = None
        self._opening = threading.Lock()
        self._writing = threading.Lock()  # fair among threads; SQLite's own lock lets the luckiest retry win

    def add(self, flag: Flag) -> Acknowledgement:
        """Stores a flag durably. The same flag, or one with its client token, gets the first's answer."""
        with _refusals("the flag was not saved", log.error):
            with self._reading() as connection:
                known = _known(connection, flag)
            if known:
                return known
            self._require_room(sum(map(len, flag.images.values())))
            with self._blobs.staged(flag.images.values()) as staged:
                try:
                    with self._write() as connection:
                        known = _known(connection, flag)  # the other click may have come first meanwhile
                        if known:
                            return known
                        connection.execute(insert(flags).values(_row(flag)))
                        self._blobs.keep(staged)
                except BaseException:
                    self._remove_unused(staged)
                    raise
            return Acknowledgement(flag.flag_id)

    def check(self) -> None:
        """Raises FeedbackError if a flag could not be saved now: a door says it before a visitor does."""
        with _refusals("flags cannot be saved"):
            self._open()
            self._require_room(0)

    def flag_ids(self) -> Iterator[str]:
        """The ids of the flags stored by now, in the order of acknowledgement."""
        with _refusals("the flags cannot be read"):
            with self._reading() as connection:
                last = connection.execute(select(func.max(flags.c.sequence))).scalar() or 0
            seen = 0
            while seen < last:
                with self._reading() as connection:
                    rows = connection.execute(
                        select(flags.c.sequence, flags.c.flag_id)
                        .where(flags.c.sequence > seen, flags.c.sequence <= last)
                        .order_by(flags.c.sequence)
                        .limit(PAGE)
                    ).all()
                yield from (flag_id for _, flag_id in rows)
                seen = rows[-1].sequence if rows else last

    def flags(self) -> Iterator[StoredFlag]:
        """The flags in the order of acknowledgement, one at a time in memory."""
        return map(self.get, self.flag_ids())

    def get(self, flag_id: str) -> StoredFlag:
        """Raises FeedbackError for an unknown id, DamagedBlobError if its images are not what was stored."""
        with _refusals("the flag cannot be read"):
            with self._reading() as connection:
                row = connection.execute(select(flags).where(flags.c.flag_id == flag_id)).mappings().first()
            if row is None:
                raise FeedbackError(f"no flag has the id {flag_id!r}: `deconvdemo feedback export` lists them")
            fields = dict(row)
            try:
                fields.update({role: self._blobs.read(row[role]) for role in IMAGES if row[role]})
            except DamagedBlobError as error:
                raise DamagedBlobError(f"flag {flag_id}: {error}") from error
            fields["client_token"] = row["client_token"] or ""
            fields["created_at"] = datetime.fromisoformat(row["created_at"])
            fields["reasons"] = tuple(json.loads(row["reasons"]))
            fields["controls"] = json.loads(row["controls"])
            fields["checkpoint"] = json.loads(row["checkpoint"])
            return StoredFlag(**fields)

    def stats(self) -> dict[str, Any]:
        """JSON-able: `total`; `tasks`, `reasons`, `checkpoints` (name@first 12 of sha256), each with its
        number of flags; `bytes` on the disk; `first` and `last`, ISO 8601 in UTC or None."""
        with _refusals("the flags cannot be counted"):
            with self._reading() as connection:
                groups = connection.execute(
                    select(flags.c.task, flags.c.reasons, flags.c.checkpoint, func.count()).group_by(
                        flags.c.task, flags.c.reasons, flags.c.checkpoint
                    )
                ).all()
                dates = select(func.min(flags.c.created_at), func.max(flags.c.created_at))
                first, last = connection.execute(dates).one()
            tasks, reasons, checkpoints = Counter[str](), Counter[str](), Counter[str]()
            for task, given, checkpoint, count in groups:
                tasks[task] += count
                reasons.update(dict.fromkeys(json.loads(given), count))
                checkpoints[_checkpoint_label(json.loads(checkpoint))] += count
            return {
                "total": tasks.total(),
                "tasks": dict(tasks.most_common()),
                "reasons": dict(reasons.most_common()),
                "checkpoints": dict(checkpoints.most_common()),
                "bytes": self._blobs.bytes_on_disk() + total_size(self.folder.glob("feedback.sqlite3*")),
                "first": first,
                "last": last,
            }

    def close(self) -> None:
        """Lets the database go; a later call opens it again."""
        with self._opening:
            if self._database is not None:
                self._database.dispose()
                self._database = None

    def _open(self) -> Engine:
        with self._opening:
            if self._database is None:
                make_folder(self.folder)
                self._blobs.open()
                self._database = open_database(self._url)
                sync(self.folder)
            return self._database

    def _reading(self):
        return self._open().begin()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """A transaction that commits at its end; nobody else adds rows or names blobs meanwhile."""
        writer = self._open().execution_options(write=True)
        with self._writing, writer.begin() as connection:
            yield connection

    def _require_room(self, size: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < size + self._min_free:
            raise OSError(errno.ENOSPC, f"{free} bytes free, {size} to write, {self._min_free} to stay free")

    def _remove_unused(self, names: Iterable[str]) -> None:
        """Removes a failed flag's blobs, unless a row has them (another flag's, or its own after all)."""
        with suppress(OSError, SQLAlchemyError), self._write() as connection:
            for name in names:
                users = select(flags.c.sequence).where(or_(*(flags.c[role] == name for role in IMAGES)))
                if connection.execute(users.limit(1)).first() is None:
                    self._blobs.remove(name)


def _known(connection: Connection, flag: Flag) -> Acknowledgement | None:
    same = flags.c.flag_id == flag.flag_id
    if flag.client_token:
        same = or_(same, flags.c.client_token == flag.client_token)
    flag_id = connection.execute(select(flags.c.flag_id).where(same)).scalar()
    return Acknowledgement(flag_id) if flag_id else None


def _row(flag: Flag) -> dict[str, Any]:
    return {
        "flag_id": flag.flag_id,
        "client_token": flag.client_token or None,
        "created_at": flag.created_at.isoformat(timespec="microseconds"),
        "task": flag.task,
        **{role: blob_name(data) for role, data in flag.images.items()},
        "reasons": as_json(flag.reasons),
        "comment": flag.comment,
        "controls": as_json(flag.controls),
        "checkpoint": as_json(flag.checkpoint),
        "app_version": flag.app_version,
        "consent": flag.consent,
        "schema_version": SCHEMA_VERSION,
    }


def _checkpoint_label(checkpoint: dict[str, Any]) -> str:
    name, sha256 = checkpoint.get("name") or "unknown", checkpoint.get("sha256")
    return f"{name}@{sha256[:12]}" if sha256 else name


@contextmanager
def _refusals(what: str, tell: Callable[..., None] = log.debug) -> Iterator[None]:
    """Turns the disk's and the database's errors into one sentence; the log has the rest."""
    try:
        yield
    except (OSError, SQLAlchemyError) as error:
        tell("%s", what, exc_info=error)
        raise FeedbackError(f"{what}: {_cause(error)}") from error


def _cause(error: OSError | SQLAlchemyError) -> str:
    detail = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    if getattr(error, "errno", None) in FULL or "disk is full" in detail:
        return "the disk is full; make room on the one that has DECONVDEMO_DATA_DIR, then try again"
    if isinstance(error, OSError):
        detail = error.strerror or detail
    return f"DECONVDEMO_DATA_DIR cannot be used ({detail}); set it to a folder that can be written"
