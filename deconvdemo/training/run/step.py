"""One step of training: forward, backward, the optimizers and the average, without asking the device for anything.

A GPU is told what to do faster than it does it only where the steps are large. Recorded once and replayed (a CUDA
graph), a step is one call; compiled, its operations are fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from deconvdemo.training.recipes import Phase
from deconvdemo.training.run import critic
from deconvdemo.training.run.losses import loss_and_weight
from deconvdemo.training.run.plan import Run
from deconvdemo.training.run.state import State
from deconvdemo.training.samples.sample import Sample

CLIP = 1.0  # largest norm of a gradient
HOW = ("eager", "graph", "compiled")
BEFORE_RECORDING = 3  # steps that are taken one operation at a time: they choose convolutions and make the moments


class Steps:
    """Takes the steps of one run, as its `how` says. What the device does not have is said, and done without."""

    def __init__(self, run: Run, state: State, say: Callable[[str], None]):
        self._run, self._state, self._say = run, state, say
        self._how = run.how
        self._network: Callable[[Tensor], Tensor] = (
            torch.compile(state.network) if run.how == "compiled" else state.network
        )
        self._taken: Counter[str] = Counter()
        self._replays: dict[str, tuple[Callable[[], None], list[Tensor]]] = {}
        self._shown: Sample | None = None
        if run.how == "graph":  # a recording has places, not numbers: what changes from step to step is written there
            self._fresh = torch.ones((), device=run.team.device)
            for optimizer in state.all_optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = torch.zeros((), device=run.team.device)

    def __call__(self, sample: Sample, phase: Phase, rate: float) -> Tensor:
        """One step of every process, each on its sample; gives this sample's share of the batch's loss."""
        set_rates(self._run, self._state, rate)
        fresh = 1 - kept(self._run, self._state)
        if self._how == "graph":
            self._fresh.fill_(fresh)
            loss = self._from_recording(sample, phase.loss)
        else:
            loss = self._directly(sample, phase.loss, fresh)
        count_step(self._state, phase)
        return loss

    def _directly(self, sample: Sample, loss: str, fresh: float | Tensor) -> Tensor:
        try:
            return learn(self._run, self._state, sample, loss, fresh, self._network)
        except RuntimeError as error:
            if self._network is self._state.network:
                raise
            self._say(f"the network is not compiled ({first_line(error)}): it is trained as it is")
            self._network = self._state.network
            return learn(self._run, self._state, sample, loss, fresh, self._network)

    def _from_recording(self, sample: Sample, loss: str) -> Tensor:
        shown = self._show(sample)
        if loss not in self._replays:
            if self._taken[loss] < BEFORE_RECORDING:
                self._taken[loss] += 1
                return self._aside(lambda: self._directly(shown, loss, self._fresh))
            results: list[Tensor] = []

            def work() -> None:
                results[:] = [learn(self._run, self._state, shown, loss, self._fresh)]

            try:
                replay = recorded(work, self._run.team.device)
            except RuntimeError as error:
                self._say(f"steps are not recorded ({first_line(error)}): they are taken one operation at a time")
                self._how = "eager"
                return self._directly(shown, loss, self._fresh)
            self._replays[loss] = replay, results
        replay, results = self._replays[loss]
        replay()
        return results[-1].clone()

    def _show(self, sample: Sample) -> Sample:
        """The sample where the recording looks for it."""
        if self._shown is None:
            self._shown = replace(
                sample,
                inputs=torch.empty_like(sample.inputs, memory_format=torch.channels_last),
                target=torch.empty_like(sample.target),
                weight=None if sample.weight is None else torch.empty_like(sample.weight),
            )
        self._shown.inputs.copy_(sample.inputs)
        self._shown.target.copy_(sample.target)
        if self._shown.weight is not None:
            assert sample.weight is not None
            self._shown.weight.copy_(sample.weight)
        return self._shown

    def _aside(self, step: Callable[[], Tensor]) -> Tensor:
        """On another stream, where a GPU has several: a recording is made on another, too."""
        device = self._run.team.device
        if not device.startswith("cuda"):
            return step()
        here, aside = torch.cuda.current_stream(device), torch.cuda.Stream(device)
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            loss = step()
        here.wait_stream(aside)
        return loss


def train_step(run: Run, state: State, sample: Sample, phase: Phase, rate: float) -> Tensor:
    """A step by itself, one operation after another."""
    set_rates(run, state, rate)
    loss = learn(run, state, sample, phase.loss, 1 - kept(run, state))
    count_step(state, phase)
    return loss


def recorded(work: Callable[[], None], device: str) -> Callable[[], None]:
    """What does `work` again each time that it is called; on a GPU nothing is done while it is recorded."""
    if not device.startswith("cuda"):
        return work
    graph = torch.cuda.CUDAGraph()
    # thread_local: another thread may draw the next patches meanwhile
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    return graph.replay


def learn(
    run: Run, state: State, sample: Sample, loss: str, fresh: float | Tensor, network: Callable | None = None
) -> Tensor:
    """What a step does on the device; `fresh` is the new weights' share in the average. Gives the loss."""
    kind = run.team.device.partition(":")[0]
    # benchmark: a step's shapes are those of the step before, so that looking for the fastest convolutions pays
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        with torch.autocast(kind, torch.bfloat16, enabled=run.bf16):
            restored = (network or state.network)(sample.inputs.contiguous(memory_format=torch.channels_last))
            opposed = state.critic.unconvinced(restored) if state.critic else None
        found, weight = loss_and_weight(restored, sample, loss)
        found = found / run.team.summed(weight)
        state.network.zero_grad(set_to_none=True)
        total = found if opposed is None else found + run.recipe.adversarial / run.team.count * opposed
        total.backward()
        _follow(run, state.network, state.optimizers)
        if state.critic:
            with torch.autocast(kind, torch.bfloat16, enabled=run.bf16):
                mistaken = state.critic.mistaken(sample.target, restored) / run.team.count
            state.critic.optimizer.zero_grad(set_to_none=True)
            mistaken.backward()
            _follow(run, state.critic.judge, [state.critic.optimizer])
    _average(list(state.averaged.values()), list(state.network.state_dict().values()), fresh)
    return found.detach()


def _follow(run: Run, network: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """The optimizers' step along every process's gradients."""
    run.team.sum_gradients(network.parameters())
    nn.utils.clip_grad_norm_(network.parameters(), CLIP)
    for optimizer in optimizers:
        optimizer.step()


def _average(averaged: list[Tensor], current: list[Tensor], fresh: float | Tensor) -> None:
    if not isinstance(fresh, Tensor):
        get_ema_multi_avg_fn(1 - fresh)(averaged, current, 0)
        return
    with torch.no_grad():
        change = torch._foreach_sub(current, averaged)
        torch._foreach_mul_(change, fresh)
        torch._foreach_add_(averaged, change)


def kept(run: Run, state: State) -> float:
    """The old average's share: a young one follows quickly, so that the random start is forgotten."""
    return min(run.recipe.average, (state.step + 1) / (state.step + 10))


def set_rates(run: Run, state: State, rate: float) -> None:
    for optimizer in state.all_optimizers:
        opponent = state.critic is not None and optimizer is state.critic.optimizer
        value = critic.RATE * rate / run.recipe.rate if opponent else rate
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value


def count_step(state: State, phase: Phase) -> None:
    state.step += 1
    state.phases[phase.loss] = state.phases.get(phase.loss, 0) + 1


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
