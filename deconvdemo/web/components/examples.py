"""The photos that a visitor can try without one of their own.

Made from scikit-image's sample images: "astronaut" (NASA, public domain), "chelsea" (Stéfan van der Walt, CC0) and
"coffee" (Rachel Michetti, CC0), cropped or shrunk and then degraded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deconvdemo.tasks import Task
from deconvdemo.web.asset import ASSETS

FOLDER = ASSETS / "examples"


@dataclass(frozen=True)
class Example:
    """A photo, for inpainting the mask that goes with it, and settings that do."""

    label: str
    photo: Path
    mask: Path | None = None
    controls: Mapping[str, Any] = field(default_factory=dict)


def examples_of(task: Task) -> list[Example]:
    """What can be tried of a task, which says what it is."""
    return [
        Example(one.label, FOLDER / one.photo, FOLDER / one.mask if one.mask else None, one.controls)
        for one in task.examples
    ]
