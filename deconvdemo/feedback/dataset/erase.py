"""Erasure on request, the one exception to "rows are only ever added". What is left of a flag is its id: a tombstone.

Here go the row, the verdicts and votes about it, images that nothing else uses, and frozen files that hold it. In the
dataset, the publisher rewrites the files that hold it, squashes the history, and has the old files' bytes dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.shards import COMMITTED, FROZEN, LEAVING, Shards
from deconvdemo.feedback.events.records import opens
from deconvdemo.feedback.store.kinds import KINDS, Kind
from deconvdemo.feedback.store.ledger import upsert
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.sweeping import sweep
from deconvdemo.feedback.store.tables import erasures, flags, shards, verdicts, votes


@dataclass(frozen=True)
class ErasureReport:
    """What an erasure removed here, and what is left where: sentences for the person who asked."""

    flags: int
    others: int  # verdicts and votes about them
    images: int
    left: tuple[str, ...]

    def sentences(self) -> list[str]:
        about = f", {self.others} verdicts and votes about {'it' if self.flags == 1 else 'them'}" if self.others else ""
        return [f"Erased here: {self.flags} flag{'s' * (self.flags != 1)}{about}, {self.images} images.", *self.left]


def erase(store: FeedbackStore, flag_ids: Iterable[str], origin: str = "command") -> ErasureReport:
    """Erases flags here, now; the publisher does the rest. FeedbackError, and no change, for an id there never was."""
    wanted = list(dict.fromkeys(flag_ids))
    kind = KINDS["flags"]
    here = [flag_id for flag_id in wanted if _row_exists(store, kind, flag_id)]
    unknown = [flag_id for flag_id in wanted if flag_id not in here and not store.erased(flag_id)]
    if unknown:
        raise FeedbackError(f"no flag has the id {unknown[0]!r}: nothing was erased")
    others = 0
    for flag_id in here:
        for about, table in ((KINDS["verdicts"], verdicts), (KINDS["votes"], votes)):
            with refusals("the flag's verdicts cannot be read"), store.reading() as connection:
                ids = connection.execute(select(about.id).where(table.c.flag_id == flag_id)).scalars().all()
            others += sum(erase_event(store, about, event_id, origin) for event_id in ids)
        erase_event(store, kind, flag_id, origin)
    images = sweep(store)
    _thaw_what_holds_erased(store)
    return ErasureReport(len(here), others, images, tuple(_left(store, wanted)))


def erase_visitor(store: FeedbackStore, visitor: str) -> ErasureReport:
    """All flags of a visitor's day. FeedbackError if there is none."""
    with refusals("the flags cannot be read"), store.reading() as connection:
        ids = connection.execute(select(flags.c.flag_id).where(flags.c.visitor == visitor)).scalars().all()
    if not ids:
        raise FeedbackError(f"no flag is of the visitor {visitor!r}: `deconvdemo feedback show ID` names a flag's")
    return erase(store, ids)


def erase_by_key(store: FeedbackStore, flag_id: str, key: str) -> ErasureReport:
    """What a private link does. FeedbackError for another flag's key."""
    if not opens(key, flag_id):
        raise FeedbackError("this link does not open that flag: use the whole link that you were given with it")
    return erase(store, [flag_id], "link")


def erase_event(store: FeedbackStore, kind: Kind, event_id: str, origin: str, published: str | None = None) -> bool:
    """Leaves a tombstone in place of one event, also if it never was here; True if there was a row.

    `published`: the dataset's commit that is without it, if that is known. Its files go with the next `sweep`.
    """
    with refusals("the event was not erased"), store.writing() as connection:
        row = connection.execute(select(kind.table).where(kind.id == event_id)).mappings().first()
        tombstone = {
            "kind": kind.name,
            "event_id": event_id,
            "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "origin": origin,
            "shard": row["shard"] if row else None,
            "published": published,
        }
        connection.execute(upsert(connection, erasures).values(tombstone).on_conflict_do_nothing())
        return store.remove(connection, kind, event_id)


def _row_exists(store: FeedbackStore, kind: Kind, event_id: str) -> bool:
    with refusals("the flags cannot be read"), store.reading() as connection:
        return connection.execute(select(kind.id).where(kind.id == event_id)).first() is not None


def _thaw_what_holds_erased(store: FeedbackStore) -> None:
    """A frozen file that was never sent goes at once; what is being sent must be settled first."""
    frozen = Shards(store)
    for shard in frozen.unsent():
        if shard.state == FROZEN and frozen.holds_erased(shard):
            frozen.thaw(shard)


def _left(store: FeedbackStore, flag_ids: list[str]) -> list[str]:
    with refusals("the erasures cannot be read"), store.reading() as connection:
        of_these = erasures.c.event_id.in_(flag_ids)
        published = select(func.count()).select_from(erasures.join(shards, erasures.c.shard == shards.c.shard))
        states = shards.c.state.in_((COMMITTED, LEAVING, "sending"))
        waiting = connection.execute(published.where(of_these, erasures.c.published.is_(None), states)).scalar_one()
        done = connection.execute(
            select(erasures.c.published).where(of_these, erasures.c.published.is_not(None)).distinct()
        ).scalars()
        commits = [commit for commit in done if commit]
    sentences = []
    if waiting:
        sentences.append(
            "It is in the published dataset still: the next publication rewrites its file, squashes the history and "
            "drops the old bytes."
        )
    if commits:
        sentences.append(f"The published dataset is without it since commit {', '.join(c[:12] for c in commits)}.")
    if waiting or commits:
        sentences.append("Copies of the dataset that other people made before cannot be called back.")
    return sentences
