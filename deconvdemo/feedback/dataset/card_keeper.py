"""The card of the published dataset: what `load_dataset` reads first, so it must tell of every kind and column."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import func, select

from deconvdemo.feedback.dataset.card import MARK, Columns, columns_of, dataset_card, own_columns, plots
from deconvdemo.feedback.dataset.repository import DatasetHub
from deconvdemo.feedback.dataset.shards import COMMITTED
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.stats import stats
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, shards
from deconvdemo.hub.repository import HubError

SECONDS = 3600.0  # between two cards that differ in their counts only
DAY = 86400.0


class CardKeeper:
    """Writes a dataset's card: at once when a kind of rows or a column is new, else now and then, by one leader."""

    def __init__(self, store: FeedbackStore, hub: DatasetHub, clock: Callable[[], float] = time.time):
        self.store, self.hub, self._clock = store, hub, clock
        self._head = ""  # the commit whose card is known,
        self._columns: Columns = {}  # and the columns that it tells of
        self._written = 0.0

    def files(self, new: set[str], head: str, fewer: bool = False) -> dict[str, bytes]:
        """The card and its pictures, if the next commit, which brings rows of the `new` kinds, should bring them.

        `fewer`: it takes rows away, so that the counts must follow.
        """
        if self._head != head:
            self._columns = self._read(head)
            self._head = head
        kinds = self._published_kinds() | new
        columns = {kind: self._columns.get(kind, {}) | own_columns(kind) for kind in kinds}
        late = abs(self._clock() - self._written) > SECONDS
        if columns == self._columns and not (fewer or (late and self._leads())):
            return {}
        pictures = plots(stats(self.store, flags.c.shard.is_not(None)))
        self._columns = columns
        counts = {kind: count for kind, count in self._counts().items() if kind in kinds}
        return {"README.md": dataset_card(counts, self.hub.repo, pictures, columns).encode(), **pictures}

    def forget(self) -> None:
        """Somebody may change the card now: read it again before the next one is written."""
        self._head = ""

    def written(self, commit: str) -> None:
        """The last files are in this commit."""
        self._head, self._written = commit, self._clock()

    def _read(self, head: str) -> Columns:
        if "README.md" not in self.hub.lookup(["README.md"], head):
            return {}
        text = self.hub.read("README.md", revision=head).decode(errors="replace")
        if MARK not in text:
            raise HubError(
                f"the dataset {self.hub.repo} has a README.md that is not ours: "
                "set DECONVDEMO_FEEDBACK_REPO to a new dataset, or remove it",
                hopeless=True,
            )
        return columns_of(text)

    def _published_kinds(self) -> set[str]:
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            kinds = select(shards.c.kind).where(shards.c.state == COMMITTED).distinct()
            return set(connection.execute(kinds).scalars())

    def _counts(self) -> dict[str, int]:
        """Rows of each kind that are in a shard."""
        totals = self.store.totals()
        with refusals("the backlog cannot be counted"), self.store.reading() as connection:
            for kind in KINDS.values():
                new = select(func.count()).where(kind.table.c.shard.is_(None))
                totals[kind.name] -= connection.execute(new).scalar_one()
        return {kind: totals[kind] for kind in KINDS}

    def _leads(self) -> bool:
        """Whether this is the instance that keeps the card: the first by name of those that published within a day."""
        day = datetime.fromtimestamp(self._clock() - DAY, UTC).strftime("%Y-%m-%d")
        with refusals("the shards cannot be read"), self.store.reading() as connection:
            recent = select(shards.c.path).where(func.substr(shards.c.created_at, 1, 10) >= day)
            names = {path.rpartition("/")[2].partition("-")[0] for path in connection.execute(recent).scalars()}
        return self.store.instance <= min(names, default=self.store.instance)
