"""What an export takes along: everything that may leave this machine, or chosen flags and the verdicts about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.store.blobs import DamagedBlobError
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.ruling import LEFT_OUT, decided_as
from deconvdemo.feedback.store.standing import judged_by
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import verdicts


@dataclass(frozen=True)
class Selection:
    """`flags`: those that were chosen, or None for all but what was rejected or is withheld, with `everything` those,
    too. `reader`: the reviewer who is told only what was said of flags that they have judged; "" is told all."""

    store: FeedbackStore
    flags: list[str] | None = None
    reader: str = ""
    everything: bool = False

    @classmethod
    def of(
        cls, store: FeedbackStore, flag_ids: Iterable[str] | None, reader: str = "", everything: bool = False
    ) -> Selection:
        """FeedbackError if that is nothing."""
        found = cls(store, None if flag_ids is None else list(flag_ids), reader, everything)
        if found.flags == []:
            raise FeedbackError("there is nothing to export: no flag is in this view")
        if found.flags is None and not any(next(found.ids(kind), None) for kind in KINDS):
            raise FeedbackError(
                f"there is nothing to export: no flag has been saved in {store.folder} yet, or none that was not "
                "rejected"
            )
        return found

    def events(self, kind: str, damaged: list[str]) -> Iterator[Any]:
        """One whose images the disk has lost must not keep the others from being exported: `damaged` says so."""
        return self._read(kind, self.ids(kind), damaged)

    def verdicts(self, flag_id: str, damaged: list[str]) -> Iterator[Any]:
        """Those about one flag."""
        return self._read("verdicts", self._verdict_ids([flag_id]), damaged)

    def ids(self, kind: str) -> Iterator[str]:
        """No votes of chosen flags: they are of other pictures."""
        if self.flags is not None:
            return iter(self.flags) if kind == "flags" else self._verdict_ids(self.flags if kind == "verdicts" else [])
        table = KINDS[kind].table
        kept = [] if self.everything else [~decided_as(LEFT_OUT, table.c.flag_id)]
        return self.store.ids(kind, *kept, *(self._told() if kind == "verdicts" else []))

    def _verdict_ids(self, flag_ids: Iterable[str]) -> Iterator[str]:
        for flag_id in flag_ids:
            query = select(verdicts.c.verdict_id).where(verdicts.c.flag_id == flag_id, *self._told())
            with refusals("the verdicts cannot be read"), self.store.reading() as connection:
                found = connection.execute(query.order_by(verdicts.c.sequence)).scalars().all()
            yield from found

    def _told(self) -> list[Any]:
        if not self.reader:
            return []
        return [or_(verdicts.c.reviewer == self.reader, judged_by(self.reader, verdicts.c.flag_id))]

    def _read(self, kind: str, ids: Iterable[str], damaged: list[str]) -> Iterator[Any]:
        for event_id in ids:
            try:
                yield self.store.get(event_id, kind)
            except DamagedBlobError as error:
                damaged.append(str(error))
