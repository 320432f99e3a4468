"""How much one visitor, one network, and all together may send in an hour.

A visitor is a salted hash that lasts a day; it begins with its network's, so that a network can be counted.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, delete, func, select

from deconvdemo.digests import sha256_of
from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.store.addresses import network_of, visitor_of
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.ledger import upsert
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import salts

HOUR = timedelta(hours=1)
AHEAD = timedelta(minutes=5)  # what is later than that was noted before the clock was set back: it counts no more
NETWORKS_SHARE = 4  # one network takes a quarter of what all may send: the rest is kept for others
NETWORK_DIGITS = 8  # of a visitor's hash, at its beginning


@dataclass(frozen=True)
class FlagLimits:
    """The most flags, and the most votes, in an hour."""

    store: FeedbackStore
    per_visitor: int = 60
    per_hour: int = 2000

    def visitor(self, address: str, now: datetime | None = None) -> str:
        """The hash that stands for an address today; "" for none. No address is stored, and no salt for longer."""
        if not address:
            return ""
        salt = self._salt(now)
        network, visitor = (_hash(f"{salt} {of}") for of in (network_of(address), visitor_of(address)))
        return network[:NETWORK_DIGITS] + visitor[: 32 - NETWORK_DIGITS]

    def visitor_before(self, address: str) -> str:
        """The hash by which earlier versions knew an address today."""
        return _hash(f"{self._salt()} {address}")[:32] if address else ""

    def _salt(self, now: datetime | None = None) -> str:
        day = f"{now or datetime.now(UTC):%Y-%m-%d}"
        todays = select(salts.c.salt).where(salts.c.day == day)
        with refusals("the day's salt cannot be read"), self.store.reading() as connection:
            salt = connection.execute(todays).scalar()
        if salt is None:
            with refusals("the day's salt cannot be kept"), self.store.writing() as connection:
                row = upsert(connection, salts).values(day=day, salt=secrets.token_hex(32))
                connection.execute(row.on_conflict_do_nothing())
                connection.execute(delete(salts).where(salts.c.day < day))
                salt = connection.execute(todays).scalar_one()
        return salt

    def check(self, kind: str, visitor: str, now: datetime | None = None) -> None:
        """Raises FeedbackError, saying when to come again, if the hour's share of the visitor, of their network or of
        all is used up."""
        table = KINDS[kind].table
        moment = now or datetime.now(UTC)
        first, last = ((moment + away).isoformat(timespec="microseconds") for away in (-HOUR, AHEAD))
        within = and_(table.c.created_at > first, table.c.created_at < last)
        with refusals(f"the {kind} cannot be counted"), self.store.reading() as connection:
            recent = select(func.count(), func.min(table.c.created_at)).where(within)
            whose = [("from everyone", self.per_hour, *connection.execute(recent).one())]
            if visitor:
                mine = recent.where(table.c.visitor == visitor)
                whose.append(("from you", self.per_visitor, *connection.execute(mine).one()))
                network = visitor[:NETWORK_DIGITS]
                ours = recent.where(table.c.visitor >= network, table.c.visitor < f"{network}g")  # behind all digits
                share = max(self.per_visitor, self.per_hour // NETWORKS_SHARE)
                whose.append(("from your network", share, *connection.execute(ours).one()))
        for who, most, count, oldest in whose:
            if count >= most:
                minutes = max(1, round((datetime.fromisoformat(oldest) + HOUR - moment) / timedelta(minutes=1)))
                raise FeedbackError(
                    f"{count:,} {kind} came {who} within an hour, which is as many as are taken: "
                    f"try again in {minutes} minute{'s' * (minutes != 1)}"
                )


def _hash(text: str) -> str:
    return sha256_of(text.encode())
