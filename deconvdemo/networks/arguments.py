"""What a network's numbers may be: a file's header holds them, and somebody else may have written it.

Each network names its arguments with their bounds, so that building one takes no longer, and no more memory, than the
largest that anybody would train.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from deconvdemo.bounded import clipped


class Argument(Protocol):
    def require(self, name: str, value: Any, all_given: Mapping[str, Any]) -> None:
        """Raises ValueError, in a few words, for a value that it does not take."""


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    lowest: int
    highest: int

    def require(self, name: str, value: Any, all_given: Mapping[str, Any]) -> None:
        if not _is_whole(value, self.lowest, self.highest):
            raise ValueError(f"{name} is {clipped(value, 40)}, not a whole number from {self.lowest} to {self.highest}")


@dataclass(frozen=True)
class Wholes:
    """A whole number for each of at most `most` levels; with `or_one`, one for all of them will do."""

    lowest: int
    highest: int
    most: int
    or_one: bool = False

    def require(self, name: str, value: Any, all_given: Mapping[str, Any]) -> None:
        if self.or_one and _is_whole(value, self.lowest, self.highest):
            return
        listed = isinstance(value, list | tuple) and 0 < len(value) <= self.most
        if not (listed and all(_is_whole(one, self.lowest, self.highest) for one in value)):
            what = f"1 to {self.most} whole numbers from {self.lowest} to {self.highest}"
            raise ValueError(f"{name} is {clipped(value, 40)}, not {what}")


@dataclass(frozen=True)
class NetworkKind:
    """The name of another network."""

    among: Collection[str]

    def require(self, name: str, value: Any, all_given: Mapping[str, Any]) -> None:
        if not isinstance(value, str) or value not in self.among:
            raise ValueError(f"{name} is {clipped(value, 40)}, not one of {', '.join(self.among)}")


@dataclass(frozen=True)
class Inner:
    """The arguments of another network, whose name is that of the argument `kind`."""

    kind: str
    networks: Mapping[str, Any]

    def require(self, name: str, value: Any, all_given: Mapping[str, Any]) -> None:
        network = self.networks.get(str(all_given.get(self.kind)))
        if network is None:
            raise ValueError(f"{self.kind} is not said")
        if not isinstance(value, Mapping):
            raise ValueError(f"{name} is {clipped(value, 40)}, not a network's arguments")
        require_arguments(network, value)


def require_arguments(network: Any, given: Mapping[str, Any]) -> None:
    """Raises ValueError unless `given` are arguments of this class of networks, within its bounds."""
    for name, value in given.items():
        if name not in network.ARGUMENTS:
            raise ValueError(f"{clipped(name, 40)!r} is no argument of {network.__name__}")
        network.ARGUMENTS[name].require(name, value, given)


def _is_whole(value: Any, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest
