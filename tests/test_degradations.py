"""y = A(x) + n: each degradation is what its name and numbers say, and the seed names it exactly."""

import pytest
import tiny
import torch

from deconvdemo.degradations import BicubicDownscale, GaussianNoise, Holes, quantised


def seeded(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_noise_has_the_sigma_asked_for_and_is_not_clipped(sigma):
    clean = torch.ones(1, 3, 128, 128)
    noise = GaussianNoise(sigma)(clean, seeded()) - clean
    assert noise.std().item() * 255 == pytest.approx(sigma, rel=0.02)
    assert noise.mean().item() * 255 == pytest.approx(0, abs=0.02 * sigma)
    assert (noise > 0).float().mean().item() == pytest.approx(0.5, abs=0.02)  # a clipped image would have none


def test_each_image_of_a_batch_may_have_a_sigma_of_its_own():
    sigmas = torch.tensor([0.0, 10.0, 40.0]).view(-1, 1, 1, 1)
    noise = GaussianNoise(sigmas)(torch.zeros(3, 3, 64, 64), seeded())
    assert (noise.std(dim=(1, 2, 3)) * 255).tolist() == pytest.approx([0, 10, 40], rel=0.05)


def test_a_seed_names_the_noise():
    clean = tiny.tensor(tiny.picture(16, 16))
    once, again = (GaussianNoise(25)(clean, seeded(3)) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, GaussianNoise(25)(clean, seeded(4)))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_downscaling_crops_what_does_not_divide(scale):
    clean = tiny.tensor(tiny.picture(41, 29))
    shrink = BicubicDownscale(scale)
    cropped = shrink.crop(clean)
    assert cropped.shape[-2:] == (41 // scale * scale, 29 // scale * scale)
    assert torch.equal(cropped, clean[..., : cropped.shape[-2], : cropped.shape[-1]])
    assert shrink(clean).shape == (1, 3, 41 // scale, 29 // scale)
    assert torch.equal(shrink(clean), shrink(cropped))


def test_holes_lose_what_they_cover_and_nothing_else():
    clean, mask = tiny.tensor(tiny.picture(8, 9)) + 0.1, torch.zeros(1, 1, 8, 9)
    mask[..., 2:5, 3:7] = 1
    observed = Holes(mask)(clean)
    inside = mask.bool().expand_as(clean)
    assert (observed[inside] == 0).all()
    assert torch.equal(observed[~inside], clean[~inside])
    assert torch.equal(Holes(mask)(observed), observed)


def test_quantised_is_what_a_png_would_hold():
    values = torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.7, 100.4 / 255, 100.6 / 255])
    assert (quantised(values) * 255).tolist() == pytest.approx([0, 0, 128, 255, 255, 100, 101], abs=1e-4)
