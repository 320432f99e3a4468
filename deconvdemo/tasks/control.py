"""What the user sets: numbers, choices of words, and switches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deconvdemo.errors import ControlError


@dataclass(frozen=True)
class Control:
    """One setting: its name on the command line, over HTTP and in reports, and its words on the page."""

    name: str
    label: str
    meaning: str
    default: Any

    def checked(self, value: Any) -> Any:
        """`value` as this control's, or ControlError with what was expected."""
        raise NotImplementedError

    def here(self, value: Any) -> Any:
        """`value` as who runs the program gives it: some controls take the name of a file then."""
        return value

    def expected(self) -> str:
        """The values it takes, in words."""
        raise NotImplementedError


@dataclass(frozen=True)
class Number(Control):
    """A number in a range, or one of a few; `automatic` says whether leaving it out means "find it out"."""

    minimum: float = 0.0
    maximum: float = 1.0
    step: float = 0.01
    choices: tuple[int, ...] = ()
    automatic: bool = False  # None (or "auto" on the command line) is estimated, or left to the network to judge

    def checked(self, value: Any) -> float | int | None:
        if value is None or (self.automatic and value == AUTO):
            if self.automatic:
                return None
            raise ControlError(f"{self.name} is missing: give {self.expected()}")
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ControlError(f"{self.name} is {value!r:.40}, but it must be {self.expected()}") from None
        allowed = number in self.choices if self.choices else self.minimum <= number <= self.maximum
        if isinstance(value, bool) or not allowed or (self.is_whole and not number.is_integer()):
            raise ControlError(f"{self.name} is {value!s:.40}, but it must be {self.expected()}")
        return int(number) if self.is_whole else number

    @property
    def is_whole(self) -> bool:
        """Whether it counts something, so that only whole numbers make sense."""
        return bool(self.choices) or self.step >= 1

    def expected(self) -> str:
        if self.choices:
            return _either(self.choices)
        span = f"a {'whole ' if self.is_whole else ''}number from {self.minimum:g} to {self.maximum:g}"
        return f"{span}, or auto" if self.automatic else span


AUTO = "auto"  # what is to be found out, as a word


@dataclass(frozen=True)
class Variant:
    """One of a task's networks: what it is made for, in a visitor's words."""

    label: str
    meaning: str
    judges: tuple[str, ...] = ()  # automatic controls that are not estimated for it: it finds them out by itself
    network: bool = True  # whether it is one; else a classical method, which the task's networks are compared with


@dataclass(frozen=True)
class Choice(Control):
    """One of a few words, or AUTO: which of them, the photo says."""

    options: Mapping[str, Variant] = field(default_factory=dict)
    without_weights: tuple[str, ...] = ()  # words that would be options if there were weights for them

    def checked(self, value: Any) -> str:
        if value is None or value == AUTO:
            return AUTO
        if value in self.without_weights:
            raise ControlError(f"there are no weights for {self.name} {value!r}: choose {self.expected()}")
        if not isinstance(value, str) or value not in self.options:
            raise ControlError(f"{self.name} is {value!r:.40}, but it must be {self.expected()}")
        return value

    def expected(self) -> str:
        return _either([AUTO, *self.options])

    def only(self, words: Collection[str], default: str) -> Choice:
        """The same choice among fewer words."""
        options = {word: option for word, option in self.options.items() if word in words}
        left_out = tuple(word for word in self.options if word not in words)
        return replace(self, options=options, default=default, without_weights=left_out)


_ON, _OFF = ("true", "on", "yes", "1"), ("false", "off", "no", "0")


@dataclass(frozen=True)
class Switch(Control):
    """On or off."""

    def checked(self, value: Any) -> bool:
        if value is None:
            raise ControlError(f"{self.name} is missing: give {self.expected()}")
        word = str(value).lower() if isinstance(value, bool | int | str) else ""
        if word not in _ON + _OFF:
            raise ControlError(f"{self.name} is {value!r:.40}, but it must be {self.expected()}")
        return word in _ON

    def expected(self) -> str:
        return "true or false"


def in_words(controls: Mapping[str, Any]) -> list[str]:
    """Settings as a person reads them: ["sigma 12.5", "strength 1", "variant photo", "wrap"].

    What is left open is "auto"; what is off is not told.
    """
    return [
        name if value is True else f"{name} {_in_words(value)}"
        for name, value in controls.items()
        if value is not False
    ]


def in_short(value: str) -> str:
    """A control's word as it is shown: of what no person reads, such as a drawn kernel, only what it begins with."""
    return value if len(value) <= _LONGEST_SHOWN else value.rpartition(":")[0]


_LONGEST_SHOWN = 40  # characters


def _in_words(value: Any) -> str:
    if value is None:
        return "auto"
    return in_short(value) if isinstance(value, str) else f"{value:g}"


def _either(values: Sequence[object]) -> str:
    """ "2, 3 or 4" """
    return " or ".join(filter(None, [", ".join(map(str, values[:-1])), str(values[-1])]))
