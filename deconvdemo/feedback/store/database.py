"""How the rows' database is opened: migrated first where it is older, and so that a committed row is on the disk.

SQLite in one file, or PostgreSQL for many processes on many machines.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from deconvdemo.errors import FeedbackError

NEWEST = "0008"  # the migration that leads to what tables.py says
BUSY_SECONDS = 60.0  # how long a writer waits for another process's commit, which takes milliseconds
_one_at_a_time = threading.Lock()  # what Alembic works on is one for the whole process
MIGRATING = 0x6465636F6E76  # PostgreSQL's advisory lock while the tables are made or changed


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
