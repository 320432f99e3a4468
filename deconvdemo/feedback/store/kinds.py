"""The kinds of events: what is stored, and published, of each. A new kind is a record, a table and one line here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table

from deconvdemo.feedback.events.opinions import StoredVerdict, StoredVote, Verdict, Vote
from deconvdemo.feedback.events.records import SCHEMA_VERSION, Event, Flag, StoredFlag, as_json
from deconvdemo.feedback.store import tables

PRIVATE = {"sequence", "client_token", "visitor", "erase_key", "shard"}  # columns that are never published


@dataclass(frozen=True)
class Kind:
    """One kind of event. `id_column` names its id, in the record, the table and the dataset alike."""

    name: str
    record: type[Event]
    stored: type[Event]  # the same, read back: with `sequence` and `schema_version`
    table: Table
    id_column: str

    @property
    def id(self):
        return self.table.c[self.id_column]

    @property
    def roles(self) -> tuple[str, ...]:
        return self.record.ROLES

    def id_of(self, event: Event) -> str:
        return getattr(event, self.id_column)

    def row(self, event: Event, blob_names: dict[str, str]) -> dict[str, Any]:
        """The event as the table has it. `blob_names`: role → name."""
        row = {column.name: getattr(event, column.name, None) for column in self.table.c}
        row |= {role: blob_names.get(role) for role in self.roles}
        row |= {name: as_json(row[name]) for name in self._json}
        row["created_at"] = event.created_at.isoformat(timespec="microseconds")
        row["client_token"] = event.client_token or None
        row["schema_version"] = getattr(event, "schema_version", SCHEMA_VERSION)
        del row["sequence"], row["shard"]
        return row

    def event(self, row: dict[str, Any], images: dict[str, bytes]) -> Any:
        """The stored event of a row and its images by role."""
        fields = {name: value for name, value in row.items() if name != "shard"}
        fields |= {role: images.get(role) for role in self.roles}
        fields |= {name: json.loads(fields[name]) for name in self._json}
        if "reasons" in fields:
            fields["reasons"] = tuple(fields["reasons"])
        fields["created_at"] = datetime.fromisoformat(fields["created_at"])
        for name in ("client_token", "visitor", "erase_key"):
            if name in fields:
                fields[name] = fields[name] or ""
        return self.stored(**fields)

    @property
    def _json(self) -> tuple[str, ...]:
        return (*self.record.JSON, "reasons") if "reasons" in self.table.c else self.record.JSON


KINDS = {
    kind.name: kind
    for kind in (
        Kind("flags", Flag, StoredFlag, tables.flags, "flag_id"),
        Kind("verdicts", Verdict, StoredVerdict, tables.verdicts, "verdict_id"),
        Kind("votes", Vote, StoredVote, tables.votes, "vote_id"),
    )
}


def kind_of(event: Event) -> Kind:
    return next(kind for kind in KINDS.values() if isinstance(event, kind.record))
