"""What a weights file says of itself, and what of it is believed: others write such files, too."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from deconvdemo.bounded import clipped, parsed_json
from deconvdemo.errors import CheckpointError

FORMAT = 1  # of the header; raised when an older deconvdemo could not understand a newer file
_ADDED_LATER = {"variant": ""}  # what a header of this format means where it was written before the key was there
LARGEST_SCALE = 8
LONGEST_TEXT = 1_000  # characters of the licence and such


def today() -> str:
    """The date, UTC, as a header has it."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


@dataclass(frozen=True)
class Header:
    """What a checkpoint says about itself; stored as the safetensors metadata, where any tool can read it."""

    network: str  # a key of deconvdemo.networks.NETWORKS
    config: dict[str, Any]  # that class's keyword arguments
    task: str  # one lower-case word: which tasks there are, and what they show a network, whoever serves it knows
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
                f"{file} is in checkpoint format {clipped(metadata['deconvdemo.format'], 20)}, "
                f"but this deconvdemo reads format {FORMAT}: update deconvdemo"
            )
        values: dict[str, Any] = {}
        for part in fields(cls):
            text = metadata.get(f"deconvdemo.{part.name}", _ADDED_LATER.get(part.name))
            if text is None:
                raise CheckpointError(f"{file} has a header without {part.name!r}: write it again")
            values[part.name] = _parsed(text, str(part.type), part.name, file)
        if not re.fullmatch(r"[a-z]{1,20}", values["task"]) or not 1 <= values["scale"] <= LARGEST_SCALE:
            raise CheckpointError(
                f"{file} says it is for task {clipped(values['task'], 40)!r} at scale {clipped(values['scale'], 20)}, "
                f"but a task is one lower-case word such as 'denoise', at a scale from 1 to {LARGEST_SCALE}"
            )
        if not isinstance(values["recipe"].get("flags") or {}, dict):
            raise CheckpointError(f"{file} has a header whose recipe does not say which flags it used: write it again")
        return cls(**values)

    @property
    def asks_for(self) -> str:
        """Which network, in words."""
        return clipped(f"{self.network} {self.config}", 300)


_KINDS = {"int": int, "dict": dict, "list": list}


def _parsed(text: str, kind: str, name: str, file: str) -> Any:
    """A header value of the annotated kind ("str", "int", "dict[…]", "list[…]") from its metadata text."""
    if kind == "str":
        if len(text) > LONGEST_TEXT:
            raise CheckpointError(
                f"{file} has a header whose {name!r} has {len(text):,} characters, "
                f"but at most {LONGEST_TEXT:,} are read"
            )
        return text
    try:
        value = parsed_json(text)
    except ValueError:
        value = None
    expected = _KINDS[kind.split("[")[0]]
    if not isinstance(value, expected) or isinstance(value, bool):
        raise CheckpointError(f"{file} has a header whose {name!r} is {clipped(text, 40)!r}, not a JSON {kind}")
    inside: Any
    inside, of = (list(value.values()), "number") if isinstance(value, dict) else (value, "line of text")
    of_kind = {"dict[str, float]": (int, float), "list[str]": (str,)}.get(kind)
    if of_kind and not all(isinstance(one, of_kind) and not isinstance(one, bool) for one in inside):
        raise CheckpointError(f"{file} has a header whose {name!r} holds something that is not a {of}")
    return value
