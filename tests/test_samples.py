"""Training batches: what the network sees is what a file would hold, and a seed names every batch."""

import numpy as np
import pytest
import tiny
import torch

from deconvdemo.degradations import BicubicDownscale, quantised
from deconvdemo.tasks.denoise import UNKNOWN_SIGMA
from deconvdemo.training.samples import wild
from deconvdemo.training.samples.sample import downscaled, holed, noisy
from deconvdemo.training.samples.wild import photographed, shrunk

SCALES = {downscaled: 2, shrunk: 2}
every_sample = pytest.mark.parametrize(
    "make", [noisy, photographed, downscaled, shrunk, holed], ids=lambda make: make.__name__
)


def patches(count: int, side: int = 64) -> torch.Tensor:
    scene = tiny.tensor(tiny.picture(256, 256))
    rng = np.random.default_rng(5)
    corners = rng.integers(0, 256 - side + 1, (count, 2))
    return torch.cat([scene[..., top : top + side, left : left + side] for top, left in corners])


def made(make, clean: torch.Tensor, seed: int = 0):
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    return make(clean, SCALES.get(make, 1), rng, generator)


@every_sample
def test_a_batch_is_named_by_its_seeds_and_leaves_the_clean_patches_alone(make):
    clean = patches(8)
    before = clean.clone()
    once, again, other = made(make, clean), made(make, clean), made(make, clean, seed=1)
    assert torch.equal(clean, before)
    assert torch.equal(once.inputs, again.inputs)
    assert torch.equal(once.target, again.target)
    assert torch.equal(once.inputs, other.inputs) == (make is downscaled)  # which alone draws nothing


@every_sample
def test_input_and_target_are_of_matching_sizes(make):
    clean = patches(3, side=48)
    sample, scale = made(make, clean), SCALES.get(make, 1)
    assert sample.target.shape == clean.shape
    assert sample.inputs.shape[-2:] == (48 // scale, 48 // scale)
    assert sample.inputs.dtype == sample.target.dtype == torch.float32


@pytest.mark.parametrize("make", [downscaled, shrunk], ids=lambda make: make.__name__)
def test_small_photos_are_what_an_8_bit_file_holds(make):
    observed = made(make, patches(32)).inputs[:, :3]
    assert torch.equal(observed, quantised(observed))


def test_photos_are_what_an_8_bit_file_holds_but_for_some_of_the_literatures_noise():
    observed = made(photographed, patches(200, side=32)).inputs[:, :3]
    held = (observed == quantised(observed)).all(dim=(1, 2, 3)).float().mean()
    assert 0.8 < held < 0.95


def test_half_of_the_photos_are_shown_how_far_they_are_from_their_target():
    sample = made(photographed, patches(200, side=32))
    observed, level = sample.inputs[:, :3], sample.inputs[:, 3]
    assert (level == level[:, :1, :1]).all()
    level = level[:, 0, 0] * 255
    known = level >= 0
    assert level[~known].tolist() == pytest.approx([UNKNOWN_SIGMA] * int((~known).sum()))
    assert known.float().mean().item() == pytest.approx(0.5, abs=0.1)
    rms = (observed - sample.target).square().mean(dim=(1, 2, 3)).sqrt() * 255
    assert level[known].tolist() == pytest.approx(rms[known].tolist(), abs=1e-3)


def test_photos_are_as_noisy_as_people_have_them():
    """From untouched to night shots, most of them at a few grey levels."""
    clean = patches(300, side=32)
    sample = made(photographed, clean)
    rms = (sample.inputs[:, :3] - sample.target).square().mean(dim=(1, 2, 3)).sqrt() * 255
    low, middle, high = np.percentile(rms, [5, 50, 95])
    assert low < 4
    assert 3 < middle < 12
    assert 20 < high < 60


def test_only_soft_photos_have_a_soft_target():
    clean = patches(300, side=32)
    target = made(photographed, clean).target
    softened = (target != clean).any(dim=(1, 2, 3))
    assert 0.02 < softened.float().mean() < 0.15
    detail = lambda images: images.diff(dim=-1).abs().mean(dim=(1, 2, 3))
    assert (detail(target)[softened] < 0.95 * detail(clean)[softened]).all()
    assert (target - clean).abs().amax(dim=(1, 2, 3)).max() < 0.5  # soft, not noisy


@pytest.mark.parametrize("noise", list({**wild.NOISES, **wild.SMALL_NOISES}), ids=lambda noise: noise.__name__)
def test_every_kind_of_noise_keeps_a_patchs_mean_lightness(noise):
    clean = torch.full((64, 3, 32, 32), 0.5)
    seen = noise(np.random.default_rng(0), clean, torch.Generator().manual_seed(0))
    assert seen.shape == clean.shape
    assert (seen.mean(dim=(1, 2, 3)) - 0.5).abs().mean() < 0.01


def test_small_photos_are_from_clean_to_poor_and_half_are_shown_how_poor():
    clean = patches(200, side=48)
    sample = made(shrunk, clean)
    assert torch.equal(sample.target, clean)
    plain = quantised(BicubicDownscale(2)(clean))
    far = (sample.inputs[:, :3] - plain).square().mean(dim=(1, 2, 3)).sqrt() * 255
    assert 0.02 < (far == 0).float().mean() < 0.25
    assert 2 < far.median() < 12
    level = sample.inputs[:, 3, 0, 0] * 255
    known = level >= 0
    assert known.float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert level[known].tolist() == pytest.approx(far[known].tolist(), abs=1e-3)
    assert level[~known].tolist() == pytest.approx([UNKNOWN_SIGMA] * int((~known).sum()))


def test_small_photos_stay_where_they_are():
    """Whatever resized and compressed them: enlarged, they lie on the clean ones, not beside them."""
    clean = patches(64, side=64)
    small = made(shrunk, clean).inputs[:, :3]
    plain = BicubicDownscale(2)(clean)
    shifted = [plain.roll(by, dims=-1) for by in (-1, 0, 1)]
    far = [(small - one)[..., 2:-2].square().mean().item() for one in shifted]
    assert far[1] < 0.5 * min(far[0], far[2])
    assert far[0] == pytest.approx(far[2], rel=0.1)
