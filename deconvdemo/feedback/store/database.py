"""The rows' database: its tables, and how it is opened so that a committed row is on the disk.

SQLite in one file, or PostgreSQL for many processes on many machines. The tables here are what `migrations/` lead to
(a test compares them).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from deconvdemo.errors import FeedbackError

NEWEST = "0005"  # the migration that leads to the tables below
PIECES = 5  # of a perceptual hash: two hashes that differ in fewer bits have a piece in common
BUSY_SECONDS = 60.0  # how long a writer waits for another process's commit, which takes milliseconds
_one_at_a_time = threading.Lock()  # what Alembic works on is one for the whole process
MIGRATING = 0x6465636F6E76  # PostgreSQL's advisory lock while the tables are made or changed

# constraints have names so that a migration can address them
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    },
)

IDENTITY = BigInteger().with_variant(Integer, "sqlite")
ID, MOMENT, BLOB, SHA256 = String(64), String(32), String(80), String(64)  # a moment is ISO 8601 in UTC: its text sorts


def _events(name: str, event_id: str, *columns: Column | Index) -> Table:
    """A table of events: rows are added, and removed by an erasure alone. `shard` is the one thing that changes: the
    file in which an event is published, once there is one. Images are names of blobs; dictionaries and lists JSON."""
    return Table(
        name,
        metadata,
        Column("sequence", IDENTITY, primary_key=True, autoincrement=True),
        Column(event_id, ID, nullable=False, unique=True),
        Column("client_token", String(200), unique=True),
        Column("created_at", MOMENT, nullable=False),
        *columns,
        Column("app_version", String(64), nullable=False),
        Column("schema_version", Integer, nullable=False),
        Column("shard", ForeignKey("shards.shard"), index=True),
        Index(f"ix_{name}_created_at", "created_at"),
        sqlite_autoincrement=True,  # a sequence number is never given twice, not even after an erasure
    )


def _blob(role: str, needed: bool = False) -> Column:
    return Column(role, BLOB, nullable=not needed)


def _json(name: str) -> Column:
    return Column(name, Text, nullable=False)


flags = _events(
    "flags",
    "flag_id",
    Column("task", String(32), nullable=False),
    *(_blob(role, role in ("observed", "restored")) for role in ("observed", "restored", "mask", "clean", "region")),
    _json("reasons"),
    Column("comment", Text, nullable=False),
    _json("controls"),
    _json("checkpoint"),
    Column("consent", Boolean, nullable=False),
    Column("visitor", ID),
    Column("erase_key", ID),
    Index("ix_flags_visitor", "visitor", "created_at"),
)

verdicts = _events(
    "verdicts",
    "verdict_id",
    Column("flag_id", ID, nullable=False, index=True),
    Column("reviewer", String(100), nullable=False),
    Column("decision", String(32), nullable=False),
    _json("reasons"),
    Column("comment", Text, nullable=False),
    *(_blob(role) for role in ("clean", "mask", "region")),
    Column("target", Text, nullable=False, server_default=text("'{}'")),
    Index("ix_verdicts_reviewer", "reviewer", "flag_id"),
)

# how many reviewers there are of each flag that has one, and what they decided, by the newest verdict of each
reviews = Table(
    "reviews",
    metadata,
    Column("flag_id", ID, primary_key=True),
    Column("reviewers", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("without_target", Integer, nullable=False),
)

# flags whose truth is known: every reviewer gets them, and is measured by them
gold_items = Table(
    "catches",
    metadata,
    Column("flag_id", ID, primary_key=True),
    Column("decision", String(32), nullable=False),
    Column("author", String(100), nullable=False),
    Column("created_at", MOMENT, nullable=False),
)

# what the observed photo of each flag looks like: a perceptual hash, in pieces that can be looked up. Flags of one
# `family` are of one picture
likenesses = Table(
    "likenesses",
    metadata,
    Column("flag_id", ID, primary_key=True),
    Column("hash", String(16), nullable=False),
    *(Column(f"piece{place}", Integer, nullable=False, index=True) for place in range(PIECES)),
    Column("family", ID, nullable=False, index=True),
)

# what each release made of the accepted flags that have a clean target: PSNR in dB, of the flagged result and of its
# own. `target` is the file that both were measured against
replays = Table(
    "replays",
    metadata,
    Column("sha256", SHA256, primary_key=True),  # of the release's weights
    Column("flag_id", ID, primary_key=True, index=True),
    Column("target", BLOB, nullable=False),
    Column("flagged", Float(53), nullable=False),
    Column("now", Float(53), nullable=False),
    Column("held_back", Boolean, nullable=False),  # from training: see pairs.py
    Column("created_at", MOMENT, nullable=False),
)

votes = _events(
    "votes",
    "vote_id",
    Column("task", String(32), nullable=False),
    Column("choice", String(32), nullable=False),
    _json("left_contender"),
    _json("right_contender"),
    *(_blob(role) for role in ("observed", "left", "right")),
    Column("flag_id", ID, nullable=False, index=True),
    Column("consent", Boolean, nullable=False),
    Column("visitor", ID),
    Index("ix_votes_visitor", "visitor", "created_at"),
)

# what was erased and must not come back: nothing but ids. `published` is the commit that took it out of the dataset
erasures = Table(
    "erasures",
    metadata,
    Column("sequence", IDENTITY, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("event_id", ID, nullable=False, unique=True),
    Column("created_at", MOMENT, nullable=False),
    Column("origin", String(32), nullable=False),  # link, command or dataset
    Column("shard", IDENTITY),  # where it was
    Column("published", String(40), index=True),
    sqlite_autoincrement=True,
)

# files of the published dataset. Those of this database keep their bytes in the folder until they are committed
shards = Table(
    "shards",
    metadata,
    Column("shard", IDENTITY, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("path", String(300), nullable=False, unique=True),
    Column("sha256", SHA256, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("state", String(16), nullable=False, index=True),  # see shards.py
    Column("commit", String(40)),
    Column("created_at", MOMENT, nullable=False),
    Column("committed_at", MOMENT, index=True),
    sqlite_autoincrement=True,
)

# each stored image, its size, and how many roles of how many events it plays: at 0 it is removed from the folder
blobs = Table(
    "blobs",
    metadata,
    Column("name", BLOB, primary_key=True),
    Column("bytes", BigInteger, nullable=False),  # -1: stored by version 1, not measured yet
    Column("uses", Integer, nullable=False, index=True),
)

# running counts, so that nothing has to be counted: rows by kind, and bytes of blobs
totals = Table(
    "totals", metadata, Column("key", String(64), primary_key=True), Column("value", BigInteger, nullable=False)
)

# who does what only one process may do, until when (seconds since 1970)
leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", BigInteger, nullable=False),
)

meta = Table("meta", metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))


def open_database(url: str | URL) -> Engine:
    """The engine of a database that has this version's tables; an older one is migrated first.

    Its transactions read, unless the connection has the execution option `write=True`: then, in SQLite, they hold
    the write lock from their beginning. Raises FeedbackError for a newer database, or another kind of one.
    """
    try:
        url = make_url(url)
    except ArgumentError:
        raise FeedbackError(
            "DECONVDEMO_DATABASE_URL is not a database URL: give one like sqlite:////var/lib/feedback.sqlite3 "
            "or postgresql://user@host/database"
        ) from None
    dialect = url.get_backend_name()
    if dialect == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _make_durable)
        event.listen(engine, "begin", _begin)
    elif dialect == "postgresql":
        engine = _postgresql(url)
    else:
        raise FeedbackError(
            f"flags cannot be kept in {dialect}: set DECONVDEMO_DATABASE_URL to a postgresql:// URL, "
            "or unset it for SQLite"
        )
    try:
        _bring_up_to_date(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def sqlite_url(file: Path) -> URL:
    return URL.create("sqlite", database=str(file))


def _postgresql(url: URL) -> Engine:
    if url.drivername == "postgresql":  # as everyone writes it; SQLAlchemy would look for another driver
        url = url.set(drivername="postgresql+psycopg")
    try:
        # pre-ping: a server that was restarted costs a new connection, not a visitor's flag
        engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except ModuleNotFoundError:
        raise FeedbackError(
            "DECONVDEMO_DATABASE_URL names a PostgreSQL database, but its driver is not installed: "
            "pip install 'psycopg[binary]'"
        ) from None
    event.listen(engine, "connect", _set_up_session)
    return engine


def _bring_up_to_date(engine: Engine) -> None:
    with engine.begin() as connection:
        if _version(connection) == NEWEST:
            return
    with engine.execution_options(write=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})
        version = _version(connection)
        if version != NEWEST:
            with _one_at_a_time:
                _migrate(connection, version)


def _version(connection: Connection) -> str:
    """The migration that the database has had: "" for an empty one."""
    tables = inspect(connection)
    if tables.has_table("alembic_version"):
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return "0001" if tables.has_table("meta") else ""  # version 1 counted by itself


def _migrate(connection: Connection, version: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if version and version not in known:
        raise FeedbackError(
            f"the feedback database has version {version} but this deconvdemo knows {NEWEST}: "
            "update deconvdemo, or set DECONVDEMO_DATA_DIR to another folder"
        )
    if version == "0001":
        command.stamp(config, version)
    command.upgrade(config, "head")


def _make_durable(connection: sqlite3.Connection, _record) -> None:
    connection.isolation_level = None  # BEGIN is ours (see _begin), not the driver's guess
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # the first switch to WAL needs the file alone, and SQLite answers "locked" there without waiting
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous=FULL")


def _set_up_session(connection: Any, _record) -> None:
    with connection.cursor() as cursor:  # a server may be set up to promise less
        cursor.execute("SET synchronous_commit TO on")
        cursor.execute("SET jit TO off")  # it takes longer to compile than these queries take
    connection.commit()


def _begin(connection: Connection) -> None:
    # one that reads and then writes would meet "database is locked" in its middle, where no wait helps
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
