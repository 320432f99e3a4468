"""Flags, verdicts and votes from a dataset of ours: in a folder, or on the Hub at one commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from deconvdemo.bounded import clipped, in_bytes
from deconvdemo.errors import DatasetError, DeconvdemoError
from deconvdemo.feedback.dataset.catch_up import TOMBSTONES
from deconvdemo.feedback.dataset.repository import DatasetHub
from deconvdemo.feedback.dataset.rows import event_of, in_order, kind_of_path
from deconvdemo.feedback.events.records import Event
from deconvdemo.feedback.store.kinds import Kind
from deconvdemo.hub import dataset_reading
from deconvdemo.hub.datasets import HubDataset
from deconvdemo.hub.inside import file_inside
from deconvdemo.hub.repository import BRANCH, RepoFile
from deconvdemo.hub.rows_apart import rows_apart
from deconvdemo.image.apart import STRANGERS

MAX_PIXELS = 100_000_000  # of an image
LARGEST_FILE = 600_000_000  # bytes of a file of a dataset of ours; the program writes some 500 MB

_Content = Callable[[], AbstractContextManager[Path]]  # a file of the dataset, as long as it is read


@dataclass(frozen=True)
class OwnDataset:
    """A dataset of ours: its files, and from the Hub the commit that they are of, and what was erased from it since."""

    files: Iterator[tuple[Kind, str, _Content]]
    revision: str = ""
    erased: frozenset[str] = frozenset()


def own_dataset(place: str) -> OwnDataset | None:
    """A dataset of ours, in a folder or on the Hub; None if it is none. On the Hub, one commit from first to last."""
    if not place.startswith("hf://"):
        folder = Path(place)
        there = [str(file.relative_to(folder)) for file in folder.glob("data/*/**/*.parquet")]
        files = _of_kinds({path: partial(_on_disk, folder, path) for path in there})
        return OwnDataset(files) if files else None
    named = HubDataset.parse(place)
    hub = DatasetHub(named.repo)
    commit = hub.commit_of(named.revision or BRANCH)
    files = _of_kinds(
        {path: partial(_fetched, hub, path, file, commit) for path, file in hub.files("data", commit).items()}
    )
    if files is None:
        return None
    tombstones = {**hub.files(TOMBSTONES, commit), **hub.files(TOMBSTONES)}
    erased = frozenset(Path(path).stem for path in tombstones)
    return OwnDataset(files, f"hf://datasets/{hub.repo}@{commit}", erased)


@contextmanager
def _on_disk(folder: Path, path: str) -> Iterator[Path]:
    file = file_inside(folder, path)
    if (size := file.stat().st_size) > LARGEST_FILE:
        raise DatasetError(f"it has {in_bytes(size)}, but at most {in_bytes(LARGEST_FILE)} are read")
    yield file


@contextmanager
def _fetched(hub: DatasetHub, path: str, file: RepoFile, commit: str) -> Iterator[Path]:
    if file.bytes > LARGEST_FILE:
        raise DatasetError(f"it has {in_bytes(file.bytes)}, but at most {in_bytes(LARGEST_FILE)} are read")
    with TemporaryDirectory() as folder:
        (copy := Path(folder) / "rows.parquet").write_bytes(hub.read(path, file.sha256, commit))
        yield copy


def _of_kinds(files: Mapping[str, _Content]) -> Iterator[tuple[Kind, str, _Content]] | None:
    kinds = {path: kind for path in in_order(files) if (kind := kind_of_path(path))}
    if not kinds or len(kinds) < len([path for path in files if path.endswith(".parquet")]):
        return None
    return ((kind, path, files[path]) for path, kind in kinds.items())


def own_events(
    files: Iterator[tuple[Kind, str, _Content]], refuse: Callable[[object], None]
) -> Iterator[tuple[str, Event]]:
    """(where, event) of each row; what is none is told to `refuse`."""
    for kind, path, content in files:
        try:
            with content() as file:
                for row in rows_apart(path, dataset_reading.parquet, str(file), path):
                    if isinstance(row, DatasetError):
                        refuse(row)
                        continue
                    where = f"{clipped(row.get(kind.id_column))} of {path}"
                    try:
                        event = event_of(kind, row)
                        for image in event.images.values():  # whoever reads it later does so without a guard
                            STRANGERS.open(image, MAX_PIXELS)
                    except DeconvdemoError as error:
                        refuse(f"{where}: {error}")
                    else:
                        yield where, event
        except DatasetError as error:  # of the whole file: the next one may be read
            refuse(error if path in str(error) else f"{path}: {error}")
