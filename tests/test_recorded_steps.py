"""A recorded step is the step, a run that draws on its device resumes to the bit, and an opponent learns, too."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import photos, small, trained
from torch import nn
from waits import Waits

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.errors import TrainingError
from deconvdemo.training.data.blocks import AT_ONCE
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.recipes import Phase
from deconvdemo.training.run import step as stepping
from deconvdemo.training.run.critic import Critic
from deconvdemo.training.run.muon import Muon
from deconvdemo.training.run.plan import Budget, Run
from deconvdemo.training.run.state import State
from deconvdemo.training.run.step import BEFORE_RECORDING, Steps


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = photos(tmp_path_factory.mktemp("photos"))
    return Corpus.open([folder], tmp_path_factory.mktemp("cache"), say=lambda text: None)


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch):
    monkeypatch.setitem(AT_ONCE, "cpu", 8)


def after(
    how: str, corpus: Corpus, name: str = "inpaint", steps: int = 8, said: list | None = None, **changes
) -> State:
    """The state after a few steps, the last two of them in another phase."""
    # Muon's bf16 would make much of a last digit
    recipe = small(name, **{"batch": 2, "patch": 8, "rate": 0.02, "optimizer": "adam", **changes})
    run = Run(recipe, corpus, Budget(steps=steps), bf16=False, resident=True, how=how)
    state = State.fresh(recipe, "cpu")
    take, samples = Steps(run, state, (said if said is not None else []).append), run.batches().following(0)
    for number in range(steps):
        take(next(samples), Phase(1.0, "l1" if number < steps - 2 else "mse"), 0.001 * (number + 1))
    return state


@pytest.mark.parametrize("name", ["inpaint", "upscale-x4-vivid"])
def test_a_recorded_step_is_the_step(name, corpus, monkeypatch):
    """On a CPU to record is to do again, of the same places in memory: rate, average and sample are written there."""
    made: list[str] = []
    real = stepping.recorded
    monkeypatch.setattr(stepping, "recorded", lambda work, device: made.append(device) or real(work, device))
    one, other = after("eager", corpus, name), after("graph", corpus, name)
    assert made == ["cpu"]  # the second phase has too few steps for that
    assert BEFORE_RECORDING < 6
    assert one.step == other.step == 8
    assert one.phases == other.phases == {"l1": 6, "mse": 2}
    for part in (lambda state: state.network.state_dict(), lambda state: state.averaged):
        for name, tensor in part(one).items():
            assert torch.allclose(tensor, part(other)[name], atol=1e-5), name


def test_muon_takes_a_rate_that_is_written_into_a_tensor():
    moved = []
    for rate in (0.1, torch.tensor(0.1)):
        weight = nn.Parameter(torch.ones(4, 6))
        weight.grad = torch.arange(24.0).view(4, 6).sin()
        muon = Muon([weight], lr=0.0)
        muon.param_groups[0]["lr"] = rate
        muon.step()
        moved.append(weight.detach())
    assert torch.allclose(*moved)
    assert not torch.allclose(moved[0], torch.ones(4, 6))


@pytest.mark.parametrize(
    ("name", "how"), [("denoise-photo", "eager"), ("inpaint", "graph"), ("upscale-x4-vivid", "graph")]
)
def test_a_step_never_waits_for_the_device(name, how, corpus):
    recipe = small(name, batch=2, patch=8)
    run = Run(recipe, corpus, Budget(steps=9), bf16=True, resident=True, how=how)
    state = State.fresh(recipe, "cpu")
    for optimizer in state.all_optimizers:
        for group in optimizer.param_groups:
            group["fused"] = True  # as on a GPU; the other Adam asks for its number of steps
    take, sample = Steps(run, state, print), run.batches().sample(0)
    for _ in range(BEFORE_RECORDING):
        take(sample, Phase(1.0), 0.01)
    with Waits() as waits:
        for _ in range(2):
            take(sample, Phase(1.0), 0.01)
    assert not waits.seen


def test_what_cannot_be_recorded_is_said_and_done_without(corpus, monkeypatch):
    def refused(work, device):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(stepping, "recorded", refused)
    said: list[str] = []
    state = after("graph", corpus, said=said)
    reason = "operation not permitted when stream is capturing"
    assert said == [f"steps are not recorded ({reason}): they are taken one operation at a time"]
    expected = after("eager", corpus)
    assert all(torch.allclose(one, state.averaged[name], atol=1e-5) for name, one in expected.averaged.items())


def test_what_cannot_be_compiled_is_said_and_done_without(corpus, monkeypatch):
    def refusing(network):
        def forward(inputs):
            raise RuntimeError("no C++ compiler")

        return forward

    monkeypatch.setattr(torch, "compile", refusing)
    said: list[str] = []
    state, expected = after("compiled", corpus, said=said), after("eager", corpus)
    assert said == ["the network is not compiled (no C++ compiler): it is trained as it is"]
    assert all(torch.equal(one, state.averaged[name]) for name, one in expected.averaged.items())


class Killed(Exception):
    pass


def killed_after(checkpoints: int):
    """A `measure` that ends the run right after a state was written."""
    left = [checkpoints]

    def measure(network):
        left[0] -= 1
        if not left[0]:
            raise Killed
        return {}

    return measure


@pytest.mark.parametrize(
    ("name", "how"), [("denoise-photo", "eager"), ("denoise-photo", "graph"), ("upscale-x4-vivid", "graph")]
)
def test_a_resumed_run_ends_where_an_unbroken_one_does_to_the_bit(name, how, corpus, tmp_path):
    """Broken off in the middle of a block of patches, and with whatever a recording keeps."""
    recipe = small(name, patch=8, batch=4, rate=0.01)
    options = {"resident": True, "how": how}
    unbroken, broken = tmp_path / "unbroken.safetensors", tmp_path / "broken.safetensors"
    trained(recipe, corpus, unbroken, 6, **options)
    with pytest.raises(Killed):
        trained(recipe, corpus, broken, 6, checkpoint_every=0, measure=killed_after(3), **options)
    trained(recipe, corpus, broken, 6, resume=broken.with_suffix(".state.safetensors"), **options)
    first, second = (load_file(out.with_suffix(".state.safetensors")) for out in (unbroken, broken))
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_an_opponent_learns_and_is_kept_with_the_state_but_not_with_the_weights(corpus, tmp_path):
    recipe = small("upscale-x4-vivid", patch=8)
    out = trained(recipe, corpus, tmp_path / "vivid.safetensors", 3)
    state = load_file(out.with_suffix(".state.safetensors"))
    fresh = State.fresh(recipe, "cpu").critic
    assert fresh
    opponent = {name.removeprefix("critic."): one for name, one in state.items() if name.startswith("critic.")}
    assert opponent.keys() == fresh.judge.state_dict().keys()
    assert not torch.equal(opponent["tail.weight"], fresh.judge.state_dict()["tail.weight"])
    written = load_checkpoint(out)
    assert not [name for name in written.tensors if "judge" in name or "critic" in name]
    assert written.name == "upscale-x4-vivid"
    assert written.header.recipe["adversarial"] == recipe.adversarial
    with pytest.raises(TrainingError, match="a state of 'upscale-x4-vivid', but 'upscale-x4-photo'"):
        trained(small("upscale-x4-photo", patch=8), corpus, out, 4, resume=out.with_suffix(".state.safetensors"))


def test_an_opponent_tells_photographs_from_what_is_blurred():
    """And a network that is to convince it is driven away from blur."""
    torch.manual_seed(0)
    critic, sharp = Critic("cpu", width=8), torch.rand(2, 3, 16, 16)
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    before = critic.mistaken(sharp, blurred).item()
    for group in critic.optimizer.param_groups:
        group["lr"] = 4e-3
    for _ in range(30):
        critic.optimizer.zero_grad()
        critic.mistaken(sharp, blurred).backward()
        critic.optimizer.step()
    assert critic.mistaken(sharp, blurred).item() < 0.6 * before
    assert critic.unconvinced(blurred) > critic.unconvinced(sharp)
    shown = blurred.clone().requires_grad_(True)
    critic.unconvinced(shown).backward()
    assert shown.grad is not None
    assert (shown.grad * (sharp - blurred)).sum() < 0  # towards the sharp ones
    assert all(parameter.requires_grad for parameter in critic.judge.parameters())
