"""Holes to train on are those that photographs have; and what was under a hole reaches no network."""

import cv2
import numpy as np
import pytest
import tiny
import torch

from deconvdemo.checkpoints.index import INDEX, bundled_folder, read_index
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.degradations.holes import KINDS, blocks, brush, pixels, random_masks, scratches, writing
from deconvdemo.tasks import TASKS
from deconvdemo.training.samples.sample import holed

BUNDLED = [name for name in read_index(bundled_folder() / INDEX) if name.partition("-")[0] == "inpaint"]
# pixels to the nearest known one, of half and of 99 % of a kind's hole pixels, in photos of 480×320: ranges
DEPTHS = {
    scratches: ((1, 2.5), (2.5, 7)),
    writing: ((1, 2.5), (1.5, 7)),
    blocks: ((4, 10), (15, 35)),
    brush: ((4, 10), (15, 35)),
    pixels: ((1, 1.5), (1, 4)),
}


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: kind.__name__)
def test_holes_are_as_deep_as_those_of_their_kind(kind):
    rng = np.random.default_rng(0)
    masks = [kind(rng, 128) for _ in range(150)]
    depths = np.concatenate([cv2.distanceTransform(mask, cv2.DIST_L2, 5)[mask > 0] for mask in masks])
    for share, (least, most) in zip((50, 99), DEPTHS[kind], strict=True):
        assert least <= np.percentile(depths, share) <= most


def test_some_blocks_are_a_quarter_of_the_patch():
    rng = np.random.default_rng(0)
    largest = max(
        cv2.connectedComponentsWithStats(mask)[2][1:, cv2.CC_STAT_AREA].max() for mask in random_masks(rng, 300, 64)
    )
    assert largest > 0.2 * 64 * 64


def test_most_hole_pixels_are_of_holes_that_need_structure():
    """Thin holes are soon learned; the loss counts pixels, so that deep ones weigh most."""
    masks = random_masks(np.random.default_rng(0), 400, 128)
    depths = np.concatenate([cv2.distanceTransform(mask, cv2.DIST_L2, 5)[mask > 0] for mask in masks])
    assert 0.3 < (depths > 4).mean() < 0.7
    assert 0.1 < masks.mean() < 0.25


def observed_and_holes(side: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    clean = tiny.tensor(tiny.picture(side, side))
    masks = random_masks(np.random.default_rng(2), 6, side)
    return clean.expand(6, 3, side, side), torch.from_numpy(masks)[:, None].float()


def test_training_shows_the_network_what_the_task_shows_it():
    clean = observed_and_holes()[0]
    sample = holed(clean, 1, np.random.default_rng(0), torch.Generator())
    assert torch.equal(sample.inputs, TASKS["inpaint"].inputs(clean, sample.weight, {}))


@pytest.mark.skipif(not BUNDLED, reason="no weights are bundled yet")
@pytest.mark.parametrize("name", BUNDLED)
def test_what_is_under_a_hole_reaches_no_bundled_network(name):
    network = Weights().load(name).network()
    clean, holes = observed_and_holes()
    secret = torch.where(holes > 0, torch.rand(clean.shape, generator=torch.Generator().manual_seed(1)), clean)
    seen = torch.where(holes > 0, clean, clean.roll(1, dims=-1))
    with torch.inference_mode():
        as_is, hidden, known = (network(TASKS["inpaint"].inputs(images, holes, {})) for images in (clean, secret, seen))
    assert torch.equal(as_is, hidden)
    inside = holes.expand_as(clean) > 0
    assert not torch.equal(as_is[inside], known[inside])  # what is around the holes does
