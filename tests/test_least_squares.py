"""The last deconvolution in closed form."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from tiny_training import photos, small, trained

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.errors import TrainingError
from deconvdemo.networks import DeconvSR, DeconvUNet
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.run.least_squares import solve_last
from deconvdemo.training.run.plan import Budget, Run
from deconvdemo.training.samples.sample import Sample


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = photos(tmp_path_factory.mktemp("photos"))
    return Corpus.open([folder], tmp_path_factory.mktemp("cache"), say=lambda text: None)


def samples_of(network: torch.nn.Module) -> Iterator[Sample]:
    generator = torch.Generator().manual_seed(1)
    while True:
        inputs = torch.rand(2, 3, 20, 20, generator=generator)
        yield Sample(inputs, network(inputs).detach())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_kernel_that_explains_everything_is_found(scale):
    torch.manual_seed(0)
    network = DeconvSR(scale, channels=8, depth=2)
    right = copy.deepcopy(network)
    right.upsample.weight.data.normal_(std=0.05)
    solve_last(network, samples_of(right), 8)
    torch.testing.assert_close(network.upsample.weight, right.upsample.weight, atol=1e-3, rtol=0)


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(TrainingError, match="only DeconvSR's"):
        solve_last(DeconvUNet(widths=[4, 8], blocks=1), samples_of(torch.nn.Identity()), 1)


def test_a_trunk_serves_another_scale_without_steps(corpus, tmp_path):
    """What `--start-from upscale-x2 --solve-last` is for: better than the kernel that is stretched."""
    two = load_checkpoint(trained(small("upscale-x2", patch=16), corpus, tmp_path / "upscale-x2.safetensors", 5))
    recipe = small("upscale-x3", patch=32)
    found = {}
    for batches in (0, 6):
        out = tmp_path / f"{batches}" / "upscale-x3.safetensors"
        found[batches] = load_checkpoint(trained(recipe, corpus, out, 1, start_from=two, solving=batches))
    assert found[6].header.recipe["last layer solved on batches"] == 6
    assert "last layer solved on batches" not in found[0].header.recipe
    gained = decibels(found[6].network(), recipe, corpus) - decibels(found[0].network(), recipe, corpus)
    assert gained > 0.3


def decibels(network: torch.nn.Module, recipe, corpus: Corpus) -> float:
    """The mean PSNR of patches that neither the steps nor the solving saw."""
    batches = Run(replace(recipe, seed=5), corpus, Budget(steps=1)).batches()
    errors = [(network(one.inputs) - one.target).square().mean((1, 2, 3)) for one in map(batches.sample, range(4))]
    return float(-10 * torch.cat(errors).log10().mean())


def test_several_processes_are_refused(corpus, tmp_path):
    class Two(OneProcess):
        count = 2

    with pytest.raises(TrainingError, match="by one process"):
        trained(small("upscale-x2"), corpus, tmp_path / "upscale-x2.safetensors", 1, team=Two("cpu"), solving=1)
