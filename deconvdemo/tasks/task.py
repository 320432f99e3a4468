"""What a task is: its controls, what it shows the network, and what counts as "nothing changed".

Every task's result is one formula: `plain + strength · weight · (estimate − plain)`. Strength 0 gives the plain image,
strength 1 the network's estimate, between them the correction is scaled (law 1); where the weight is 0 nothing moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deconvdemo.errors import ControlError, PhotoError

if TYPE_CHECKING:  # the command line reads the tasks' tables, and must not pay for torch
    from torch import Tensor


@dataclass(frozen=True)
class Control:
    """A number the user sets: its range, its meaning in words, and whether leaving it out means "estimate it"."""

    name: str
    label: str
    meaning: str
    default: float | None
    minimum: float = 0.0
    maximum: float = 1.0
    step: float = 0.01
    choices: tuple[int, ...] = ()
    automatic: bool = False  # None (or "auto" on the command line) is estimated from the photo

    def checked(self, value: Any) -> float | int | None:
        """`value` as a number of this control, or ControlError with what was expected."""
        if value is None or (self.automatic and value == "auto"):
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
        """The values it takes, in words."""
        if self.choices:
            return " or ".join(filter(None, [", ".join(map(str, self.choices[:-1])), str(self.choices[-1])]))
        span = f"a {'whole ' if self.is_whole else ''}number from {self.minimum:g} to {self.maximum:g}"
        return f"{span}, or auto" if self.automatic else span


STRENGTH = Control(
    "strength",
    "Strength",
    "How much of the network's correction is applied: 0 leaves the photo as it is, 1 applies all of it.",
    default=1.0,
)


class Task:
    """One way of restoring. A new one subclasses this in a file of its own and is listed in TASKS."""

    name: ClassVar[str]
    verb: ClassVar[str]  # on the button
    title: ClassVar[str]
    promise: ClassVar[str]  # one sentence under the title
    controls: ClassVar[tuple[Control, ...]] = (STRENGTH,)
    needs_mask: ClassVar[bool] = False
    # how far, in pixels, `inputs` looks around, and the grid it works on: tiles overlap and are aligned accordingly
    reach: ClassVar[int] = 0
    grid: ClassVar[int] = 1

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All controls with `given` values in place of defaults. Raises ControlError for unknown or wrong ones."""
        known = {control.name: control for control in self.controls}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ControlError(f"{self.name} has no control {unknown[0]!r}: it takes {', '.join(known)}")
        return {name: control.checked(given.get(name, control.default)) for name, control in known.items()}

    def weights(self, controls: Mapping[str, Any]) -> str:
        """The name, in weights/index.json, of the weights that these controls need."""
        return self.name

    def scale(self, controls: Mapping[str, Any]) -> int:
        """How many times longer each side of the result is."""
        return 1

    def settled(self, pixels: np.ndarray, controls: dict[str, Any]) -> dict[str, Any]:
        """`controls` with every automatic one estimated from `pixels`, (H, W, C) of any of Photo's dtypes."""
        return controls

    def hole_weight(self, mask: np.ndarray | None, controls: Mapping[str, Any]) -> np.ndarray | None:
        """(H, W) float32 in [0, 1]: how much of the estimate is shown where; None: everywhere all of it.

        Wherever it is above 0 the network must not see the photo. Raises PhotoError for a mask of no use to the task.
        """
        if mask is not None:
            raise PhotoError(f"{self.name} takes no mask: leave it out, or use inpaint")
        return None

    def inputs(self, observed: Tensor, holes: Tensor | None, controls: Mapping[str, Any]) -> Tensor:
        """What the network sees of (1, 3, H, W) `observed`, with the side channels its weights were trained on."""
        return observed

    def plain(self, observed: Tensor, controls: Mapping[str, Any]) -> Tensor:
        """The image at strength 0."""
        return observed
