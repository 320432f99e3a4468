"""The tasks, in tab order. A new one is one file here and one line in TASKS."""

from __future__ import annotations

from deconvdemo.errors import ControlError
from deconvdemo.tasks.control import AUTO, Choice, Control, Number, Switch, Variant, in_words
from deconvdemo.tasks.deblur import Deblur
from deconvdemo.tasks.denoise import Denoise
from deconvdemo.tasks.inpaint import Inpaint
from deconvdemo.tasks.task import PHOTO, STANDARD, Task
from deconvdemo.tasks.upscale import Upscale

TASKS: dict[str, Task] = {task.name: task for task in (Denoise(), Upscale(), Inpaint(), Deblur())}
TRAINED = tuple(name for name, task in TASKS.items() if task.trains)  # those that have networks of their own


def task_named(name: str) -> Task:
    """Raises ControlError, with the names there are, for another."""
    if name not in TASKS:
        raise ControlError(f"there is no task {name!r}: choose one of {', '.join(TASKS)}")
    return TASKS[name]


__all__ = [
    "AUTO",
    "PHOTO",
    "STANDARD",
    "TASKS",
    "TRAINED",
    "Choice",
    "Control",
    "Number",
    "Switch",
    "Task",
    "Variant",
    "in_words",
    "task_named",
]
