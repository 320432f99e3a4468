"""A weights file that says what it is: safetensors whose header names its network, task, recipe and quality.

No pickle is ever opened, and nothing is served before the file has been checked against its header: whatever
is wrong with a file is one CheckpointError that names it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from deconvdemo.errors import CheckpointError

FORMAT = 1  # of the header; raised when an older deconvdemo could not understand a newer file
_ADDED_LATER = {"variant": ""}  # what a header of this format means where it was written before the key was there
TASKS_WITH_WEIGHTS = ("denoise", "upscale", "inpaint")

_NOT_WEIGHTS = (
    (
        b"PK\x03\x04",
        "is a PyTorch pickle (.pt, .pth), and no pickle is opened here: convert it to safetensors",
    ),
    (b"\x80", "is a Python pickle, and no pickle is opened here: convert it to safetensors"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the weights themselves: run `git lfs pull`"),
)


@dataclass(frozen=True)
class Header:
    """What a checkpoint says about itself; stored as the safetensors metadata, where any tool can read it."""

    network: str  # a key of deconvdemo.networks.NETWORKS
    config: dict[str, Any]  # that class's keyword arguments
    task: str  # one of TASKS_WITH_WEIGHTS
    scale: int = 1
    variant: str = ""  # the task's standard network; else one lower-case word: "photo", "fast"
    data: list[str] = field(default_factory=list)  # training sources with their licences, one line each
    recipe: dict[str, Any] = field(default_factory=dict)  # steps, batch, patch, learning rate, seed, …
    measured: dict[str, float] = field(default_factory=dict)  # {"cbsd68 sigma 25 PSNR": 31.02, …}, in dB
    licence: str = "Apache-2.0"
    created: str = ""  # ISO date
    format: int = FORMAT

    @property
    def name(self) -> str:
        """What these weights are called in an index: "denoise", "denoise-photo", "upscale-x2", "upscale-x4-fast"."""
        return "-".join(filter(None, [self.task, f"x{self.scale}" if self.scale > 1 else "", self.variant]))

    def metadata(self) -> dict[str, str]:
        """Text as it is, everything else as JSON, under keys that begin with "deconvdemo."."""
        values = {f"deconvdemo.{part.name}": getattr(self, part.name) for part in fields(self)}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], file: str) -> Header:
        """Raises CheckpointError, naming `file`, if the header is absent, of another format or malformed."""
        if "deconvdemo.format" not in metadata:
            raise CheckpointError(
                f"{file} has no deconvdemo header, so it does not say which network it is for: "
                "use weights that `deconvdemo train` wrote"
            )
        if metadata["deconvdemo.format"] != str(FORMAT):
            raise CheckpointError(
                f"{file} is in checkpoint format {metadata['deconvdemo.format'][:20]}, "
                f"but this deconvdemo reads format {FORMAT}: update deconvdemo"
            )
        values: dict[str, Any] = {}
        for part in fields(cls):
            text = metadata.get(f"deconvdemo.{part.name}", _ADDED_LATER.get(part.name))
            if text is None:
                raise CheckpointError(f"{file} has a header without {part.name!r}: write it again")
            values[part.name] = _parsed(text, str(part.type), part.name, file)
        if values["task"] not in TASKS_WITH_WEIGHTS or values["scale"] < 1:
            raise CheckpointError(
                f"{file} says it is for task {values['task'][:40]!r} at scale {values['scale']}, "
                f"but the tasks with weights are {', '.join(TASKS_WITH_WEIGHTS)}, at a scale of 1 or more"
            )
        return cls(**values)


_KINDS = {"int": int, "dict": dict, "list": list}


def _parsed(text: str, kind: str, name: str, file: str) -> Any:
    """A header value of the annotated kind ("str", "int", "dict[…]", "list[…]") from its metadata text."""
    if kind == "str":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    expected = _KINDS[kind.split("[")[0]]
    if not isinstance(value, expected) or isinstance(value, bool):
        raise CheckpointError(f"{file} has a header whose {name!r} is {text[:40]!r}, not a JSON {kind}")
    if (
        isinstance(value, dict)
        and kind == "dict[str, float]"
        and not all(isinstance(number, int | float) for number in value.values())
    ):
        raise CheckpointError(f"{file} has a header whose {name!r} holds something that is not a number")
    return value


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights in memory, checked: they fit the network their header names, and every number is finite."""

    header: Header
    tensors: dict[str, torch.Tensor]
    sha256: str  # of the whole file
    source: str  # "bundled", "hf://owner/repo@abc1234/denoise.safetensors", "/path/denoise.safetensors"

    @property
    def name(self) -> str:
        return self.header.name

    def network(self) -> torch.nn.Module:
        """The network with these weights: float32, in eval mode, on the CPU, without gradients."""
        # a network draws initial weights before it gets these: the caller's random numbers stay as they were
        with torch.random.fork_rng(devices=[]):
            network = _built(self.header, self.source)
        network.load_state_dict(self.tensors, strict=True)
        return network.float().eval().requires_grad_(False)


def save_checkpoint(
    path: Path | str,
    header: Header,
    tensors: Mapping[str, torch.Tensor],
    dtype: torch.dtype | None = torch.bfloat16,
) -> str:
    """Writes the file whole or not at all; returns its sha256. The same content gives the same bytes.

    Floating-point tensors are stored as `dtype` (None: as they are). Raises CheckpointError for tensors that
    are not finite or do not fit the network, so that a file which would be refused is never written.
    """
    path = Path(path)
    stored = as_stored(tensors, dtype)
    _check(header, stored, str(path))
    data = _canonical(safetensors.torch.save(stored, header.metadata()))
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def as_stored(
    tensors: Mapping[str, torch.Tensor], dtype: torch.dtype | None = torch.bfloat16
) -> dict[str, torch.Tensor]:
    """What a file of these tensors gives back, on the CPU: floating-point ones rounded to `dtype` (None: untouched)."""
    kinds = {
        name: dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        for name, tensor in tensors.items()
    }
    # clone: safetensors refuses tensors that share memory
    return {
        name: tensor.detach().to("cpu", kinds[name], copy=True).contiguous().clone() for name, tensor in tensors.items()
    }


def load_checkpoint(
    path: Path | str, sha256: str | None = None, source: str | None = None, says: str = "index.json"
) -> Checkpoint:
    """Reads and checks a weights file.

    `sha256` is what `says` (an index, or the Hub) promises of the file; `source` is where it came from, by
    default its path. Raises CheckpointError, a sentence that names the file, for anything wrong with it.
    """
    # a path in the Hub's cache tells a person nothing
    file, data = source if source and "://" in source else str(path), _read(Path(path))
    for magic, explanation in _NOT_WEIGHTS:
        # a safetensors file begins with the length of its JSON, whose lowest byte may look like a pickle's first
        if data.startswith(magic) and data[8:9] != b"{":
            raise CheckpointError(f"{file} {explanation}")
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise CheckpointError(f"{file} has sha256 {found[:12]}…, but {says} says {sha256[:12]}…: fetch it again")
    header = Header.from_metadata(_metadata(data, file), file)
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{file} is damaged ({error}): fetch it again") from None
    _check(header, tensors, file)
    return Checkpoint(header, tensors, found, source or file)


def write_atomically(path: Path, data: bytes) -> None:
    """Temporary file, fsync, rename: a reader sees the old file or the new one, also after a power cut."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # the temporary file was the writer's alone; weights are for whoever serves them
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise CheckpointError(f"{path} cannot be written ({error.strerror or error})") from None


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist: check the path of the weights") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path} is a folder, but one weights file was expected") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error})") from None
    if not data:
        raise CheckpointError(f"{path} is empty (0 bytes): fetch it again")
    return data


def _metadata(data: bytes, file: str) -> dict[str, str]:
    """The metadata of a safetensors file: 8 bytes of length, that much JSON, then the tensors' bytes."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or data[8:9] != b"{":
        raise CheckpointError(f"{file} is not a safetensors file: use weights that `deconvdemo train` wrote")
    try:
        entries = json.loads(data[8 : 8 + length]) if 8 + length <= len(data) else None
        whole = entries and 8 + length + max(
            (entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"), default=0
        )
        metadata = dict(entries.get("__metadata__") or {}) if entries else {}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise CheckpointError(f"{file} has a damaged safetensors header: fetch it again") from None
    if whole is None or len(data) < whole:
        expected = f" of {whole}" if whole else ""
        raise CheckpointError(f"{file} is truncated ({len(data)}{expected} bytes): fetch it again")
    return metadata


def _canonical(data: bytes) -> bytes:
    """The same file with its metadata sorted: safetensors writes it in an order that changes by the run."""
    length = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8 : 8 + length])
    entries["__metadata__"] = dict(sorted(entries["__metadata__"].items()))
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes, as safetensors lays them out
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _check(header: Header, tensors: Mapping[str, torch.Tensor], file: str) -> None:
    """Raises CheckpointError unless the header gives a name, and the tensors are its network's and all finite."""
    if header.variant == "standard" or not re.fullmatch(r"[a-z]{0,20}", header.variant):
        raise CheckpointError(
            f"{file} says its variant is {header.variant[:40]!r}, but a variant is one lower-case word such as "
            "'photo', and the standard network's is empty"
        )
    with torch.device("meta"):  # shapes without memory: a header cannot make us allocate what the file does not hold
        expected = {name: tuple(tensor.shape) for name, tensor in _built(header, file).state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for what, names in (("lacks", expected.keys() - found), ("has the unknown", found.keys() - expected)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CheckpointError(
                f"{file} {what} tensor {min(names)}{more}, so it does not fit its header's "
                f"{header.network} {header.config}"
            )
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(
                f"{file} has {name} of shape {found[name]}, "
                f"but its header's {header.network} {header.config} has it of shape {shape}"
            )
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(f"{file} holds NaN or infinite numbers in {name}: its training went wrong")


def _built(header: Header, file: str) -> torch.nn.Module:
    """The header's network with its initial weights."""
    from deconvdemo.networks import NETWORKS

    if header.network not in NETWORKS:
        raise CheckpointError(
            f"{file} is for the network {header.network[:60]!r}, "
            f"but this deconvdemo has {', '.join(NETWORKS)}: update deconvdemo, or use other weights"
        )
    # JSON has lists where Python wrote tuples
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in header.config.items()}
    try:
        return NETWORKS[header.network](**config)
    # a constructor may fail in any of these ways on numbers that are not its own
    except (TypeError, ValueError, RuntimeError, IndexError, ArithmeticError, AttributeError) as error:
        raise CheckpointError(
            f"{file} asks for {header.network} {header.config}, which cannot be built ({error})"
        ) from None
