"""Databases that have their tables already: what migrations do is tested in test_feedback_database.py."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine, text

from deconvdemo.feedback.store.database import NEWEST
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import metadata

ABOUT = "INSERT INTO about (number) VALUES (1)"  # what a database says of itself is one row


@cache
def _migrated() -> bytes:
    """The file of an empty database."""
    with tempfile.TemporaryDirectory() as folder:
        store = FeedbackStore(Path(folder), min_free_mb=0)
        store.check()
        store.close()
        return _file(Path(folder)).read_bytes()


def _file(data_dir: Path) -> Path:
    return data_dir / "feedback" / "feedback.sqlite3"


def make_sqlite(data_dir: Path) -> None:
    """Where a store keeps its SQLite file, unless there is one."""
    if not _file(data_dir).exists():
        _file(data_dir).parent.mkdir(parents=True, exist_ok=True)
        _file(data_dir).write_bytes(_migrated())


def make_postgresql(url: str) -> None:
    """The tables of the code, which are those of the migrations, in an empty schema."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text(f"INSERT INTO alembic_version VALUES ('{NEWEST}')"))
        connection.exec_driver_sql(ABOUT)
    engine.dispose()


def empty_postgresql(url: str) -> None:
    """As it was made: no rows, and numbers from 1 on. Fails at once where somebody still uses it."""
    rows = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)]
    numbers = (
        "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S' AND relnamespace = current_schema::regnamespace"
    )
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql("; ".join(["SET LOCAL lock_timeout TO 100", *rows, numbers, ABOUT]))
    engine.dispose()
