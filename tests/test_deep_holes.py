"""Holes deeper than the network sees: filled from coarse to fine, by every law that shallow ones keep.

Smoothly, as was asked for: `test_large_holes.py` is about texture.
"""

from __future__ import annotations

import numpy as np
import pytest
from tiled import assert_tiled_is_whole
from tiny import picture

from deconvdemo.engine import coarse_to_fine, restorer
from deconvdemo.engine.restorer import Restorer

SIDE = 150


def hole(height: int = 201, width: int = 230, top: int = 20, left: int = 40, side: int = SIDE) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[top : top + side, left : left + side] = True
    mask[:3, :] = True  # and a scratch
    return mask


def filled(restorer: Restorer, photo: np.ndarray, mask: np.ndarray, **controls) -> np.ndarray:
    return restorer.restore("inpaint", photo, mask, **{"smooth": True, **controls}).photo.pixels


@pytest.mark.parametrize(
    ("dtype", "channels"), [(np.uint8, 3), (np.uint16, 3), (np.uint8, 1), (np.float32, 3)], ids=str
)
def test_what_is_lost_has_no_influence_and_what_is_known_does_not_move(restorer, dtype, channels):
    photo, mask = picture(201, 230, channels, dtype=dtype), hole()
    other = photo.copy()
    other[mask] = 0
    result = filled(restorer, photo, mask)
    np.testing.assert_array_equal(result, filled(restorer, other, mask))
    np.testing.assert_array_equal(result[~mask], photo[~mask])


def test_tiles_equal_the_whole(restorer):
    photo = picture(201, 230)  # and another: a level that differs in the coarse copy is four pixels of the photo
    cases = [(photo, hole(), 64), (photo[::-1].copy(), hole(left=60), 80)]
    assert_tiled_is_whole(restorer, "inpaint", cases, {"smooth": True})


def test_shallow_holes_are_filled_as_ever(restorer, monkeypatch):
    def never(*arguments):
        raise AssertionError("a shallow hole needs no coarser copy")

    mask = hole(side=2 * coarse_to_fine.DEEP)
    assert coarse_to_fine.middle_of(mask) is None
    monkeypatch.setattr("deconvdemo.engine.coarse_to_fine.halved", never)
    filled(restorer, picture(201, 230), mask)
    filled(restorer, picture(201, 230), hole(), strength=0)
    with pytest.raises(AssertionError):
        filled(restorer, picture(201, 230), hole())


def test_only_deep_holes_have_a_middle():
    mask = hole()
    mask[:, 200:220] = True  # a shallow hole that does not touch the deep one
    middle = coarse_to_fine.middle_of(mask)
    assert not middle[:, 200:].any()
    assert not middle[~mask].any()
    ring = coarse_to_fine.RING
    assert middle[20 + ring : 20 + SIDE - ring, 40 + ring : 40 + SIDE - ring].all()


def test_strength_is_between_the_photo_and_the_filling(restorer):
    photo, mask = picture(201, 230, dtype=np.float32), hole()
    nothing, half, all_ = (filled(restorer, photo, mask, strength=strength) for strength in (0, 0.5, 1))
    np.testing.assert_array_equal(nothing, photo)
    np.testing.assert_allclose(half, (photo + all_) / 2, atol=1e-5)


def test_progress_counts_up_and_ends_with_a_result(restorer):
    steps = list(restorer.steps("inpaint", picture(201, 230), hole(), smooth=True))
    assert all(isinstance(step, type(steps[0])) for step in steps[:-1])
    assert steps[-1].photo.pixels.shape == (201, 230, 3)


def test_almost_nothing_to_go_by_is_filled_all_the_same(restorer):
    mask = np.ones((180, 181), bool)
    mask[90, 90] = False
    assert coarse_to_fine.halved(picture(180, 181), mask) is None
    assert filled(restorer, picture(180, 181), mask).shape == (180, 181, 3)


def test_no_smear_is_left_in_the_middle_of_a_large_hole():
    """By the bundled weights: a wall with a soft light on it has no dark spot where the hole was."""
    rows, columns = np.mgrid[0:300, 0:320]
    wall = np.stack([150 + rows / 6, 120 + columns / 8, 110 + 0 * rows], axis=-1)
    photo, mask = wall.round().astype(np.uint8), np.zeros((300, 320), bool)
    mask[40:260, 60:280] = True
    result = filled(restorer.Restorer.load(device="cpu", precision="fp32"), photo, mask).astype(float)
    assert np.abs(result - wall)[mask].mean() < 6
    assert np.abs(result - wall)[mask].max() < 40
