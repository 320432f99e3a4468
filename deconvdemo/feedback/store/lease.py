"""What only one process at a time should do, as a row of the database that expires."""

from __future__ import annotations

import os
import socket
import time
from uuid import uuid4

from sqlalchemy import delete, or_, select

from deconvdemo.feedback.store.ledger import upsert
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import leases

SECONDS = 120
TOO_LONG = 2 * SECONDS  # nobody takes it for so long: whoever seems to have, took it before the clock was set back


class Lease:
    """Held by at most one holder at a time, as far as their clocks agree; a dead process of this machine holds none."""

    def __init__(self, store: FeedbackStore, name: str):
        self.store, self.name = store, name
        self.holder = f"{socket.gethostname()[:20]}/{os.getpid()}/{uuid4().hex[:12]}"

    def take(self) -> bool:
        """Takes it, or holds it for longer; False if somebody else has it."""
        now = int(time.time())
        with refusals("the feedback database cannot be used"), self.store.writing() as connection:
            found = connection.execute(select(leases.c.holder).where(leases.c.name == self.name)).scalar()
            free = or_(leases.c.until < now, leases.c.until > now + TOO_LONG, leases.c.holder == self.holder)
            if found and _dead(found):
                free = or_(free, leases.c.holder == found)
            row = upsert(connection, leases).values(name=self.name, holder=self.holder, until=now + SECONDS)
            taken = row.on_conflict_do_update(
                index_elements=[leases.c.name], set_={"holder": self.holder, "until": now + SECONDS}, where=free
            )
            return connection.execute(taken.returning(leases.c.holder)).scalar() == self.holder

    def release(self) -> None:
        with refusals("the feedback database cannot be used"), self.store.writing() as connection:
            connection.execute(delete(leases).where(leases.c.name == self.name, leases.c.holder == self.holder))


def _dead(holder: str) -> bool:
    host, pid, _ = holder.split("/")
    if host != socket.gethostname()[:20]:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False
