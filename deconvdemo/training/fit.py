"""Fitting a network: mixed precision, averaged weights, checkpoints that are never half written, exact resume."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.checkpoints import Header, save_checkpoint
from deconvdemo.errors import TrainingError
from deconvdemo.metrics import GREY_LEVELS
from deconvdemo.networks import NETWORKS
from deconvdemo.training.corpus import Corpus
from deconvdemo.training.muon import optimizers
from deconvdemo.training.recipes import Phase, Recipe
from deconvdemo.training.samples import Sample

WARM_UP = 100  # steps over which the learning rate rises: the optimizers' first estimates are rough
CLIP = 1.0  # largest norm of a gradient


@dataclass
class State:
    """Everything that a resumed run needs to go on as if it had never stopped."""

    network: nn.Module
    averaged: dict[str, Tensor]
    optimizers: list[torch.optim.Optimizer]
    step: int = 0
    seconds: float = 0.0
    parent: str = ""  # the weights it started from
    phases: dict[str, int] = field(default_factory=dict)  # loss → steps trained with it


@dataclass(frozen=True)
class Budget:
    """Training ends after `steps`, or after `minutes` of training (those of earlier, resumed runs counted in)."""

    minutes: float | None = None
    steps: int | None = None

    def progress(self, state: State) -> float:
        """0 at the start, 1 at the end: what the learning rate's cosine follows."""
        if self.steps is not None:
            return state.step / max(self.steps, 1)
        assert self.minutes is not None
        return state.seconds / 60 / max(self.minutes, 1e-9)


def fit(
    recipe: Recipe,
    corpus: Corpus,
    out: Path,
    budget: Budget,
    *,
    data: list[str],
    resume: Path | None = None,
    start_from: Path | None = None,
    device: str = "cpu",
    bf16: bool = True,
    checkpoint_every: float = 300.0,
    measure: Callable[[nn.Module], dict[str, float]] | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Trains until `budget` is used and returns `out`, the averaged weights as a checkpoint.

    Every `checkpoint_every` seconds the state is written to `out` with the suffix `.state.safetensors` (and a line to
    `.log.jsonl`); `resume` goes on from such a file, to the bit where the budget is in steps. `start_from` takes the
    weights of another checkpoint whose tensors fit.
    """
    from tqdm import tqdm

    corpus = corpus.large_enough(recipe.patch * recipe.scale)
    torch.manual_seed(recipe.seed)
    state = _fresh(recipe, device)
    if start_from is not None:
        _take_over(state, start_from, say)
    if resume is not None:
        _load_state(state, resume, recipe)
    state_file, log_file = out.with_suffix(".state.safetensors"), out.with_suffix(".log.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)

    total = budget.steps if budget.steps is not None else None
    written, losses = time.monotonic(), []
    with tqdm(total=total, initial=state.step, desc=f"training {recipe.name}", unit="step", mininterval=5) as bar:
        while budget.progress(state) < 1:
            started = time.monotonic()
            phase, progress = recipe.phase(budget.progress(state))
            rate = learning_rate(recipe.rate * phase.rate, state.step, progress)
            losses.append(_train_step(state, recipe, phase, corpus, rate, device, bf16))
            state.seconds += time.monotonic() - started
            bar.update()
            if time.monotonic() - written > checkpoint_every:
                _save_state(state, state_file, recipe)
                _log(log_file, state, losses, rate, measure)
                bar.set_postfix_str(f"loss {np.mean(losses):.5f}")
                written, losses = time.monotonic(), []
    _save_state(state, state_file, recipe)
    measured = _log(log_file, state, losses, 0.0, measure)
    save_checkpoint(out, _header(recipe, state, data, measured), state.averaged)
    say(f"{out}: {state.step} steps in {state.seconds / 60:.1f} minutes {measured or ''}")
    return out


def learning_rate(peak: float, step: int, progress: float) -> float:
    """A linear warm-up, then half a cosine from `peak` to zero (Loshchilov & Hutter 2017)."""
    return peak * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _fresh(recipe: Recipe, device: str) -> State:
    network = NETWORKS[recipe.network](**recipe.config).to(device, memory_format=torch.channels_last)
    averaged = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    return State(network, averaged, optimizers(network, recipe.optimizer))


def _train_step(
    state: State, recipe: Recipe, phase: Phase, corpus: Corpus, rate: float, device: str, bf16: bool
) -> float:
    # a step's randomness depends on the seed and the step alone, so that a resumed run draws the same patches
    rng = np.random.default_rng([recipe.seed, state.step])
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    crops = corpus.crops(rng, recipe.batch, recipe.patch * recipe.scale)
    clean = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).float() / GREY_LEVELS
    sample = recipe.make_sample(clean, recipe.scale, rng, generator)
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
    with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=bf16):
        restored = state.network(sample.inputs.contiguous(memory_format=torch.channels_last))
    loss = _loss(restored.float(), sample, phase.loss)
    if not torch.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss.item()} at step {state.step}: lower --rate and resume from the last state file"
        )
    state.network.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), CLIP)
    for optimizer in state.optimizers:
        optimizer.step()
    # a young average follows quickly, so that the random start is forgotten
    keep = min(recipe.average, (state.step + 1) / (state.step + 10))
    for name, tensor in state.network.state_dict().items():
        state.averaged[name].lerp_(tensor, 1 - keep)
    state.step += 1
    state.phases[phase.loss] = state.phases.get(phase.loss, 0) + 1
    return float(loss.item())


def _loss(restored: Tensor, sample: Sample, kind: str) -> Tensor:
    distance = {"l1": functional.l1_loss, "mse": functional.mse_loss, "charbonnier": _charbonnier}[kind]
    if sample.weight is None:
        return distance(restored, sample.target)
    weight = sample.weight.expand_as(restored)
    return distance(restored * weight, sample.target * weight, reduction="sum") / weight.sum()


def _charbonnier(restored: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """L1 that is smooth around 0 (Charbonnier et al. 1994), within a quarter of a grey level."""
    distance = torch.sqrt((restored - target) ** 2 + 1e-6)
    return distance.sum() if reduction == "sum" else distance.mean()


def _header(recipe: Recipe, state: State, data: list[str], measured: dict[str, float]) -> Header:
    return Header(
        network=recipe.network,
        config=recipe.config,
        task=recipe.task,
        scale=recipe.scale,
        variant=recipe.variant,
        data=data,
        recipe={
            **recipe.described(),
            "loss": ", ".join(f"{loss} {steps} steps" for loss, steps in state.phases.items()),
            "steps": state.step,
            "minutes": round(state.seconds / 60, 1),
            **({"started from": state.parent} if state.parent else {}),
        },
        measured=measured,
        created=time.strftime("%Y-%m-%d", time.gmtime()),
    )


def _log(file: Path, state: State, losses: list[float], rate: float, measure) -> dict[str, float]:
    measured = measure(averaged_network(state)) if measure else {}
    row = {
        "step": state.step,
        "minutes": round(state.seconds / 60, 2),
        "rate": rate,
        "loss": float(np.mean(losses)) if losses else None,
        **measured,
    }
    with file.open("a") as out:
        out.write(json.dumps(row) + "\n")
    return measured


def averaged_network(state: State) -> nn.Module:
    """A copy of the network with the averaged weights, to measure."""
    import copy

    network = copy.deepcopy(state.network)
    network.load_state_dict(state.averaged)
    return network.eval()


def _save_state(state: State, file: Path, recipe: Recipe) -> None:
    tensors = {f"network.{name}": tensor for name, tensor in state.network.state_dict().items()}
    tensors |= {f"averaged.{name}": tensor for name, tensor in state.averaged.items()}
    for which, optimizer in enumerate(state.optimizers):
        for number, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer{which}.{number}.{name}": value for name, value in moments.items()}
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    facts = {"name": recipe.name, "step": str(state.step), "seconds": str(state.seconds), "parent": state.parent}
    facts["phases"] = json.dumps(state.phases)
    partial = file.with_name(file.name + ".tmp")
    try:
        save_file(tensors, partial, metadata=facts)
        os.replace(partial, file)
    except (OSError, SafetensorError) as error:  # safetensors wraps the system's errors in its own
        partial.unlink(missing_ok=True)
        raise TrainingError(f"{file} could not be written ({error}): the state before it is intact") from error


def _load_state(state: State, file: Path, recipe: Recipe) -> None:
    try:
        with safe_open(file, framework="pt") as opened:
            facts = opened.metadata() or {}
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{file} is not a state to resume from ({error}): give a .state.safetensors file"
        ) from error
    if "step" not in facts:
        raise TrainingError(f"{file} is not a state to resume from: give a .state.safetensors file")
    if facts.get("name") != recipe.name:
        raise TrainingError(f"{file} is a state of {facts.get('name')!r}, but {recipe.name!r} is to be trained")

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    try:
        state.network.load_state_dict(part("network."))
    except RuntimeError as error:
        raise TrainingError(f"{file} is a state of another network: train it with the same configuration") from error
    for name, tensor in part("averaged.").items():
        state.averaged[name].copy_(tensor)
    for which, optimizer in enumerate(state.optimizers):
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in part(f"optimizer{which}.").items():
            number, _, what = name.partition(".")
            moments.setdefault(int(number), {})[what] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    state.step, state.seconds = int(facts["step"]), float(facts["seconds"])
    state.parent = facts.get("parent") or state.parent
    state.phases = json.loads(facts.get("phases", "{}"))


def _take_over(state: State, checkpoint: Path, say: Callable[[str], None]) -> None:
    """Warm start: every tensor of the checkpoint whose name and shape fit; the rest starts fresh."""
    from deconvdemo.checkpoints import load_checkpoint

    loaded = load_checkpoint(checkpoint)
    given, state.parent = loaded.tensors, f"{loaded.name} {loaded.sha256[:12]}"
    own = state.network.state_dict()
    fitting = {name: given[name].float() for name in own if name in given and given[name].shape == own[name].shape}
    if not fitting:
        raise TrainingError(f"no tensor of {checkpoint} fits this network: give a checkpoint of the same family")
    state.network.load_state_dict({**own, **fitting})
    state.averaged.update({name: tensor.clone() for name, tensor in state.network.state_dict().items()})
    say(f"{len(fitting)} of {len(own)} tensors start from {checkpoint}")
