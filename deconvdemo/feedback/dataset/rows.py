"""The dataset that feedback becomes: its columns and their types, for each kind of event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from deconvdemo.bounded import clipped, parsed_json
from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.imagefile import image_extension
from deconvdemo.feedback.events.opinions import CHOICES, DECISIONS
from deconvdemo.feedback.events.records import REASONS, SCHEMA_VERSION, Event, as_json, clean_text
from deconvdemo.feedback.store.kinds import KINDS, Kind
from deconvdemo.redaction import for_strangers

if TYPE_CHECKING:
    from datasets import Features

BOOLEANS = ("consent", "may_be_shown", "adjudicates")
LONGEST_FIELD = 1_000  # characters of a name, an id, a version

_COMMON = {
    "app_version": "the version of deconvdemo",
    "schema_version": f"of the row's fields; now {SCHEMA_VERSION}",
}

# kind → column → what it holds, in the dataset's order
COLUMNS = {
    "flags": {
        "flag_id": "the flag's id; ids sort by time",
        "created_at": "when it was flagged, UTC",
        "task": "`denoise`, `upscale`, `inpaint` or `deblur`",
        "observed": "what went into the network",
        "restored": "what came out",
        "mask": "inpainting: the pixels that were filled in",
        "clean": "a better version, from the visitor",
        "region": "where the visitor painted the complaint",
        "reasons": "why it was flagged: " + ", ".join(f"`{reason}`" for reason in REASONS),
        "comment": "in the visitor's words",
        "controls": "the task's settings, as JSON",
        "checkpoint": "the network's weights, as JSON: `name`, `sha256`, `source`",
        "app_version": _COMMON["app_version"],
        "consent": "always true: nothing is stored without",
        "schema_version": _COMMON["schema_version"],
    },
    "verdicts": {
        "verdict_id": "the verdict's id; ids sort by time",
        "created_at": "when it was given, UTC",
        "flag_id": "the flag that it is about",
        "reviewer": "who gave it; the newest verdict of one reviewer on a flag is theirs",
        "decision": ", ".join(f"`{decision}`" for decision in DECISIONS),
        "reasons": "why, if the reviewer sees other reasons than the visitor did",
        "comment": "in the reviewer's words",
        "clean": "a target to learn from",
        "mask": "inpainting: a corrected mask",
        "region": "where the result is bad",
        "target": "where `clean` is from, as JSON: `source` is `upload`, or `rerun` for a network's own result",
        "may_be_shown": "whether strangers may see the photo, if the flag is accepted",
        "adjudicates": "whether it is an owner's, and decides whatever others say",
        **_COMMON,
    },
    "votes": {
        "vote_id": "the vote's id; ids sort by time",
        "created_at": "when it was given, UTC",
        "task": "`denoise`, `upscale`, `inpaint` or `deblur`",
        "choice": ", ".join(f"`{choice}`" for choice in CHOICES) + "; sides as they were shown",
        "left_contender": "what made the left picture, as JSON",
        "right_contender": "what made the right picture, as JSON",
        "observed": "what went in",
        "left": "the left picture",
        "right": "the right picture",
        "flag_id": "the flag whose photo it was, or empty",
        "consent": "always true: nothing is stored without",
        **_COMMON,
    },
}


def features(kind: Kind) -> Features:
    """The columns' types; with them in the parquet's metadata the Hub's viewer shows the images."""
    from datasets import Features, Image, List, Value

    special: dict[str, Any] = {
        "created_at": Value("timestamp[us, tz=UTC]"),
        "reasons": List(Value("string")),
        **dict.fromkeys(BOOLEANS, Value("bool")),
        "schema_version": Value("int32"),
        **{role: Image() for role in kind.roles},
    }
    return Features({column: special.get(column, Value("string")) for column in COLUMNS[kind.name]})


def dataset_row(kind: Kind, event: Event) -> dict[str, Any]:
    """The event as a row, images byte for byte. JSON is text: its keys may grow, a column's type may not.

    Files that it names, such as weights by their path, are named without the folders of this machine.
    """
    row = {column: getattr(event, column) for column in COLUMNS[kind.name]}
    for role, data in event.images.items():
        row[role] = {"bytes": data, "path": f"{kind.id_of(event)}-{role}.{image_extension(data)}"}
    if "reasons" in row:
        row["reasons"] = list(row["reasons"])
    return row | {name: as_json(for_strangers(row[name])) for name in kind.record.JSON}


def event_of(kind: Kind, row: Mapping[str, Any]) -> Event:
    """A row as an event again, checked as if it were new: who writes to a dataset is not always this program.

    A column that this version does not know is left out; one that an older version did not have is missing.
    Raises FeedbackError, in one sentence, for what is not ours.
    """
    fields = {name: value for name, value in row.items() if name in COLUMNS[kind.name] and value is not None}
    version = fields.pop("schema_version", 1)
    try:
        for role in fields.keys() & kind.roles:
            fields[role] = fields[role]["bytes"]
        for name in fields.keys() & kind.record.JSON:
            fields[name] = parsed_json(fields[name])
        if "reasons" in fields:
            fields["reasons"] = tuple(fields["reasons"])
        _require_types(kind, fields, version)
        # its images without EXIF and such, its comment without control characters, as those of a new one
        checked = kind.record(**fields)
        fields = {name: getattr(checked, name) for name in fields}
        return kind.stored(**fields, schema_version=version)  # type: ignore[call-arg]
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise FeedbackError(f"it does not have a {kind.record.WORD}'s fields ({clipped(str(error))})") from error


def _require_types(kind: Kind, fields: Mapping[str, Any], version: Any) -> None:
    """ValueError for a field of another type than the dataset's: some of them are stored as they are."""
    special = {
        "created_at": datetime,
        "reasons": tuple,
        **dict.fromkeys(BOOLEANS, bool),
        **dict.fromkeys(kind.roles, bytes),
    }
    special |= dict.fromkeys(kind.record.JSON, dict)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 < version < 1 << 31:
        raise ValueError(f"schema_version is {clipped(version, 40)}")
    for name, value in fields.items():
        if not isinstance(value, special.get(name, str)):
            raise ValueError(f"{name} is {clipped(value, 40)}")
        if isinstance(value, str) and name != "comment" and (value != clean_text(value) or len(value) > LONGEST_FIELD):
            raise ValueError(f"{name} is {clipped(value, 40)}")


def kind_of_path(path: str) -> Kind | None:
    """Of which kind a file of the dataset has rows, by its place: data/flags/…"""
    parts = path.split("/")
    ours = len(parts) >= 3 and parts[0] == "data" and path.endswith(".parquet")
    return KINDS.get(parts[1]) if ours else None


def in_order(paths: Iterable[str]) -> list[str]:
    """The files of a dataset in the order in which they were filled: 9 before 10."""

    def key(path: str) -> list[int | str]:
        return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", path))]

    return sorted(paths, key=key)
