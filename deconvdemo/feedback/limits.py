"""How much one visitor, and all together, may send in an hour. A visitor is a salted hash that lasts a day."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.database import meta
from deconvdemo.feedback.kinds import KINDS
from deconvdemo.feedback.refusals import refusals
from deconvdemo.feedback.store import FeedbackStore

HOUR = timedelta(hours=1)
_SALT = "salt of "


@dataclass(frozen=True)
class Limits:
    """The most flags, and the most votes, in an hour."""

    store: FeedbackStore
    per_visitor: int = 60
    per_hour: int = 2000

    def visitor(self, address: str, now: datetime | None = None) -> str:
        """The hash that stands for an address today; "" for none. No address is stored, and no salt for longer."""
        if not address:
            return ""
        day = f"{now or datetime.now(UTC):%Y-%m-%d}"
        salt = self.store.word(_SALT + day)
        if salt is None:
            salt = self.store.recall(_SALT + day, lambda: secrets.token_hex(32))
            with refusals("old salts cannot be removed"), self.store.writing() as connection:
                old = meta.c.key.like(f"{_SALT}%") & (meta.c.key < _SALT + day)
                connection.execute(delete(meta).where(old))
        return hashlib.sha256(f"{salt} {address}".encode()).hexdigest()[:32]

    def check(self, kind: str, visitor: str, now: datetime | None = None) -> None:
        """Raises FeedbackError, saying when to come again, if the hour's share of the visitor or of all is used up."""
        table = KINDS[kind].table
        moment = now or datetime.now(UTC)
        within = table.c.created_at > (moment - HOUR).isoformat(timespec="microseconds")
        with refusals(f"the {kind} cannot be counted"), self.store.reading() as connection:
            recent = select(func.count(), func.min(table.c.created_at)).where(within)
            whose = [("from everyone", self.per_hour, *connection.execute(recent).one())]
            if visitor:
                mine = recent.where(table.c.visitor == visitor)
                whose.append(("from you", self.per_visitor, *connection.execute(mine).one()))
        for who, most, count, first in whose:
            if count >= most:
                minutes = max(1, round((datetime.fromisoformat(first) + HOUR - moment) / timedelta(minutes=1)))
                raise FeedbackError(
                    f"{count:,} {kind} came {who} within an hour, which is as many as are taken: "
                    f"try again in {minutes} minute{'s' * (minutes != 1)}"
                )
