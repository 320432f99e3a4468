"""The stored flags as a Hugging Face dataset in a folder: parquet with the images in it, and a card."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from uuid import uuid4

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.card import MARK, dataset_card
from deconvdemo.feedback.dataset.parquet import LIMITS, ShardLimits, tables, write
from deconvdemo.feedback.exchange.new_folder import PARTIAL
from deconvdemo.feedback.exchange.selection import Selection
from deconvdemo.feedback.store.blobs import make_folder, sync
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.store import FeedbackStore


@dataclass(frozen=True)
class ExportReport:
    """What was written; `damaged` has a sentence for each flag left out because its images are."""

    folder: Path
    counts: Mapping[str, int]  # rows by kind
    shards: int
    bytes: int
    damaged: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return sum(self.counts.values())


def export_dataset(
    store: FeedbackStore,
    folder: Path,
    flag_ids: Iterable[str] | None = None,
    limits: ShardLimits = LIMITS,
    reader: str = "",
    everything: bool = False,
) -> ExportReport:
    """Writes the flags so that `datasets.load_dataset(str(folder), "flags")` opens them, images unchanged.

    All flags, verdicts and votes but those of rejected or withheld flags, or the chosen flags and the verdicts about
    them; `reader` and `everything` are Selection's. An earlier export in the folder is
    replaced once the new one is complete; other files beside it stay. Raises FeedbackError for nothing to export, a
    folder with something else in it, or a disk that is full.
    """
    folder = Path(folder).absolute()
    try:
        _require_ours(folder)
        chosen = Selection.of(store, flag_ids, reader, everything)
        make_folder(folder)
        partial = folder / f"{PARTIAL}{uuid4().hex}"
        partial.mkdir()
        try:
            report = _write_shards(folder, partial, chosen, limits)
            _put_in_place(folder, partial, report.counts)
        finally:
            for left in folder.glob(f"{PARTIAL}*"):  # also an earlier, killed export's
                shutil.rmtree(left, ignore_errors=True)
        return report
    except OSError as error:
        raise FeedbackError(
            f"{folder} cannot be written ({error.strerror or error}): make room, or choose another folder"
        ) from error


def _require_ours(folder: Path) -> None:
    """A folder that an export may fill: absent, empty, or with the card of an earlier export."""
    if folder.exists() and not folder.is_dir():
        raise FeedbackError(f"{folder} is a file: choose a folder for the dataset")
    if not folder.exists() or all(entry.name.startswith(PARTIAL) for entry in folder.iterdir()):
        return
    card = folder / "README.md"
    if not card.is_file() or MARK not in card.read_text(encoding="utf-8", errors="replace"):
        raise FeedbackError(f"{folder} has other files in it: choose an empty folder or an earlier export")


def _write_shards(folder: Path, partial: Path, chosen: Selection, limits: ShardLimits) -> ExportReport:
    damaged: list[str] = []
    files: list[Path] = []
    counts: dict[str, int] = {}
    for kind in KINDS.values():
        pieces = tables(kind, chosen.events(kind.name, damaged), limits)
        table = next(pieces, None)
        shards = partial / kind.name
        while table is not None:
            shards.mkdir(exist_ok=True)
            files.append(shards / f"{kind.name}-{len(list(shards.iterdir())):05}.parquet")
            rows, table = write(files[-1], chain([table], pieces), limits)
            counts[kind.name] = counts.get(kind.name, 0) + rows
    if not files:
        raise FeedbackError(f"there is nothing to export, every flag is damaged: {damaged[0]}")
    return ExportReport(folder, counts, len(files), sum(file.stat().st_size for file in files), tuple(damaged))


def _put_in_place(folder: Path, partial: Path, counts: Mapping[str, int]) -> None:
    """Renames, so that a reader meets the earlier export or this one. The card first: it marks the folder."""
    card = partial / "README.md"
    card.write_text(dataset_card(counts), encoding="utf-8")
    sync(card)
    os.replace(card, folder / "README.md")
    make_folder(folder / "data")
    for kind in KINDS:
        final, new = folder / "data" / kind, partial / kind
        if final.exists():
            os.rename(final, partial / f"earlier-{kind}")
        if new.exists():
            os.rename(new, final)
            sync(final)
    for renamed_in in (folder, folder / "data"):
        sync(renamed_in)
