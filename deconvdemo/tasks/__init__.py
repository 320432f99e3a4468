"""The tasks, in tab order. A new one is one file here and one line in TASKS."""

from __future__ import annotations

from deconvdemo.tasks.control import Choice, Control, Number, Switch, Variant, in_words
from deconvdemo.tasks.denoise import Denoise
from deconvdemo.tasks.inpaint import Inpaint
from deconvdemo.tasks.task import STANDARD, Task
from deconvdemo.tasks.upscale import Upscale

TASKS: dict[str, Task] = {task.name: task for task in (Denoise(), Upscale(), Inpaint())}

__all__ = ["STANDARD", "TASKS", "Choice", "Control", "Number", "Switch", "Task", "Variant", "in_words"]
