"""The rows' database: its tables, and how it is opened so that a committed row is on the disk."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from deconvdemo.errors import FeedbackError

DATABASE_VERSION = 1  # of the tables below; a newer one is refused, an older one will be migrated
BUSY_SECONDS = 60.0  # how long a writer waits for another process's commit, which takes milliseconds

# constraints have names so that a later migration can address them
_metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"},
)

meta = Table("meta", _metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))

# images are names of blobs; created_at is ISO 8601 in UTC, so its text sorts;
# reasons, controls and checkpoint are JSON
flags = Table(
    "flags",
    _metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("flag_id", String(64), nullable=False, unique=True),
    Column("client_token", String(200), unique=True),
    Column("created_at", String(32), nullable=False),
    Column("task", String(32), nullable=False),
    Column("observed", String(80), nullable=False),
    Column("restored", String(80), nullable=False),
    Column("mask", String(80)),
    Column("clean", String(80)),
    Column("region", String(80)),
    Column("reasons", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("controls", Text, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("app_version", String(64), nullable=False),
    Column("consent", Boolean, nullable=False),
    Column("schema_version", Integer, nullable=False),
    sqlite_autoincrement=True,  # a sequence number is never given twice, not even after an erasure
)


def open_database(url: str | URL) -> Engine:
    """The engine of a database that has this version's tables.

    Its transactions read, unless the connection has the execution option `write=True`: then they hold the
    write lock from their beginning. Raises FeedbackError for a newer database or one that is not SQLite.
    """
    try:
        url = make_url(url)
    except ArgumentError:
        raise FeedbackError(
            "DECONVDEMO_DATABASE_URL is not a database URL: give one like sqlite:////var/lib/feedback.sqlite3"
        ) from None
    if url.get_backend_name() != "sqlite":
        raise FeedbackError(
            f"flags cannot be kept in {url.get_backend_name()}: unset DECONVDEMO_DATABASE_URL, for SQLite"
        )
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _make_durable)
    event.listen(engine, "begin", _begin)
    with engine.begin() as connection:
        version = _version(connection)
    if version is None:
        with engine.execution_options(write=True).begin() as connection:
            version = _version(connection) or _create(connection)
    if version > DATABASE_VERSION:
        engine.dispose()
        raise FeedbackError(
            f"the feedback database has version {version} but this deconvdemo knows {DATABASE_VERSION}: "
            "update deconvdemo, or set DECONVDEMO_DATA_DIR to another folder"
        )
    return engine


def sqlite_url(file: Path) -> URL:
    return URL.create("sqlite", database=str(file))


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table("meta"):
        return None
    return int(connection.execute(select(meta.c.value).where(meta.c.key == "database_version")).scalar_one())


def _create(connection: Connection) -> int:
    _metadata.create_all(connection)
    connection.execute(insert(meta).values(key="database_version", value=str(DATABASE_VERSION)))
    return DATABASE_VERSION


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


def _begin(connection: Connection) -> None:
    # one that reads and then writes would meet "database is locked" in its middle, where no wait helps
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
