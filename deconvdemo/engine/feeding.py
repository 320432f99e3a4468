"""Whether a network takes what its task shows it: a weights file says what it is for, and may be wrong."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.errors import CheckpointError
from deconvdemo.tasks import TASKS

SIDE = 8  # pixels of the picture that is shown


def require_fed(checkpoint: Checkpoint, network: nn.Module) -> None:
    """Raises CheckpointError unless there is the task, and it shows as many channels as the network looks at."""
    header = checkpoint.header
    if header.task not in TASKS:
        raise CheckpointError(
            f"{checkpoint.source} says it is for task {header.task!r}, but the tasks here are {', '.join(TASKS)}: "
            "update deconvdemo, or use other weights"
        )
    task = TASKS[header.task]
    controls = {control.name: control.default for control in task.controls}
    holes = torch.zeros(1, 1, SIDE, SIDE) if task.needs_mask else None
    with torch.inference_mode():
        shown = task.inputs(
            torch.zeros(1, 3, SIDE, SIDE), holes, controls | task.made_for(header.scale, header.variant)
        )
    taken, given = int(network.side_channels), shown.shape[1] - 3  # type: ignore[arg-type]
    if taken != given and (taken or header.variant not in task.blind):
        raise CheckpointError(
            f"{checkpoint.source} is for {header.name}, but its {header.asks_for} takes {taken} side channels, where "
            f"{task.name} shows it {given}: use other weights"
        )


def require_known(names: Collection[str]) -> None:
    """Raises CheckpointError if somebody named weights, and all of them are for tasks that are not here."""
    if names and not any(name.partition("-")[0] in TASKS for name in names):
        raise CheckpointError(
            f"the weights that were named are for {', '.join(names)}, but the tasks here are {', '.join(TASKS)}: "
            "update deconvdemo, or name other weights"
        )
