"""Patches drawn on a device: cut by indices, degraded without waiting for it, the same again after a resume."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import tiny
import torch
from tiny_training import photos, small
from waits import Waits

from deconvdemo.degradations import BlockJpeg, GaussianBlur, Jpeg
from deconvdemo.training.data.batches import Batches
from deconvdemo.training.data.blocks import Blocks
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.data.resident import Resident
from deconvdemo.training.recipes import RECIPES
from deconvdemo.training.samples import wild
from deconvdemo.training.samples.sample import MANY


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = photos(tmp_path_factory.mktemp("photos"))
    return Corpus.open([folder], tmp_path_factory.mktemp("cache"), say=lambda text: None, reduced=(0.5,))


def blocks(name: str, corpus: Corpus, **changes) -> Blocks:
    recipe = small(name, **changes)
    return Blocks(recipe, Resident.of(corpus.large_enough(recipe.patch * recipe.scale), "cpu"), "cpu")


def turned(square: np.ndarray) -> list[bytes]:
    """A square in its eight positions."""
    return [
        np.ascontiguousarray(np.rot90(one, turn)).tobytes() for one in (square, square[:, ::-1]) for turn in range(4)
    ]


def test_a_patch_is_a_place_of_the_corpus_in_one_of_eight_positions():
    """Every place, and every position of each, comes up."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (6, 5, 3), np.uint8), rng.integers(0, 256, (4, 7, 3), np.uint8)]
    flat = np.concatenate([image.ravel() for image in images])
    shapes = np.array([image.shape[:2] for image in images])
    corpus = Corpus((flat,), shapes, np.array([(0, 0), (0, images[0].size)]))
    crops = Resident.of(corpus, "cpu").crops(np.random.default_rng(1), 3000, 4)
    found = [(crop.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy().tobytes() for crop in crops]
    there_are = {
        position
        for image in images
        for y in range(image.shape[0] - 3)
        for x in range(image.shape[1] - 3)
        for position in turned(image[y : y + 4, x : x + 4])
    }
    assert set(found) == there_are
    assert len(there_are) == 8 * (3 * 2 + 1 * 4)
    first = {one for y in range(3) for x in range(2) for one in turned(images[0][y : y + 4, x : x + 4])}
    assert np.mean([one in first for one in found]) == pytest.approx(30 / 58, abs=0.03)  # as its share of the pixels


def test_every_source_of_a_corpus_is_there(corpus):
    resident = Resident.of(corpus, "cpu")
    assert len(resident.pixels) == corpus.shapes.prod(axis=1).sum()
    for number, start in enumerate(resident.starts):
        height, width = corpus.shapes[number]
        pixels = resident.pixels[start : start + height * width, :3].view(height, width, 3)
        assert np.array_equal(pixels.numpy(), corpus.image(number))


@pytest.mark.parametrize("name", ["denoise-photo", "upscale-x2-photo", "inpaint"])
def test_a_resumed_run_draws_what_an_unbroken_one_would(name, corpus):
    drawn = blocks(name, corpus)
    assert drawn.steps > 2
    unbroken = list(islice(drawn.following(0), drawn.steps + 2))
    for step in (1, drawn.steps, drawn.steps + 1):
        resumed = next(drawn.following(step))
        for one, other in ((resumed, unbroken[step]), (drawn.sample(step), unbroken[step])):
            assert torch.equal(one.inputs, other.inputs)
            assert torch.equal(one.target, other.target)
            assert one.weight is None or torch.equal(one.weight, other.weight)
    assert not torch.equal(unbroken[0].target, unbroken[1].target)
    assert not torch.equal(unbroken[0].target, unbroken[drawn.steps].target)
    assert not torch.equal(unbroken[0].target, next(blocks(name, corpus, seed=1).following(0)).target)


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_block_has_the_shapes_of_batches(name, corpus):
    drawn = blocks(name, corpus, patch=8)
    here, there = drawn.sample(0), Batches(drawn.recipe, corpus, OneProcess("cpu")).sample(0)
    assert here.inputs.shape == there.inputs.shape
    assert here.target.shape == there.target.shape
    assert (here.weight is None) == (there.weight is None)
    assert here.inputs.dtype == here.target.dtype == torch.float32


def test_waits_are_seen():
    with Waits() as waits:
        numbers = torch.arange(3.0)
        numbers[numbers > 1].sum().item()
    assert waits.seen == {"index", "_local_scalar_dense"}


@pytest.mark.parametrize("name", list(RECIPES))
def test_drawing_never_waits_for_the_device(name, corpus, monkeypatch):
    monkeypatch.setattr(wild, "Jpeg", BlockJpeg)  # as on a GPU; GaussianBlur is one of matrices up to SMALL here
    drawn = blocks(name, corpus, patch=16)
    drawn.block(0)  # what is made once, such as filters and painted holes, is brought there once
    with Waits() as waits:
        drawn.block(1)
    assert not waits.seen


def test_many_holes_are_of_the_kinds_that_few_are(corpus):
    """Their shares of the patches, which tell scratches from lost pixels, are spread alike."""
    few = np.sort(
        [Batches(small("inpaint"), corpus, OneProcess("cpu")).sample(step).weight.mean() for step in range(60)]
    )
    drawn = blocks("inpaint", corpus, batch=4 * MANY)
    many = np.sort(drawn.block(0).weight.view(MANY, 4, -1).mean(dim=(1, 2)).numpy())
    assert np.percentile(many, [25, 50, 75]) == pytest.approx(np.percentile(few, [25, 50, 75]), abs=0.06)
    masks = drawn.block(1).weight.flatten(1)
    assert len(masks.unique(dim=0)) > 0.95 * len(masks)


def scene(count: int = 6, side: int = 40) -> torch.Tensor:
    picture = tiny.tensor(tiny.picture(160, 160))
    return torch.cat([picture[..., 17 * n : 17 * n + side, 11 * n : 11 * n + side] for n in range(count)])


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("place", [(0, 0), (5, 11)])
def test_a_jpeg_without_a_file_loses_what_a_file_does(subsampling, place):
    clean = scene()
    quality = torch.tensor([30.0, 50, 70, 85, 92, 96]).view(-1, 1, 1, 1)
    file, block = (kind(quality, subsampling, *place)(clean) for kind in (Jpeg, BlockJpeg))
    assert torch.equal((block * 255).round() / 255, block)
    assert (block - file).abs().median() == 0
    for one, other, before in zip(file, block, clean, strict=True):
        lost, differs = (one - before).square().mean().sqrt(), (one - other).square().mean().sqrt()
        assert differs < 0.4 * lost + 0.7 / 255  # within a rounding; else only where a coefficient fell the other way


def test_each_patch_has_a_jpeg_of_its_own():
    clean = scene(3)
    parameters = torch.tensor([90, 40, 70]), torch.tensor([0, 2, 1]), torch.tensor([0, 3, 9]), torch.tensor([0, 8, 15])
    together = BlockJpeg(*parameters)(clean)
    for number in range(3):
        alone = BlockJpeg(*(one[number : number + 1] for one in parameters))(clean[number : number + 1])
        # one processor sums in another order for another number of patches: a coefficient may round the other way
        assert (together[number] - alone[0]).abs().mean() < 0.2 / 255


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (16, 9), (33, 40)])
def test_a_blur_of_each_image_is_the_one_blur_of_its_sigma(size):
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0))
    sigmas = (0.0, 0.7, 2.3)
    together = GaussianBlur(torch.tensor(sigmas).view(-1, 1, 1, 1))(images)
    for image, sigma, blurred in zip(images, sigmas, together, strict=True):
        # that of one number leaves out what is farther than three sigmas, or than the image's own size
        near = 0.01 if min(size) > 4 * sigma else 1.0
        assert (GaussianBlur(sigma)(image[None])[0] - blurred).abs().max() < near
    assert torch.allclose(
        GaussianBlur(torch.tensor(1.0).view(1, 1, 1, 1))(torch.ones(1, 1, 9, 9)), torch.ones(1, 1, 9, 9)
    )
