"""What a task declares of itself beside its controls, for those who measure, compare, show and publish it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Axis:
    """What a protocol varies, such as a control: the task is measured at each of `values`, the literature's."""

    words: str  # "noise levels"
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Degraded:
    """A clean image as the task may be given it: y = A(x) + n."""

    clean: np.ndarray  # (H, W, 3) uint8: what a result is compared with
    observed: np.ndarray  # (H, W, 3) uint8, or float32 in [0, 1] where a protocol does not round
    setting: str  # in a table: "sigma 25", "×2"
    damage: str  # in a sentence: "noise of sigma 25"
    controls: Mapping[str, Any] = field(default_factory=dict)  # what is known of it
    mask: np.ndarray | None = None  # (H, W) bool
    sentence: str = ""  # "Noise of sigma 25 was added"
    file: bytes | None = None  # what `observed` was read from, where it is as a person would bring it

    @property
    def told(self) -> str:
        """What was done to it, as a sentence without its full stop."""
        return self.sentence or f"It was {self.damage}"


@dataclass(frozen=True)
class Baseline:
    """A classical method that the task's networks are compared with.

    `restore` takes (H, W, 3) uint8 and what `Task.told` gives, and imports what is heavy when it is called.
    """

    name: str  # on the command line
    restore: Callable[..., np.ndarray]
    title: str = ""  # as voters read it; those without stand in no duels
    quick: bool = True  # and it needs nothing but what a demo has: measured unless others are asked for


@dataclass(frozen=True)
class Example:
    """A picture in the page's assets/examples that a visitor can try, and the mask and settings that go with it."""

    label: str
    photo: str
    mask: str = ""
    controls: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tile:
    """The part of a bundled photo that a model card shows: where it begins, whom it is from, and its damage's seed."""

    photo: str
    top: int
    left: int
    credit: str
    seed: int = 0
