"""A weights file that says what it is: safetensors whose header names its network, task, recipe and quality.

No pickle is ever opened, and nothing is served before the file has been checked against its header: whatever
is wrong with a file is one CheckpointError that names it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import safetensors.torch
import torch
from cachetools import LRUCache, cached
from safetensors import SafetensorError

from deconvdemo.bounded import clipped
from deconvdemo.checkpoints.file import Layout, contents, read_weights, require_no_pickle, write_file
from deconvdemo.checkpoints.header import Header
from deconvdemo.digests import sha256_of
from deconvdemo.errors import CheckpointError

MOST_PARAMETERS = 64_000_000  # twice DRUNet's: 256 MB in fp32
LARGEST_STRIDE, LARGEST_RADIUS = 64, 1024  # pixels: more would make every tile the whole photo
_RANKED = (torch.bfloat16, torch.float16, torch.float32, torch.float64)  # what torch finds the ends of
MOST_SIDE_CHANNELS = 1  # beside the image: a level of noise, or a mask


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
    _require_fit(header, stored, str(path))
    _require_finite(stored, str(path))
    data = _canonical(safetensors.torch.save(stored, header.metadata()))
    write_file(path, data)
    return sha256_of(data)


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
    file, data = source if source and "://" in source else str(path), read_weights(Path(path))
    require_no_pickle(data, file)
    found = sha256_of(data)
    if sha256 is not None and found != sha256.lower():
        raise CheckpointError(f"{file} has sha256 {found[:12]}…, but {says} says {sha256[:12]}…: fetch it again")
    metadata, layouts = contents(data, file)
    header = Header.from_metadata(metadata, file)
    _require_fit(header, layouts, file)  # before there are tensors
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{file} is damaged ({clipped(str(error))}): fetch it again") from None
    _require_finite(tensors, file)
    return Checkpoint(header, tensors, found, source or file)


def _canonical(data: bytes) -> bytes:
    """The same file with its metadata sorted: safetensors writes it in an order that changes by the run."""
    length = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8 : 8 + length])
    entries["__metadata__"] = dict(sorted(entries["__metadata__"].items()))
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes, as safetensors lays them out
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _require_fit(header: Header, tensors: Mapping[str, Layout | torch.Tensor], file: str) -> None:
    """Raises CheckpointError unless the header gives a name, and the tensors are of its network's names and shapes."""
    if header.variant == "standard" or not re.fullmatch(r"[a-z]{0,20}", header.variant):
        raise CheckpointError(
            f"{file} says its variant is {clipped(header.variant, 40)!r}, but a variant is one lower-case word such as "
            "'photo', and the standard network's is empty"
        )
    network = _plan(header, file)
    _require_usable(header, network, file)
    expected = network.tensors
    for what, names in (("lacks", expected.keys() - tensors.keys()), ("has the unknown", tensors.keys() - expected)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CheckpointError(
                f"{file} {what} tensor {min(names)}{more}, so it does not fit its header's {header.asks_for}"
            )
    for name, (shape, is_real) in expected.items():
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(
                f"{file} has {name} of shape {tuple(tensors[name].shape)}, "
                f"but its header's {header.asks_for} has it of shape {shape}"
            )
        if _is_real(tensors[name]) != is_real:
            raise CheckpointError(f"{file} has {name} of another kind of numbers than its network's: write it again")


def _is_real(tensor: Layout | torch.Tensor) -> bool:
    return tensor.is_floating_point() if isinstance(tensor, torch.Tensor) else tensor.is_floating_point


@dataclass(frozen=True)
class _Plan:
    """What a network is, without its weights."""

    tensors: dict[str, tuple[tuple[int, ...], bool]]  # by name: shape, and whether of floating-point numbers
    stride: int
    radius: int
    scale: int
    image_channels: int
    side_channels: int


def _asked_for(header: Header, file: str) -> tuple[type | None, str]:
    from deconvdemo.networks import NETWORKS

    return NETWORKS.get(header.network), repr(header.config)


# the same few networks are read and written again and again, and to put one together takes longer than all other checks
@cached(LRUCache(64), key=_asked_for, lock=Lock())
def _plan(header: Header, file: str) -> _Plan:
    with torch.device("meta"):  # shapes without memory: a header cannot make us allocate what the file does not hold
        network: Any = _built(header, file)
    tensors = {name: (tuple(value.shape), value.is_floating_point()) for name, value in network.state_dict().items()}
    return _Plan(tensors, network.stride, network.radius, network.scale, network.image_channels, network.side_channels)


def _require_usable(header: Header, network: _Plan, file: str) -> None:
    """Raises CheckpointError for a network that is too large for anybody, or of another shape than its header says."""
    parameters = sum(math.prod(shape) for shape, _ in network.tensors.values())
    if parameters > MOST_PARAMETERS or network.stride > LARGEST_STRIDE or network.radius > LARGEST_RADIUS:
        raise CheckpointError(
            f"{file} asks for {header.asks_for}, which has {parameters:,} parameters, a stride of {network.stride} and "
            f"a radius of {network.radius} pixels, but at most {MOST_PARAMETERS:,}, {LARGEST_STRIDE} and "
            f"{LARGEST_RADIUS} are served"
        )
    known = network.image_channels == 3 and network.side_channels <= MOST_SIDE_CHANNELS
    if network.scale != header.scale or not known:
        raise CheckpointError(
            f"{file} is for {header.name}, but its {header.asks_for} has scale {network.scale}, "
            f"{network.image_channels} image and {network.side_channels} side channels: write it again"
        )


def _require_finite(tensors: Mapping[str, torch.Tensor], file: str) -> None:
    for name, tensor in sorted(tensors.items()):
        # the least and the greatest are NaN where any number is, and found in a seventh of the time
        ends = torch.stack(tensor.aminmax()) if tensor.dtype in _RANKED and tensor.numel() else tensor
        if not torch.isfinite(ends).all():
            raise CheckpointError(f"{file} holds NaN or infinite numbers in {name}: its training went wrong")


def _built(header: Header, file: str) -> torch.nn.Module:
    """The header's network with its initial weights."""
    from deconvdemo.networks import NETWORKS
    from deconvdemo.networks.arguments import require_arguments

    if header.network not in NETWORKS:
        raise CheckpointError(
            f"{file} is for the network {clipped(header.network, 60)!r}, "
            f"but this deconvdemo has {', '.join(NETWORKS)}: update deconvdemo, or use other weights"
        )
    # JSON has lists where Python wrote tuples
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in header.config.items()}
    try:
        require_arguments(NETWORKS[header.network], config)
        return NETWORKS[header.network](**config)
    # a constructor may fail in any of these ways on numbers that are not its own
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError, AttributeError) as error:
        raise CheckpointError(
            f"{file} asks for {header.asks_for}, which cannot be built ({clipped(str(error), 200)})"
        ) from None
