"""Training learns, stops and goes on to the bit, and never leaves a half-written file."""

import json
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_training import photos, small, trained

from deconvdemo.bicubic import resize
from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.degradations.holes import KINDS, random_masks
from deconvdemo.errors import CheckpointError, TrainingError
from deconvdemo.networks import NETWORKS
from deconvdemo.training.data.batches import Batches
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.recipes import RECIPES, Recipe
from deconvdemo.training.run.fit import WARM_UP, fit, learning_rate
from deconvdemo.training.run.losses import loss_and_weight
from deconvdemo.training.run.plan import Budget, Run
from deconvdemo.training.run.state import State
from deconvdemo.training.run.writer import Output


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = photos(tmp_path_factory.mktemp("photos"))
    return Corpus.open([folder], tmp_path_factory.mktemp("cache"), say=lambda text: None)


def state_of(out: Path) -> Path:
    return out.with_suffix(".state.safetensors")


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in out.with_suffix(".log.jsonl").read_text().splitlines()]


# one with an opponent makes something else small
@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if not recipe.adversarial])
def test_a_small_network_learns(name, corpus, tmp_path):
    out = tmp_path / f"{name}.safetensors"
    # the learning rate is made up for the warm-up, of which a run this short sees only the beginning; upscaling begins
    # as good as bicubic: it is better soon, but not by as much
    sr = RECIPES[name].network == "DeconvSR"
    recipe, enough = (small(name, rate=0.04, patch=16), 0.97) if sr else (small(name, rate=0.02), 0.85)
    enough = 0.9 if name == "denoise-photo" else enough  # a seventh of its patches is to stay as it is
    trained(recipe, corpus, out, 60)
    # judged on the same batches: masks and sigmas differ so much from step to step that losses in the log say little
    before, after = (mean_loss(recipe, corpus, tensors) for tensors in (None, load_checkpoint(out).tensors))
    assert after < enough * before


def mean_loss(recipe: Recipe, corpus: Corpus, tensors) -> float:
    """Over eight batches that training did not see, of the network as it starts or with these weights."""
    torch.manual_seed(recipe.seed)
    network = NETWORKS[recipe.network](**recipe.config)
    if tensors is not None:
        network.load_state_dict(tensors)
    found = []
    for number in range(8):
        rng, generator = np.random.default_rng([99, number]), torch.Generator().manual_seed(number)
        crops = corpus.crops(rng, recipe.batch, recipe.patch * recipe.scale)
        clean = torch.from_numpy(crops).permute(0, 3, 1, 2) / 255
        sample = recipe.make_sample(clean, recipe.scale, rng, generator)
        with torch.no_grad():
            total, weight = loss_and_weight(network(sample.inputs), sample, recipe.phases[0].loss)
        found.append(total.item() / weight.item())
    return float(np.mean(found))


def test_the_header_tells_everything(corpus, tmp_path):
    out = tmp_path / "made" / "upscale-x3.safetensors"
    recipe = small("upscale-x3")
    trained(recipe, corpus, out, 2, measure=lambda network: {"set5 ×3 PSNR": 31.5})
    header = load_checkpoint(out).header
    assert (header.name, header.network, header.task, header.scale) == ("upscale-x3", "DeconvSR", "upscale", 3)
    assert header.config == recipe.config
    assert header.data == ["synthetic: CC0"]
    assert header.recipe["steps"] == 2
    assert header.recipe["minutes"] >= 0
    assert {"patch", "batch", "rate", "average", "loss", "seed"} <= set(header.recipe)
    assert header.measured == {"set5 ×3 PSNR": 31.5}
    assert header.licence
    assert header.created


class Stopped(Exception):
    pass


def stop_after(steps: int):
    """A `measure` that ends the run, as Ctrl-C would, right after the state of that step was written."""
    seen = []

    def measure(network):
        seen.append(network)
        if len(seen) == steps:
            raise Stopped
        return {}

    return measure


@pytest.mark.parametrize("name", ["denoise", "inpaint", "upscale-x2"])
@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
def test_a_resumed_run_ends_where_an_unbroken_one_does_to_the_bit(name, bf16, corpus, tmp_path):
    recipe, unbroken, broken = small(name), tmp_path / "unbroken.safetensors", tmp_path / "broken.safetensors"
    trained(recipe, corpus, unbroken, 10, bf16=bf16)
    with pytest.raises(Stopped):
        trained(recipe, corpus, broken, 10, bf16=bf16, checkpoint_every=0, measure=stop_after(5))
    assert not broken.exists()
    trained(recipe, corpus, broken, 10, bf16=bf16, resume=state_of(broken))
    first, second = load_file(state_of(unbroken)), load_file(state_of(broken))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    tensors = [load_checkpoint(path).tensors for path in (unbroken, broken)]
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])


def test_a_run_that_used_its_budget_resumes_to_the_same_weights(corpus, tmp_path):
    recipe, out = small("denoise"), tmp_path / "denoise.safetensors"
    trained(recipe, corpus, out, 3)
    before = load_checkpoint(out).tensors
    trained(recipe, corpus, out, 3, resume=state_of(out))
    assert all(torch.equal(before[name], tensor) for name, tensor in load_checkpoint(out).tensors.items())


def test_a_seed_names_the_run(corpus, tmp_path):
    outs = [tmp_path / f"{number}.safetensors" for number in range(3)]
    for out, seed in zip(outs, (0, 0, 1), strict=True):
        trained(small("upscale-x2", seed=seed), corpus, out, 3)
    weights = [load_checkpoint(out).tensors["head.weight"] for out in outs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_states_of_no_use_are_refused(corpus, tmp_path):
    out = trained(small("denoise"), corpus, tmp_path / "denoise.safetensors", 1)
    text = tmp_path / "notes.safetensors"
    text.write_text("no tensors in here")
    half = tmp_path / "half.state.safetensors"
    half.write_bytes(state_of(out).read_bytes()[: state_of(out).stat().st_size // 2])
    again = tmp_path / "again.safetensors"
    for recipe, state, says in (
        (small("inpaint"), state_of(out), "is a state of 'denoise', but 'inpaint' is to be trained"),
        (small("denoise", config={"widths": [4, 8], "blocks": 1}), state_of(out), "a state of another network"),
        (small("denoise", optimizer="adam"), state_of(out), "a state of other optimizers: resume it with the same"),
        (small("denoise"), half, "half.state.safetensors is not a state to resume from .*: give a whole"),
        (small("denoise"), text, "notes.safetensors is not a state to resume from"),
        (small("denoise"), tmp_path / "missing.safetensors", "is not a state to resume from"),
        (small("denoise"), tmp_path, "is not a state to resume from"),
        (small("denoise"), out, "denoise.safetensors is not a state"),
    ):
        with pytest.raises(TrainingError, match=says):
            trained(recipe, corpus, again, 2, resume=state)
    assert not again.exists()


def test_a_full_disk_leaves_the_earlier_state(corpus, tmp_path):
    recipe, out = small("denoise"), tmp_path / "denoise.safetensors"
    trained(recipe, corpus, out, 2)
    before = state_of(out).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))  # no larger file can be written
    try:
        with pytest.raises(TrainingError, match=r"cannot be written .* the state before it is intact"):
            trained(recipe, corpus, out, 4, resume=state_of(out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert state_of(out).read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {state_of(out).name, out.name, "denoise.log.jsonl"}
    trained(recipe, corpus, out, 4, resume=state_of(out))


def test_a_warm_start_takes_the_tensors_that_fit(corpus, tmp_path):
    given = trained(small("denoise"), corpus, tmp_path / "denoise.safetensors", 2)
    said: list[str] = []
    out = tmp_path / "inpaint.safetensors"
    trained(small("inpaint", rate=0.0), corpus, out, 1, start_from=given, say=said.append)
    assert "tensors start from" in said[0]
    for name, tensor in load_checkpoint(given).tensors.items():
        assert torch.equal(tensor, load_checkpoint(out).tensors[name])
    with pytest.raises(TrainingError, match=r"no tensor of .* fits"):
        trained(small("upscale-x2"), corpus, out, 1, start_from=given)
    with pytest.raises(CheckpointError):
        trained(small("denoise"), corpus, out, 1, start_from=tmp_path / "missing.safetensors")


def test_another_scale_starts_with_the_same_deconvolution(corpus, tmp_path):
    given = trained(small("upscale-x2"), corpus, tmp_path / "x2.safetensors", 2)
    recipes = {scale: small(f"upscale-x{scale}") for scale in (2, 3, 4)}
    states = {scale: State.fresh(recipe, "cpu") for scale, recipe in recipes.items()}
    image = Batches(recipes[2], corpus, OneProcess("cpu")).sample(0).inputs

    def mean_corrections() -> list[torch.Tensor]:
        """What each network adds to bicubic, averaged over each pixel of the small image."""
        with torch.no_grad():
            added = {scale: state.averaged_network()(image) - resize(image, scale) for scale, state in states.items()}
        return [torch.nn.functional.avg_pool2d(correction, scale) for scale, correction in added.items()]

    _, *fresh = mean_corrections()
    for state in states.values():
        state.start_from(given, lambda text: None)
    of_two, *others = mean_corrections()
    for started, before in zip(others, fresh, strict=True):
        assert (started - of_two).norm() < 0.2 * of_two.norm()
        assert (before - of_two).norm() > 0.5 * of_two.norm()


def test_a_loss_that_is_not_finite_stops_the_run(corpus, tmp_path):
    with pytest.raises(TrainingError, match=r"the loss became .* lower --rate"):
        trained(small("upscale-x2", rate=1e30), corpus, tmp_path / "x2.safetensors", 20)


def test_images_smaller_than_the_patches_are_refused(corpus, tmp_path):
    with pytest.raises(TrainingError, match="smaller than the 320×320 patches"):
        trained(small("upscale-x4", patch=80), corpus, tmp_path / "x4.safetensors", 1)


def test_minutes_count_those_of_earlier_runs(corpus, tmp_path):
    recipe, out = small("denoise"), tmp_path / "denoise.safetensors"
    run, quiet = Run(recipe, corpus, Budget(minutes=0.0001), bf16=False), lambda text: None
    fit(run, Output(out), quiet)
    steps = load_checkpoint(out).header.recipe["steps"]
    assert steps >= 1
    fit(replace(run, resume=state_of(out)), Output(out), quiet)
    assert load_checkpoint(out).header.recipe["steps"] == steps


def test_the_rate_rises_and_then_falls_to_zero():
    assert learning_rate(1.0, 0, 0.0) == pytest.approx(1 / WARM_UP)
    assert learning_rate(1.0, WARM_UP, 0.0) == 1
    assert learning_rate(1.0, WARM_UP, 0.5) == pytest.approx(0.5)
    assert learning_rate(1.0, WARM_UP, 1.0) == learning_rate(1.0, WARM_UP, 1.2) == 0


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: kind.__name__)
def test_holes_are_of_every_kind(kind):
    rng = np.random.default_rng(0)
    shares = [kind(rng, 64).mean() for _ in range(20)]
    assert 0 < np.mean(shares) < 0.9


@pytest.mark.parametrize("size", [24, 64, 128])
def test_holes_are_never_nothing_and_never_everything(size):
    masks = random_masks(np.random.default_rng(1), 40, size)
    assert masks.shape == (40, size, size)
    assert set(np.unique(masks)) == {0, 1}
    assert all(0.005 < mask.mean() < 0.85 for mask in masks)
