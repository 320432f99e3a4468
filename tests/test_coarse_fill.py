"""The first guess that inpainting starts from."""

from __future__ import annotations

import pytest
import torch

from deconvdemo.networks.coarse_fill import CELL, REACH, coarse_fill
from deconvdemo.tasks import TASKS


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(1, 3, 45, 70, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def holes() -> torch.Tensor:
    holes = torch.zeros(1, 1, 45, 70)
    holes[..., 10:30, 20:50] = 1
    return holes


def test_known_pixels_stay_and_lost_ones_have_no_influence(image, holes):
    filled = coarse_fill(image, holes)
    assert torch.equal(filled[..., :10, :], image[..., :10, :])
    assert torch.equal(filled, coarse_fill(torch.where(holes > 0, torch.rand_like(image), image), holes))


def test_a_flat_field_is_continued(holes):
    flat = torch.full((1, 3, 45, 70), 0.6)
    assert torch.allclose(coarse_fill(flat * (1 - holes), holes), flat, atol=1e-5)


def test_the_guess_is_nearer_than_black_and_than_the_mean(holes):
    ramp = torch.linspace(0, 1, 70).expand(1, 3, 45, 70)
    lost = (holes > 0).expand_as(ramp)
    error = (coarse_fill(ramp * (1 - holes), holes) - ramp)[lost].square().mean()
    assert error < 0.2 * (ramp[lost] - ramp.mean()).square().mean()


def test_nothing_beyond_the_reach_is_looked_at():
    width = 4 * REACH
    image = torch.rand(1, 1, 8, width, generator=torch.Generator().manual_seed(1))
    holes = torch.zeros_like(image)
    middle = 2 * REACH
    holes[..., middle - 40 : middle + 40] = 1
    changed = image.clone()
    changed[..., : middle - REACH - CELL] += 1
    changed[..., middle + REACH + CELL :] += 1
    at = (..., slice(middle - 1, middle + 1))
    assert torch.equal(coarse_fill(image, holes)[at], coarse_fill(changed, holes)[at])
    near = image.clone()
    near[..., middle - 45] += 1
    assert not torch.equal(coarse_fill(image, holes)[at], coarse_fill(near, holes)[at])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (17, 4)])
def test_any_size_works(size):
    holes = torch.zeros(1, 1, *size)
    holes[..., 0, 0] = 1
    assert coarse_fill(torch.rand(1, 3, *size), holes).shape == (1, 3, *size)


def test_the_task_lets_tiles_overlap_and_align_accordingly():
    assert (TASKS["inpaint"].reach, TASKS["inpaint"].grid) == (REACH, CELL)
