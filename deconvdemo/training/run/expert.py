"""What fine-tuning starts from: the weights that serve, with an expert beside them that learns and a gate to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.networks import NETWORKS
from deconvdemo.tasks import TASKS

GATED = "GatedExpert"


def with_expert(parent: Checkpoint, load: Callable[[str], Checkpoint], seed: int = 0) -> Checkpoint:
    """`parent`, its expert ready to learn: the one that it has already, or a new one.

    A new one gives what the base gives, or nearly so, and its gate is half open. `load` gives the weights of a name.
    """
    if parent.header.network == GATED:
        return parent
    task = TASKS[parent.header.task]
    small = load(task.weights(task.made_for(parent.header.scale, task.expert))) if task.expert else parent
    expert, learned = _base(small)
    config = {"network": parent.header.network, "base": parent.header.config, "expert": expert}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = NETWORKS[GATED](**config).state_dict()
    tensors = {
        **fresh,
        **{f"base.{name}": tensor for name, tensor in parent.tensors.items()},
        **{f"expert.{name}": tensor for name, tensor in learned.items()},
    }
    return replace(parent, header=replace(parent.header, network=GATED, config=config), tensors=tensors)


def without_expert(checkpoint: Checkpoint) -> str:
    """The kind of network that was trained before anything was flagged."""
    header = checkpoint.header
    return header.config["network"] if header.network == GATED else header.network


def _base(checkpoint: Checkpoint) -> tuple[dict, dict[str, torch.Tensor]]:
    """Configuration and tensors of a checkpoint without its expert."""
    if checkpoint.header.network != GATED:
        return checkpoint.header.config, checkpoint.tensors
    own = {name: tensor for name, tensor in checkpoint.tensors.items() if name.startswith("base.")}
    return checkpoint.header.config["base"], {name.removeprefix("base."): tensor for name, tensor in own.items()}
