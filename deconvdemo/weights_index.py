"""index.json: which weights file serves each name, with its sha256. It is written last, and atomically."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deconvdemo.checkpoints import load_checkpoint, write_atomically
from deconvdemo.errors import CheckpointError, DeconvdemoError
from deconvdemo.hub import HubRef

INDEX = "index.json"
SHADOW = "shadow.json"  # candidates that stand in duels and serve nobody; as an index
INDEX_VERSION = 1


def bundled_folder() -> Path:
    """The weights that came with the program: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "weights"
    return installed if (installed / INDEX).is_file() else package.parent / "weights"


@dataclass(frozen=True)
class Entry:
    """One line of an index.json; a file that is not beside the index is fetched from `repo` at `revision`."""

    file: str
    sha256: str
    repo: str = ""
    revision: str = ""


def read_index(path: Path, label: str = "") -> dict[str, Entry]:
    """name → Entry. Raises CheckpointError, naming `label` or the path, for anything malformed."""
    label = label or str(path)
    try:
        index = json.loads(path.read_bytes())
        version, weights = index["version"], index["weights"]
        entries = {name: Entry(**entry) for name, entry in weights.items()}
        good = all(
            isinstance(entry.file, str)
            and re.fullmatch(r"[\w.-]+\.safetensors", entry.file)  # beside the index, never a path out of its folder
            and re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
            and (not entry.repo or HubRef.parse(entry.repo))
            for entry in entries.values()
        )
    except OSError as error:
        raise CheckpointError(f"{label} cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AttributeError, DeconvdemoError):
        good, version, entries = False, None, {}
    if good and version != INDEX_VERSION:
        raise CheckpointError(f"{label} is version {version}, but this deconvdemo reads {INDEX_VERSION}: update it")
    if not good:
        raise CheckpointError(
            f"{label} is not an index of weights: it should look like "
            '{"version": 1, "weights": {"denoise": {"file": "denoise.safetensors", "sha256": "…"}}}'
        )
    return entries


def write_index(folder: Path | str, entries: Mapping[str, Entry], name: str = INDEX) -> Path:
    """Writes index.json atomically. Write it last: what it names must already be there."""
    path = Path(folder) / name
    write_atomically(path, index_text(entries).encode())
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
