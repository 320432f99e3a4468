"""index.json: which weights file serves each name, with its sha256. It is written last, and atomically."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deconvdemo.bounded import BoundsError, clipped, parsed_json, read_file
from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.checkpoints.file import write_file
from deconvdemo.errors import CheckpointError
from deconvdemo.hub.download import NAME

INDEX = "index.json"
SHADOW = "shadow.json"  # candidates that stand in duels and serve nobody; as an index
INDEX_VERSION = 1
LARGEST_INDEX = 200_000  # bytes
MOST_ENTRIES = 64  # a task has a handful of variants and scales


def bundled_folder() -> Path:
    """The weights that came with the program: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "weights"
    return installed if (installed / INDEX).is_file() else package.parent / "weights"


@dataclass(frozen=True)
class Entry:
    """One line of an index.json; a file that is not beside the index is fetched from `repo` at `revision`."""

    file: str
    sha256: str
    repo: str = ""
    revision: str = ""

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Entry:
        """From a file. ValueError and TypeError for what is no line of an index: somebody else may have written it."""
        entry = cls(**told)
        for name, text in asdict(entry).items():
            if not isinstance(text, str) or not re.fullmatch(_PARTS[name], text, re.ASCII):
                raise ValueError(f"{clipped(text, 40)!r} is no {name}")
        return entry


# a file beside the index, never a path out of its folder; a repository and a branch, tag or commit, as git has them
_PARTS = {
    "file": r"[A-Za-z0-9_][\w.-]{0,150}\.safetensors",
    "sha256": r"[0-9a-f]{64}",
    "repo": rf"(?:{NAME}/{NAME})?",
    "revision": r"(?:[A-Za-z0-9_][\w./-]{0,150})?",
}


def read_index(path: Path, label: str = "") -> dict[str, Entry]:
    """name → Entry. Raises CheckpointError, naming `label` or the path, for anything malformed."""
    label = label or str(path)
    why = ""
    try:
        index = parsed_json(read_file(path, LARGEST_INDEX))
        version, weights = index["version"], index["weights"]
        if len(weights) > MOST_ENTRIES:
            raise BoundsError(f"names more than {MOST_ENTRIES} weights")
        entries = {name: Entry.read(entry) for name, entry in weights.items()}
        good = all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name) for name in entries)
    except OSError as error:
        raise CheckpointError(f"{label} cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f" (it {error})" if isinstance(error, BoundsError) else ""
        good, version, entries = False, None, {}
    if good and version != INDEX_VERSION:
        raise CheckpointError(
            f"{label} is version {clipped(version, 20)}, but this deconvdemo reads {INDEX_VERSION}: update it"
        )
    if not good:
        raise CheckpointError(
            f"{label} is not an index of weights{why}: it should look like "
            '{"version": 1, "weights": {"denoise": {"file": "denoise.safetensors", "sha256": "…"}}}'
        )
    return entries


def write_index(folder: Path | str, entries: Mapping[str, Entry], name: str = INDEX) -> Path:
    """Writes index.json atomically. Write it last: what it names must already be there."""
    path = Path(folder) / name
    write_file(path, index_text(entries).encode())
    return path


def index_text(entries: Mapping[str, Entry]) -> str:
    """What an index.json of these entries holds."""
    weights = {name: asdict(entry) for name, entry in sorted(entries.items())}
    return json.dumps({"version": INDEX_VERSION, "weights": weights}, indent=2) + "\n"


def shadows(folder: Path) -> dict[str, Entry]:
    """name → the candidate that stands in duels; nothing where none does."""
    path = folder / SHADOW
    return read_index(path) if path.exists() else {}


def add_to_index(file: Path | str, repo: str = "", revision: str = "") -> str:
    """Makes a checkpoint serve the name its header gives, from the index.json beside it; returns the name."""
    file = Path(file)
    checkpoint = load_checkpoint(file)
    index = file.parent / INDEX
    entries = read_index(index) if index.exists() else {}
    entries[checkpoint.name] = Entry(file.name, checkpoint.sha256, repo, revision)
    write_index(file.parent, entries)
    return checkpoint.name
