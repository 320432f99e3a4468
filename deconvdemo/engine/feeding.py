"""Whether a network takes what its task shows it: a weights file says what it is for, and may be wrong."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

from deconvdemo.checkpoints.checkpoint import Checkpoint, Header
from deconvdemo.errors import CheckpointError
from deconvdemo.tasks import TASKS, Task
from deconvdemo.tasks.helpers import HELPERS

SIDE = 8  # pixels of the picture that is shown


def require_fed(checkpoint: Checkpoint, network: nn.Module) -> None:
    """Raises CheckpointError unless there is the task, and it shows, and takes, as many channels as the network does.

    A helper's network sees the photo alone.
    """
    header = checkpoint.header
    task, helper = TASKS.get(header.task), HELPERS.get(header.task)
    if not task and not helper:
        raise CheckpointError(
            f"{checkpoint.source} says it is for task {header.task!r}, but the tasks here are {', '.join(TASKS)}: "
            "update deconvdemo, or use other weights"
        )
    gives, expected = getattr(network, "result_channels", None), helper.gives if helper else None
    if gives != expected:
        words = {one: f"{one} channel" if one else "an image" for one in (gives, expected)}
        raise CheckpointError(
            f"{checkpoint.source} is for {header.name}, but its {header.asks_for} gives {words[gives]}, where "
            f"{words[expected]} is expected: use other weights"
        )
    taken, given = int(network.side_channels), _side_channels(task, header) if task else 0  # type: ignore[arg-type]
    if taken != given and (taken or not task or header.variant not in task.blind):
        raise CheckpointError(
            f"{checkpoint.source} is for {header.name}, but its {header.asks_for} takes {taken} side channels, where "
            f"{header.task} shows it {given}: use other weights"
        )


def _side_channels(task: Task, header: Header) -> int:
    """How many the task shows beside the image."""
    controls = {control.name: control.default for control in task.controls}
    holes = torch.zeros(1, 1, SIDE, SIDE) if task.needs_mask else None
    with torch.inference_mode():
        shown = task.inputs(
            torch.zeros(1, 3, SIDE, SIDE), holes, controls | task.made_for(header.scale, header.variant)
        )
    return shown.shape[1] - 3


def require_known(names: Collection[str]) -> None:
    """Raises CheckpointError if somebody named weights, and all of them are for tasks that are not here."""
    known = {*TASKS, *HELPERS}
    if names and not any(name.partition("-")[0] in known for name in names):
        raise CheckpointError(
            f"the weights that were named are for {', '.join(names)}, but the tasks here are {', '.join(TASKS)}: "
            "update deconvdemo, or name other weights"
        )
