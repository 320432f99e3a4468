"""An expert beside the weights that serve: what it begins with, and that all which was good stays as it was."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from tiled import assert_tiled_is_whole
from tiny_training import photos, small
from torch import nn

from deconvdemo.checkpoints.checkpoint import Checkpoint, Header, load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.feedback.events.records import TARGET, Pair
from deconvdemo.image.drawn import KINDS
from deconvdemo.networks.gated_expert import SHUT
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.flagged import Flagged
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.run.expert import GATED, with_expert, without_expert
from deconvdemo.training.run.hard_negatives import Search, hardest, highest_of
from deconvdemo.training.run.router_training import SURE, learn_gate, shut
from deconvdemo.training.samples.sample import Sample

CPU = Compute("cpu", "fp32", "a test")


def served(network: str = "DeconvUNet", task: str = "denoise", seed: int = 0, **config) -> Checkpoint:
    config = {**tiny.SIZES[network], **config}
    header = Header(network, config, task, config.get("scale", 1))
    return Checkpoint(header, tiny.network(network, seed, **config).state_dict(), "a" * 64, "test")


def small_denoiser(name: str) -> Checkpoint:
    assert name == "denoise-fast"
    return served(seed=1, widths=[4, 8])


def tensors_of(checkpoint: Checkpoint, part: str) -> dict[str, torch.Tensor]:
    found = {name: value for name, value in checkpoint.tensors.items() if name.startswith(f"{part}.")}
    return {name.removeprefix(f"{part}."): value for name, value in found.items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_denoisers_expert_begins_with_the_quick_one():
    parent = served()
    made = with_expert(parent, small_denoiser)
    assert equal(tensors_of(made, "base"), parent.tensors)
    assert equal(tensors_of(made, "expert"), small_denoiser("denoise-fast").tensors)
    assert (made.header.network, made.header.name, without_expert(made)) == (GATED, "denoise", "DeconvUNet")
    assert equal(made.tensors, with_expert(parent, small_denoiser).tensors)  # the gate goes by the seed alone
    assert not equal(made.tensors, with_expert(parent, small_denoiser, seed=1).tensors)


@pytest.mark.parametrize(("network", "task", "config"), [
    ("DeconvUNet", "inpaint", {}), ("DeconvSR", "upscale", {"scale": 3}),
])  # fmt: skip
def test_other_experts_begin_as_a_copy(network, task, config):
    parent = served(network, task, **config)
    made = with_expert(parent, small_denoiser)
    assert equal(tensors_of(made, "base"), parent.tensors)
    assert equal(tensors_of(made, "expert"), parent.tensors)
    seen = torch.rand(1, 3 + parent.network().side_channels, 20, 24)
    with torch.inference_mode():  # whatever the gate says, both are the same
        assert torch.allclose(made.network()(seen), parent.network()(seen), atol=1e-6)


def test_an_expert_learns_on_and_there_is_never_an_expert_of_an_expert():
    once = with_expert(served(), small_denoiser)
    assert with_expert(once, small_denoiser) is once
    fast = with_expert(small_denoiser("denoise-fast"), small_denoiser)
    made = with_expert(served(), lambda name: fast)  # the quick denoiser has been promoted with an expert of its own
    assert equal(tensors_of(made, "expert"), small_denoiser("denoise-fast").tensors)


def test_what_is_saved_of_the_bundled_weights_comes_back_to_the_bit(tmp_path):
    parent = Weights().load("upscale-x4")
    made = with_expert(parent, Weights().load)
    save_checkpoint(tmp_path / "made.safetensors", made.header, made.tensors)
    assert equal(tensors_of(load_checkpoint(tmp_path / "made.safetensors"), "base"), parent.tensors)


def graded(checkpoint: Checkpoint, inputs: torch.Tensor) -> Checkpoint:
    """With a gate that is shut in some places, open in others, and between at the borders."""
    logits = checkpoint.network().gate(inputs)
    last = [name for name in checkpoint.tensors if name.startswith("gate.")][-2:]
    weight, bias = (checkpoint.tensors[name] for name in last)
    steep = 8 / float(logits.max() - logits.min())
    changed = {last[0]: steep * weight, last[1]: steep * (bias - logits.median())}
    return replace(checkpoint, tensors={**checkpoint.tensors, **changed})


@pytest.mark.parametrize(("network", "task", "config"), [
    ("DeconvUNet", "denoise", {}), ("DeconvUNet", "inpaint", {}),
    ("DeconvSR", "upscale", {"scale": 2}), ("DeconvSR", "upscale", {"scale": 3}),
])  # fmt: skip
def test_tiles_equal_the_whole(network, task, config):
    parent = served(network, task, **config)
    made = with_expert(parent, lambda name: served(seed=1))
    made = replace(made, tensors={**made.tensors, **{
        f"expert.{name}": value for name, value in tiny.network(network, 3, **parent.header.config).state_dict().items()
    }})  # fmt: skip
    photo, mask = tiny.picture(150, 201), np.zeros((150, 201), bool)
    mask[40:60, 50:90] = True
    inputs = torch.cat([tiny.tensor(photo), torch.full((1, parent.network().side_channels, 150, 201), 0.1)], 1)
    made = graded(made, inputs[..., :144, :200])
    openings = (made.network().gate(inputs[..., :144, :200]) + 0.5).clamp(0, 1)
    assert {float(openings.min()), float(openings.max())} == {0.0, 1.0}
    given = mask if task == "inpaint" else None
    controls = {"scale": config["scale"]} if config else {"sigma": 25} if task == "denoise" else {}
    assert_tiled_is_whole(Restorer.of(made, CPU), task, [(photo, given, 64)], controls)


# ---- the gate


def test_a_gate_learns_what_is_flagged_and_leaves_the_rest(tmp_path):
    """Photos that are far too dark are flagged: the gate opens for them, and for nothing that the network knew."""
    rng = np.random.default_rng(0)
    clean = [np.roll(tiny.picture(96, 96), 9 * number, axis=1) for number in range(6)]
    pairs = tuple(Pair(str(number), TARGET, photo // 4, photo, sigma=5.0) for number, photo in enumerate(clean[:4]))
    corpus = Corpus.open([photos(tmp_path)], tmp_path / "cache", say=lambda text: None)
    recipe = small("denoise", patch=32, steps=40)
    start = with_expert(served(), small_denoiser)
    told: list[str] = []
    learned = learn_gate(start, recipe, corpus, Flagged(pairs), OneProcess("cpu"), told.append)
    assert equal(learned.tensors, learn_gate(start, recipe, corpus, Flagged(pairs), OneProcess("cpu")).tensors)
    assert {name for name in start.tensors if not torch.equal(start.tensors[name], learned.tensors[name])} <= {
        name for name in start.tensors if name.startswith("gate.")
    }
    network = learned.network()

    def opening(photo: np.ndarray, sigma: float) -> float:
        level = torch.full((1, 1, 96, 96), sigma / 255)
        with torch.no_grad():
            return float(network.opening(torch.cat([tiny.tensor(photo), level], dim=1)).mean())

    assert [one for one in told if one.endswith(f"and for none of {3 + 4 * len(KINDS)} others")] == told != []
    for photo in clean[4:]:
        noisy = np.clip(photo + rng.normal(0, 25, photo.shape), 0, 255).astype(np.uint8)
        assert opening(photo // 4, 5) > 0.6  # as drawn pictures may be dark, too, it is not sure of all
        assert opening(photo, 5) == 0
        assert opening(noisy, 25) == 0


# ---- what it opens for most


class Brightest(nn.Module):
    """A gate whose logits are the red channel's cells."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool2d(inputs[:, :1], 8)


def test_the_patches_that_a_gate_opens_for_most_are_found_wherever_they_are():
    lots = [torch.rand(6, 4, 16, 16, generator=torch.Generator().manual_seed(number)) / 2 for number in range(5)]
    lots[3][2, 0, 5, 9], lots[1][4, 0, 0, 0] = 0.9, 0.8
    assert highest_of(Brightest(), lots) == pytest.approx(0.9)
    found = hardest(Brightest(), lots, 2)
    assert torch.equal(found, torch.stack([lots[3][2], lots[1][4]]))
    before = torch.rand(1, 4, 16, 16) / 4
    before[0, 0, 7, 7] = 1.0
    assert torch.equal(hardest(Brightest(), lots, 2, before), torch.stack([before[0], lots[3][2]]))


def test_a_search_goes_through_the_whole_corpus_and_draws_beside_it(tmp_path):
    """Of photos that are 0, 1 and 2 everywhere each is seen, the large ones oftener, with noise and as they are."""
    for number, side in enumerate((40, 80, 120)):
        Image.fromarray(np.full((side, side, 3), 10 * number, np.uint8)).save(tmp_path / f"{number}.png")
    corpus = Corpus.open([tmp_path], tmp_path / "cache", say=lambda text: None)
    recipe = replace(small("denoise", patch=24), make_sample=lambda clean, *others: Sample(clean, clean))
    nothing = np.zeros((40, 40, 3), np.uint8)
    flagged = Flagged((Pair("f", TARGET, nothing, nothing, sigma=5.0),)).for_recipe(recipe)
    search = Search(recipe, flagged, "cpu")
    seen = [patch[:3] for inputs in search.patches(corpus, 0) for patch in inputs]
    assert search.photos(corpus) == 3 + 4 * len(KINDS)
    photos = seen[: -4 * len(KINDS)]
    flat = Counter(round(255 * float(patch.mean())) for patch in photos if patch.min() == patch.max())
    assert 0 < flat[0] <= flat[10] < flat[20]
    few = replace(search, most=2)
    assert len([patch for inputs in few.patches(corpus, 0) for patch in inputs]) == 2 + 4 * len(KINDS)


@pytest.mark.parametrize("highest", [-3.0, 0.0, 6.0])
def test_a_gate_is_shut_until_nothing_that_is_not_flagged_opens_it(highest, tmp_path):
    """However sure it is of one photo of the corpus that nobody flagged."""
    corpus = Corpus.open([photos(tmp_path)], tmp_path / "cache", say=lambda text: None)
    recipe = small("denoise", patch=24)
    clean = tiny.picture(48, 48)
    flagged = Flagged((Pair("f", TARGET, clean // 4, clean, sigma=5.0),)).for_recipe(recipe)
    gate = with_expert(served(), small_denoiser).network().gate
    for parameter in gate.parameters():
        parameter.zero_()
    gate.layers[-1].bias.fill_(highest)
    opening = shut(gate, Search(recipe, flagged, "cpu", most=4), corpus, None)
    assert float(gate.layers[-1].bias) == min(highest, SHUT - SURE)
    assert opening.shut_by == max(0.0, highest - (SHUT - SURE))
    assert opening.flagged == 0
    assert "something among them looks like what is flagged" in opening.told()
