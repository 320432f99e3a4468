"""Everything that a run needs to go on as if it had never stopped, and the file it is kept in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.atomic import WriteError, write_atomically
from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint
from deconvdemo.checkpoints.mixing import widened
from deconvdemo.errors import TrainingError
from deconvdemo.networks import NETWORKS
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.run.critic import Critic
from deconvdemo.training.run.least_squares import solve_last
from deconvdemo.training.run.muon import optimizers
from deconvdemo.training.samples.sample import Sample


@dataclass
class State:
    """A network under training, the average of its weights, which is what will be served, and how far it is."""

    network: nn.Module
    averaged: dict[str, Tensor]
    optimizers: list[torch.optim.Optimizer]
    step: int = 0
    seconds: float = 0.0
    parent: str = ""  # the weights it started from
    solved: int = 0  # batches that its last layer was solved on before the first step
    phases: dict[str, int] = field(default_factory=dict)  # loss → steps trained with it
    flags: str = ""  # the snapshot that it learns from: a run that goes on must go on with the same,
    flag_ids: tuple[str, ...] = ()  # with these
    critic: Critic | None = None  # of an adversarial training

    @classmethod
    def fresh(cls, recipe: Recipe, device: str) -> State:
        """Before the first step; the initial weights go by the recipe's seed."""
        torch.manual_seed(recipe.seed)
        network = NETWORKS[recipe.network](**recipe.config).to(device, memory_format=torch.channels_last)
        averaged = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        opponent = Critic(device) if recipe.adversarial else None
        return cls(network, averaged, optimizers(network, recipe.optimizer), critic=opponent)

    @property
    def all_optimizers(self) -> list[torch.optim.Optimizer]:
        return [*self.optimizers, self.critic.optimizer] if self.critic else self.optimizers

    def averaged_network(self) -> nn.Module:
        """A copy of the network with the averaged weights, to measure."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.averaged)
        return network.eval()

    def save(self, file: Path, recipe: Recipe) -> None:
        """Whole or not at all. Raises TrainingError where that fails: what was there before is intact."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"averaged.{name}": tensor for name, tensor in self.averaged.items()}
        if self.critic:
            tensors |= {f"critic.{name}": tensor for name, tensor in self.critic.judge.state_dict().items()}
        for which, optimizer in enumerate(self.all_optimizers):
            for number, moments in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer{which}.{number}.{name}": value for name, value in moments.items()}
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        facts = {"name": recipe.name, "step": str(self.step), "seconds": str(self.seconds), "parent": self.parent}
        facts["solved"] = str(self.solved)
        facts |= {"flags": self.flags, "flag ids": json.dumps(self.flag_ids)}
        facts["phases"] = json.dumps(self.phases)
        try:
            write_atomically(file, safetensors.torch.save(tensors, facts))
        except WriteError as error:
            raise TrainingError(f"{error}: the state before it is intact; make room, then --resume it") from error

    def load(self, file: Path, recipe: Recipe) -> None:
        """Takes over what `save` wrote. Raises TrainingError for any other file, and for a run of another kind."""
        facts, tensors = _read(file)
        if facts.get("name") != recipe.name:
            raise TrainingError(f"{file} is a state of {facts.get('name')!r}, but {recipe.name!r} is to be trained")
        if (facts.get("flags", ""), facts.get("flag ids", "[]")) != (self.flags, json.dumps(self.flag_ids)):
            raise TrainingError(
                f"the run began with {facts.get('flags') or 'unknown flags'}, but the accepted flags are "
                f"{self.flags or 'none'} now: start anew without --resume"
            )

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        try:
            self.network.load_state_dict(part("network."))
            if self.critic:
                self.critic.judge.load_state_dict(part("critic."))
        except RuntimeError as error:
            raise TrainingError(
                f"{file} is a state of another network: train it with the same configuration"
            ) from error
        for name, tensor in part("averaged.").items():
            self.averaged[name].copy_(tensor)
        for which, optimizer in enumerate(self.all_optimizers):
            if int(facts["step"]) and not _load_moments(optimizer, part(f"optimizer{which}.")):
                raise TrainingError(f"{file} is a state of other optimizers: resume it with the same --optimizer")
        self.step, self.seconds = int(facts["step"]), float(facts["seconds"])
        self.parent = facts.get("parent") or self.parent
        self.solved = int(facts.get("solved", 0))
        self.phases = json.loads(facts.get("phases", "{}"))

    def start_from(self, checkpoint: Path | Checkpoint, say: Callable[[str], None]) -> None:
        """Warm start: every tensor of the checkpoint that fits, also another scale's; the rest starts fresh."""
        loaded = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
        self.parent = f"{loaded.name} {loaded.sha256[:12]}"
        own, deconvolutions = self.network.state_dict(), _deconvolutions(self.network)
        fitting = {}
        for name, given in ((name, loaded.tensors[name].float()) for name in own if name in loaded.tensors):
            if (whole := widened(given, own[name])) is not None:
                fitting[name] = whole
            elif name in deconvolutions and given.shape[:2] == own[name].shape[:2]:
                fitting[name] = _resampled(given, own[name].shape[2:])
        if not fitting:
            raise TrainingError(f"no tensor of {loaded.source} fits this network: give a checkpoint of the same family")
        self.network.load_state_dict({**own, **fitting})
        self._average_anew()
        say(f"{len(fitting)} of {len(own)} tensors start from {loaded.source}")

    def solve_last(self, samples: Iterator[Sample], count: int, say: Callable[[str], None]) -> None:
        """The last layer as `least_squares` finds it, on `count` batches."""
        solve_last(self.network, samples, count)
        self._average_anew()
        self.solved = count
        say(f"the last layer is solved on {count} batches")

    def _average_anew(self) -> None:
        for name, tensor in self.network.state_dict().items():
            self.averaged[name].copy_(tensor)


def _read(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    what = f"{file} is not a state to resume from"
    try:
        with safe_open(file, framework="pt") as opened:
            facts = opened.metadata() or {}
        tensors = safetensors.torch.load_file(file)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{what} ({error}): give a whole .state.safetensors file") from error
    if "step" not in facts:
        raise TrainingError(f"{what}: give a .state.safetensors file")
    return facts, tensors


def _load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> bool:
    """False where the tensors, named "parameter's number.moment's name", are not this optimizer's."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, what = name.partition(".")
        if int(number) >= len(parameters) or (value.dim() and value.shape != parameters[int(number)].shape):
            return False
        # a moment lies in memory as its parameter does: a GPU updates both in one go
        laid_out = torch.empty_like(parameters[int(number)]).copy_(value) if value.dim() else value
        moments.setdefault(int(number), {})[what] = laid_out
    if len(moments) < len(parameters):
        return False
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return True


def _deconvolutions(network: nn.Module) -> set[str]:
    """The names of their kernels, (in, out, height, width) each."""
    return {f"{name}.weight" for name, layer in network.named_modules() if isinstance(layer, nn.ConvTranspose2d)}


def _resampled(kernel: Tensor, size: Sequence[int]) -> Tensor:
    """The kernel for another scale.

    A deconvolution's kernel samples a function of the place. A network of another scale that samples the same begins
    about as good as the given network (×3 from ×2: 4.8 dB better at the first step than with a fresh kernel).
    """
    return functional.interpolate(kernel, tuple(size), mode="bicubic", align_corners=False)
