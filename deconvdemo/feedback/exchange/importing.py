"""Flags from elsewhere: folders that Gradio's CSVLogger filled, datasets with image columns, and our own exports."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from deconvdemo.bounded import BoundsError, clipped, parsed_json, read_file
from deconvdemo.errors import ControlError, DatasetError, DeconvdemoError, FeedbackError
from deconvdemo.feedback.dataset.copied import note_copy
from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.events.records import MAX_COMMENT, MAX_IMAGE_BYTES, REASONS, Event, Flag, as_json, clean_text
from deconvdemo.feedback.exchange.columns import Row, Table, roles_of
from deconvdemo.feedback.exchange.gradio_log import read_log
from deconvdemo.feedback.exchange.own_dataset import MAX_PIXELS, own_dataset, own_events
from deconvdemo.feedback.exchange.unpacking import unpacked
from deconvdemo.feedback.exchange.whole_events import FILE, whole_events
from deconvdemo.feedback.store.kinds import kind_of
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags
from deconvdemo.hub.datasets import HubDataset, LocalDataset
from deconvdemo.image.apart import STRANGERS
from deconvdemo.image.lossless import lossless

MOST_NAMED, LONGEST_REFUSAL = 1_000, 500  # sentences, and their characters
COMMENT_COLUMNS = ("comment", "comments", "feedback", "notes")


@dataclass(frozen=True)
class ImportPlan:
    """How rows of another program become flags. `columns`: role → column, where their names do not say it.
    `reason` is for rows that do not say one of ours."""

    task: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    reason: str = "other"
    consent: bool = False


@dataclass
class ImportReport:
    """What became of the rows; `refused` has a sentence for each that could not be taken, or for the first of many."""

    added: int = 0
    known: int = 0  # here already, or erased since
    refused: list[str] = field(default_factory=list)
    unnamed: int = 0  # that were refused, too
    revision: str = ""  # of a dataset of ours on the Hub: hf://datasets/owner/name@commit
    roles: list[str] = field(default_factory=list)  # which columns of another program's were taken for what

    def refuse(self, why: object) -> None:
        if len(self.refused) < MOST_NAMED:
            self.refused.append(clipped(" ".join(str(why).split()), LONGEST_REFUSAL))
        else:
            self.unnamed += 1


def import_feedback(store: FeedbackStore, place: str, plan: ImportPlan) -> ImportReport:
    """Stores what is at a place: a folder with Gradio's dataset1.csv, a dataset as `LocalDataset` or `HubDataset`
    name it, or an export of ours in any format, as a ZIP file too, which keeps its ids, dates and
    verdicts and needs no plan.

    Again is no harm: rows that are here are left as they are, and erased ones stay away; what was imported earlier, and
    erased from the dataset since, goes. Raises ControlError for a place where nothing of that kind is, or rows of
    people who did not consent.
    """
    if place.endswith(".zip") and zipfile.is_zipfile(place):
        with unpacked(Path(place)) as folder:
            return import_feedback(store, str(folder), plan)
    report, own = ImportReport(), own_dataset(place)
    if own:
        events = own_events(own.files, report.refuse)
    elif (Path(place) / FILE).is_file():
        events = whole_events(Path(place), report.refuse)
    else:
        events = _events(place, plan, report)
    gone = own.erased if own else frozenset()
    if gone:
        erase(store, _imported(store) & gone, "dataset")
    held = set()
    for where, event in events:
        event_id = kind_of(event).id_of(event)
        try:
            if event_id in gone or store.erased(event_id) or store.has(event):
                report.known += 1
            else:
                store.add(event)
                report.added += 1
        except FeedbackError as error:
            report.refuse(f"{where}: {error}")
        held |= {event_id} - gone
    if own and own.revision:
        report.revision = own.revision
        note_copy(store, own.revision, held)
    return report


def _imported(store: FeedbackStore) -> frozenset[str]:
    """Flags that earlier imports brought: no visitor here has a link to them, and they are not published from here."""
    foreign = select(flags.c.flag_id).where(func.coalesce(flags.c.erase_key, "") == "", flags.c.shard.is_(None))
    with refusals("the flags cannot be read"), store.reading() as connection:
        return frozenset(connection.execute(foreign).scalars())


def _events(place: str, plan: ImportPlan, report: ImportReport) -> Iterator[tuple[str, Event]]:
    tables = _tables(place, report)
    if not plan.task:
        raise ControlError(f"{place} does not say what its images are of: name the task, like --task denoise")
    if not plan.consent:
        raise ControlError(
            f"{place} does not say that its people agreed to a public dataset under CC BY 4.0: "
            "if they did, say so with --consent"
        )
    number = 0
    for table, roles in _with_roles(tables, plan, report):
        for row in table.rows:
            number += 1
            where = f"row {number} of {place}"
            if isinstance(row, DatasetError):
                report.refuse(row)
                continue
            values, images = row
            try:
                flag = _flag(values, {role: images.get(column) for role, column in roles.items()}, plan, place)
            except DeconvdemoError as error:
                report.refuse(f"{where}: {error}")
            except Exception as error:  # noqa: BLE001 - one row of many, which somebody else wrote
                report.refuse(f"{where}: it cannot be read ({type(error).__name__}: {error})")
            else:
                yield where, flag


def _with_roles(tables: Iterable[Table], plan: ImportPlan, report: ImportReport) -> list[tuple[Table, dict[str, str]]]:
    """Each table with the columns of its roles, before anything is stored. One that does not say them is refused;
    if none does, ControlError."""
    unclear: list[ControlError] = []
    clear = []
    for table in tables:
        try:
            roles = roles_of(table, plan.columns, plan.task)
        except ControlError as error:
            unclear.append(error)
            continue
        clear.append((table, roles))
        told = ", ".join(f"{role} is {column!r}" for role, column in roles.items())
        unused = ", ".join(repr(column) for column in table.images if column not in roles.values())
        report.roles.append(f"{table.name}: {told}" + (f"; not taken: {unused}" if unused else ""))
    if unclear and not clear:
        raise unclear[0]
    for each in unclear:
        report.refuse(each)
    return clear


def _tables(place: str, report: ImportReport) -> Iterator[Table]:
    folder = Path(place)
    if place.startswith("hf://"):
        return _of_dataset(place, HubDataset.parse(place).rows(), report)
    if folder.is_dir() and list(folder.glob("*.csv")):
        return read_log(folder, report.refuse)
    if dataset := LocalDataset.at(place):
        return _of_dataset(place, dataset.rows(), report)
    raise ControlError(
        f"there is nothing to import at {place}: give a folder with Gradio's dataset1.csv, a dataset of parquet "
        "files, hf://datasets/owner/name[@revision][:split], or an export of this program"
    )


def _of_dataset(place: str, rows: Iterator[Row | DatasetError], report: ImportReport) -> Iterator[Table]:
    for first in rows:
        if not isinstance(first, DatasetError):
            yield Table(place, tuple(first[1]), chain([first], rows))
            return
        report.refuse(first)


def _flag(values: Mapping[str, Any], images: Mapping[str, Path | bytes | None], plan: ImportPlan, place: str) -> Flag:
    for role in ("observed", "restored"):
        if not images[role]:
            raise FeedbackError(f"its {role} image is missing: a flag needs what went in and what came out")
    files = {role: _file(role, source) for role, source in images.items() if source}
    said, reasons = _reasons(values.get("flag"), plan)
    comments = [str(values[column]) for column in values if column.lower() in COMMENT_COLUMNS and values[column]]
    rest = {
        column: _plain(value)
        for column, value in values.items()
        if column not in ("flag", "timestamp", "username") and column.lower() not in COMMENT_COLUMNS
    }
    content = [as_json({column: _plain(value) for column, value in values.items()}).encode(), *files.values()]
    return Flag(
        task=plan.task,
        reasons=reasons,
        comment="\n".join([*comments, *said]),
        controls=rest,
        checkpoint={"source": f"imported from {place if place.startswith('hf://') else Path(place).name}"},
        consent=plan.consent,
        created_at=_moment(values.get("timestamp")),
        client_token="import " + hashlib.sha256(b"\0".join(content)).hexdigest(),
        **files,  # type: ignore[arg-type]
    )


def _file(role: str, source: Path | bytes) -> bytes:
    """The image as the store takes it; one of another format keeps its pixels."""
    if isinstance(source, Path):
        try:
            data = read_file(source, MAX_IMAGE_BYTES)
        except (OSError, BoundsError) as error:
            why = getattr(error, "strerror", None) or error
            raise FeedbackError(f"the {role} image {source} cannot be read ({why})") from error
    else:
        data = source
    photo = STRANGERS.open(data, MAX_PIXELS)
    return data if photo.format == "PNG" else lossless(photo)


def _reasons(flag: Any, plan: ImportPlan) -> tuple[list[str], tuple[str, ...]]:
    """What Gradio's flag button said, as reasons of ours; what is none of them goes into the comment."""
    words = flag.strip() if isinstance(flag, str) else ""
    for key, phrase in REASONS.items():
        if words.lower() in (key, phrase.lower()):
            return [], (key,)
    return ([f"flagged as: {words}"] if words else []), (plan.reason,)


def _moment(text: Any) -> datetime:
    """When it was flagged; Gradio writes no time zone, so it is taken as UTC."""
    try:
        moment = text if isinstance(text, datetime) else datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return datetime.now(UTC)


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    try:
        return parsed_json(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return clean_text(clipped(value, MAX_COMMENT))
