"""What each step of training does to a network, an average and a gate: what nobody sees in a run that ends well."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_training import photos, small, trained
from torch import nn

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.recipes import Phase, Recipe
from deconvdemo.training.run import fit as fitting
from deconvdemo.training.run import step as stepping
from deconvdemo.training.run.fit import WARM_UP, learning_rate
from deconvdemo.training.run.plan import Budget, Run
from deconvdemo.training.run.router_training import DOUBT, gate_loss
from deconvdemo.training.run.state import State
from deconvdemo.training.run.step import CLIP, Steps, train_step


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = photos(tmp_path_factory.mktemp("photos"))
    return Corpus.open([folder], tmp_path_factory.mktemp("cache"), say=lambda text: None)


class Seen(torch.optim.Optimizer):
    """Keeps the norm of each gradient and the rate that it is given, and changes nothing, or adds 1 to each weight."""

    def __init__(self, network: nn.Module, add: float = 0.0):
        super().__init__(network.parameters(), {"lr": 0.0})
        self.add, self.norms, self.rates = add, [], []

    @torch.no_grad()
    def step(self, closure=None) -> None:  # type: ignore[override]
        [group] = self.param_groups
        self.norms.append(float(torch.cat([one.grad.flatten() for one in group["params"]]).norm()))
        self.rates.append(group["lr"])
        for one in group["params"]:
            one.add_(self.add)


def steps(recipe: Recipe, corpus: Corpus, number: int, add: float = 0.0, loudness: float = 1.0) -> tuple[State, Seen]:
    """So many steps with an optimizer that only looks; `loudness` multiplies what is to be predicted."""
    state = State.fresh(recipe, "cpu")
    seen = Seen(state.network, add)
    state.optimizers = [seen]
    run = Run(recipe, corpus, Budget(steps=number), bf16=False)
    sample = run.batches().sample(0)
    sample.target.mul_(loudness)
    for _ in range(number):
        rate = learning_rate(recipe.rate, state.step, 0.0)
        train_step(run, state, sample, Phase(1.0, "mse"), rate)
    return state, seen


def test_no_gradient_is_longer_than_the_clip_and_a_short_one_is_as_it_was(corpus, monkeypatch):
    recipe = small("denoise")
    [long] = steps(recipe, corpus, 1, loudness=1000.0)[1].norms
    assert long == pytest.approx(CLIP, rel=1e-3)
    [short] = steps(recipe, corpus, 1, loudness=1.0)[1].norms
    assert 0 < short < CLIP  # of the same network on the same photos
    monkeypatch.setattr(stepping, "CLIP", float("inf"))
    assert steps(recipe, corpus, 1, loudness=1.0)[1].norms == pytest.approx([short])
    assert steps(recipe, corpus, 1, loudness=1000.0)[1].norms[0] > 10 * CLIP


def test_the_rate_of_a_step_reaches_every_optimizer(corpus):
    _, seen = steps(small("denoise", rate=0.5), corpus, 3)
    assert seen.rates == pytest.approx([0.5 * (step + 1) / WARM_UP for step in range(3)])


@pytest.mark.parametrize("average", [0.9, 0.999])
def test_a_young_average_follows_quickly_and_an_old_one_by_its_own_pace(average, corpus):
    """Of weights that grow by 1 with each step: after the k-th, keep·average + (1 − keep)·weights."""
    recipe = small("denoise", average=average)
    state, _ = steps(recipe, corpus, 100, add=1.0)
    name = "tail.weight"
    start = state.network.state_dict()[name].flatten()[0].item() - 100
    expected = start
    for step in range(100):
        keep = min(average, (step + 1) / (step + 10))
        expected = keep * expected + (1 - keep) * (start + step + 1)
    assert state.averaged[name].flatten()[0].item() == pytest.approx(expected, abs=1e-2)
    assert expected > start + 88  # the random start is forgotten; at a pace of 0.999 from the first step it were not


def test_a_gate_that_opens_wrongly_counts_more_than_one_that_stays_shut_wrongly():
    logits = torch.full((1, 1, 2, 2), 1.5)
    opens_wrongly, shut_wrongly = gate_loss(logits, torch.zeros(1)), gate_loss(-logits, torch.ones(1))
    assert opens_wrongly.item() == pytest.approx(DOUBT * shut_wrongly.item())
    assert DOUBT > 1


def test_in_doubt_a_gate_stays_shut():
    """As many photos are flagged as are not, and nothing tells them apart: the best that it can learn is to be shut."""
    logit = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([logit], 1.0)
    for _ in range(200):
        optimizer.zero_grad()
        gate_loss(logit.view(1, 1, 1, 1).expand(8, 1, 3, 3), torch.tensor([0.0, 1.0] * 4)).backward()
        optimizer.step()
    assert logit.item() == pytest.approx(-np.log(2), abs=0.01)  # open with probability 1/3


def test_the_rate_ends_at_zero_so_that_the_last_steps_change_almost_nothing(corpus, tmp_path, monkeypatch):
    rates: list[float] = []
    real = Steps.__call__

    def noting(self, sample, phase, rate):
        rates.append(rate)
        return real(self, sample, phase, rate)

    monkeypatch.setattr(Steps, "__call__", noting)
    monkeypatch.setattr(fitting, "WARM_UP", 2)
    trained(small("upscale-x2", rate=0.01, phases=(Phase(1.0),)), corpus, tmp_path / "x2.safetensors", 10)
    assert rates[0] == pytest.approx(0.005)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] < 0.03 * max(rates)


def test_what_is_served_is_the_average_and_not_the_last_step(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "WARM_UP", 1)
    out = trained(small("upscale-x2", rate=0.1, average=0.5), corpus, tmp_path / "x2.safetensors", 4)
    served, state = load_checkpoint(out).tensors, load_file(out.with_suffix(".state.safetensors"))

    def distance(part: str) -> float:
        return sum(float((value.float() - state[f"{part}.{name}"]).abs().sum()) for name, value in served.items())

    assert distance("averaged") < 0.2 * distance("network")  # the average's own rounding in the file
