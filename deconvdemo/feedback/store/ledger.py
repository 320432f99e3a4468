"""The books of a feedback database: how often each image is used, what reviewers think, and totals: nothing is counted
anew when it is asked for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from deconvdemo.feedback.store.ruling import ruling_of
from deconvdemo.feedback.store.standing import newest_verdicts
from deconvdemo.feedback.store.tables import blobs, gold_items, likenesses, replays, reviews, totals


def upsert(connection: Connection, table: Table) -> Any:
    """An INSERT that can say what to do ON CONFLICT, in the database's dialect."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def use(connection: Connection, name: str, size: int, uses: int) -> bool:
    """Notes more uses of a blob, whose row is locked from here on; True if it was not there."""
    new = False
    while True:
        new = added(connection, name, size) or new
        used = update(blobs).where(blobs.c.name == name).values(uses=blobs.c.uses + uses)
        if connection.execute(used).rowcount:
            return new
        # swept away between the two statements: once more


def added(connection: Connection, name: str, size: int) -> bool:
    """Makes the row of a blob without uses, locked from here on; False if there is one."""
    row = upsert(connection, blobs).values(name=name, bytes=size, uses=0).on_conflict_do_nothing()
    return connection.execute(row.returning(blobs.c.name)).first() is not None


def count(connection: Connection, key: str, more: int) -> None:
    row = upsert(connection, totals).values(key=key, value=more)
    connection.execute(
        row.on_conflict_do_update(index_elements=[totals.c.key], set_={"value": totals.c.value + row.excluded.value})
    )


def recount(connection: Connection, flag_id: str) -> None:
    """What reviewers think of a flag now: by the verdicts that stand."""
    newest = newest_verdicts([flag_id], "may_be_shown", "adjudicates", "created_at", "sequence")
    standing = select(newest).order_by(newest.c.created_at, newest.c.sequence)
    counts = ruling_of(connection.execute(standing).all())
    if not counts["reviewers"]:
        connection.execute(delete(reviews).where(reviews.c.flag_id == flag_id))
        return
    row = upsert(connection, reviews).values(flag_id=flag_id, **counts)
    connection.execute(row.on_conflict_do_update(index_elements=[reviews.c.flag_id], set_=counts))


def forget(connection: Connection, flag_id: str) -> None:
    """Removes what was noted of a flag that is gone."""
    for table in (reviews, gold_items, likenesses, replays):
        connection.execute(delete(table).where(table.c.flag_id == flag_id))
