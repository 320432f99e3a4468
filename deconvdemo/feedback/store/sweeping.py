"""Images that no event uses any more, and what killed processes left: removed, safely beside whoever writes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from deconvdemo.feedback.store.blobs import STALE_SECONDS
from deconvdemo.feedback.store.ledger import added, count
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.storage import Storage
from deconvdemo.feedback.store.tables import blobs


def sweep(storage: Storage) -> int:
    """Removes the files that no event uses any more, and returns how many. Safe beside writers, and to repeat."""
    swept = 0
    with refusals("unused images cannot be removed"):
        with storage.reading() as connection:
            unused = connection.execute(select(blobs.c.name).where(blobs.c.uses <= 0)).scalars().all()
        for name in unused:
            with storage.writing() as connection:
                # the row is locked from here to the commit: who adds the same image waits, and writes it anew
                row = delete(blobs).where(blobs.c.name == name, blobs.c.uses <= 0).returning(blobs.c.bytes)
                size = connection.execute(row).scalar()
                if size is not None:
                    storage.blobs.remove(name)
                    count(connection, "bytes", -max(size, 0))
                    swept += 1
    return swept


def tidy(storage: Storage) -> int:
    """Removes also what killed processes left without a row; it looks at every file. Returns how many went."""
    with refusals("unused images cannot be removed"):
        left = 0
        for name in storage.blobs.names(older_than=STALE_SECONDS):
            with storage.reading() as connection:
                known = connection.execute(select(blobs.c.name).where(blobs.c.name == name)).first()
            left += 0 if known else forget_unused(storage, [name])
        return left + sweep(storage)


def forget_unused(storage: Storage, names: Iterable[str]) -> int:
    """Removes a failed event's images, unless a row has them (another event's, or its own after all)."""
    forgotten = 0
    with suppress(OSError, SQLAlchemyError), storage.writing() as connection:
        for name in sorted(names):
            # the row is there to be locked, and gone again at the end: who adds the same image waits meanwhile
            if added(connection, name, 0):
                storage.blobs.remove(name)
                connection.execute(delete(blobs).where(blobs.c.name == name))
                forgotten += 1
    return forgotten
