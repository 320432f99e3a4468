"""Holes deeper than the network continues: texture copied from the photo, where that suits, and the user is told."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tiled import assert_tiled_is_whole

from deconvdemo.engine import exemplars, large_holes
from deconvdemo.engine.admission import Asker, asked_by
from deconvdemo.engine.coarse_to_fine import depth_of
from deconvdemo.engine.exemplars import exemplar_fill
from deconvdemo.engine.restoration import Restoration
from deconvdemo.errors import LeftError
from deconvdemo.evaluation.hole_figures import hole_figures
from deconvdemo.image.fog import gradient_ratio
from deconvdemo.image.photo import Photo
from deconvdemo.tasks.inpaint import CONTINUED

SEAM_SIDE = 2 * large_holes.SEAM + 1
COPIED, SMOOTH = "copied from elsewhere", "is smooth"


def texture(height: int = 97, width: int = 110, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    """Grain of a fixed seed, as coarse as a plaster's."""
    rng = np.random.default_rng(5)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width, channels)), (0, 0), 1.0).reshape(height, width, -1)
    unit = np.clip(0.5 + 0.3 * grain, 0, 1)
    return unit.astype(np.float32) if dtype is np.float32 else (unit * np.iinfo(dtype).max).round().astype(dtype)


def hole(height: int = 97, width: int = 110, side: int = 40, top: int = 27, left: int = 33) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def fog(photo: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """As a network's smooth filling is: float32 with the mean in the holes."""
    image = photo.astype(np.float32) / 255
    image[holes] = image[~holes].mean(axis=0)
    return image


def filled(image: np.ndarray, holes: np.ndarray, usable: np.ndarray, seed: int = 0) -> np.ndarray | None:
    steps = exemplar_fill(image, holes, usable, seed)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def colours(pixels: np.ndarray) -> set[tuple]:
    return set(map(tuple, pixels.reshape(-1, pixels.shape[-1]).tolist()))


@pytest.mark.parametrize("largest", [exemplars.LARGEST, 4000], ids=["at its size", "from a smaller working scale"])
def test_a_filling_is_of_the_usable_pixels_alone_and_has_their_texture(monkeypatch, largest):
    monkeypatch.setattr(exemplars, "LARGEST", largest)
    photo, holes = texture(), hole()
    image, usable = fog(photo, holes), ~holes
    usable[:, :12] = False  # as what nobody sees
    values = filled(image, holes, usable)
    assert values is not None
    assert colours(values) <= colours(image[usable])
    result = image.copy()
    result[holes] = values
    around = ~holes & usable
    assert gradient_ratio(image, holes, around) < 0.05
    assert 0.5 < gradient_ratio(result, holes, around) < 2


def test_the_same_seed_gives_the_same_filling():
    holes = hole()
    image = fog(texture(), holes)
    once, again, other = (filled(image, holes, ~holes, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_the_guide_tells_which_of_two_textures_is_where():
    """The left half of the photo is dark, the right one bright, and so is the filling."""
    photo, holes = texture() // 3, hole()
    photo[:, 55:] += 160
    image = photo.astype(np.float32) / 255
    image[holes] = np.where(np.arange(110) < 55, 0.17, 0.8)[None, :, None].repeat(97, 0).repeat(3, 2)[holes]
    result = image.copy()
    result[holes] = filled(image, holes, ~holes)
    assert result[holes & (np.arange(110) < 51)].mean() < 0.3
    assert result[holes & (np.arange(110) > 58)].mean() > 0.7


def test_where_too_little_is_known_nothing_is_copied():
    holes = np.ones((60, 60), bool)
    holes[:, :5] = False
    assert filled(fog(texture(60, 60), holes), holes, ~holes) is None


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 1), (np.float32, 3)], ids=str)
def test_known_pixels_stay_and_lost_ones_have_no_influence(restorer, dtype, channels):
    photo, holes = texture(channels=channels, dtype=dtype), hole()
    other = photo.copy()
    other[holes] = 0
    found = restorer.restore("inpaint", photo, holes)
    assert any(COPIED in note for note in found.notes)
    np.testing.assert_array_equal(found.photo.pixels[~holes], photo[~holes])
    np.testing.assert_array_equal(found.photo.pixels, restorer.restore("inpaint", other, holes).photo.pixels)
    inner = cv2.erode(holes.astype(np.uint8), np.ones((SEAM_SIDE, SEAM_SIDE))).astype(bool)
    assert colours(found.photo.pixels[inner]) <= colours(photo[~holes])


def test_what_nobody_sees_is_not_copied(restorer):
    pixels, holes = texture(), hole()
    alpha = np.full((97, 110), 255, np.uint8)
    alpha[:, 80:] = 0
    pixels[:, 80:] //= 8
    found = restorer.restore("inpaint", Photo(pixels, alpha), holes)
    assert any(COPIED in note for note in found.notes)
    inner = cv2.erode(holes.astype(np.uint8), np.ones((SEAM_SIDE, SEAM_SIDE))).astype(bool)
    assert colours(found.photo.pixels[inner]) <= colours(pixels[:, :80][~holes[:, :80]])


def test_tiles_equal_the_whole(restorer):
    """However the photo is cut into tiles, the same patches are chosen."""
    assert_tiled_is_whole(restorer, "inpaint", [(texture(), hole(), 48)])


def test_strength_is_between_the_photo_and_the_texture(restorer):
    photo, holes = texture(dtype=np.float32), hole()
    half, all_ = (restorer.restore("inpaint", photo, holes, strength=strength).photo.pixels for strength in (0.5, 1))
    np.testing.assert_allclose(half, (photo + all_) / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("photo", "controls"),
    [(texture(), {"smooth": True}), (np.full((97, 110, 3), 90, np.uint8), {})],
    ids=["asked for", "nothing around has texture"],
)
def test_smooth_is_what_the_network_gives_from_coarse_to_fine_and_is_said(restorer, monkeypatch, photo, controls):
    def never(*arguments):
        raise AssertionError("texture was looked for")

    monkeypatch.setattr(large_holes, "exemplar_fill", never)
    notes = restorer.restore("inpaint", photo, hole(), **controls).notes
    assert any(SMOOTH in note for note in notes)


def test_texture_that_is_no_better_than_fog_is_not_shown(restorer, monkeypatch):
    def foggy(image, holes, usable, seed):
        yield
        return image[holes]

    monkeypatch.setattr(large_holes, "exemplar_fill", foggy)
    assert any(SMOOTH in note for note in restorer.restore("inpaint", texture(), hole()).notes)


def test_a_scratch_that_runs_into_a_large_hole_is_left_to_the_network():
    holes = hole()
    holes[45:49, :33] = True
    beyond = large_holes._beyond(holes, depth_of(holes))
    np.testing.assert_array_equal(beyond[:, 33:], hole()[:, 33:])
    assert not beyond[:, : 33 - CONTINUED].any()


def test_of_holes_that_the_network_continues_nothing_is_said(restorer):
    found = restorer.restore("inpaint", texture(), hole(side=2 * CONTINUED - 1))
    assert found.notes == ()
    assert len(restorer.restore("inpaint", texture(), hole(side=2 * CONTINUED + 4)).notes) == 1


def test_who_leaves_ends_the_search_at_its_next_step(restorer, monkeypatch):
    looked, left = [], []
    search = exemplars.Search.improve

    def improve(self, rng):
        looked.append(1)
        left.append(1)
        search(self, rng)

    monkeypatch.setattr(exemplars.Search, "improve", improve)
    with asked_by(Asker(left=lambda: bool(left))), pytest.raises(LeftError):
        list(restorer.steps("inpaint", texture(), hole()))
    assert len(looked) == 1


def test_progress_is_told_while_texture_is_looked_for(restorer):
    steps = list(restorer.steps("inpaint", texture(), hole()))
    assert isinstance(steps[-1], Restoration)
    assert len(steps) > 2 * sum(exemplars.PASSES)


def test_figures_tell_fog_from_what_was_lost():
    photo, holes = texture(160, 160), hole(160, 160, side=80, top=40, left=40)
    lost = hole_figures(photo, holes)
    foggy = hole_figures((fog(photo, holes) * 255).round().astype(np.uint8), holes)
    assert 0.8 < lost["gradients"] < 1.25
    assert foggy["gradients"] < 0.1
    assert lost["spectrum"] < 2 < 10 < foggy["spectrum"]


def test_edges_that_go_on_are_told_from_those_that_end():
    stripes = np.zeros((100, 100, 3), np.uint8)
    stripes[:, ::10] = stripes[:, 1::10] = stripes[:, 2::10] = 200
    holes = hole(100, 100, side=40, top=30, left=30)
    ended = stripes.copy()
    ended[holes] = 60
    assert hole_figures(stripes, holes)["edges"] > 0.6 > 0.3 > hole_figures(ended, holes)["edges"]
