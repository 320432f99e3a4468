"""A mask is taken for what it certainly means, and refused in one sentence where it may mean either."""

import io

import numpy as np
import pytest
import tiny
from PIL import Image

from deconvdemo.errors import PhotoError
from deconvdemo.image.mask_reading import coverage, open_mask, read_mask
from deconvdemo.image.reading import read_photo

SIZE = (60, 80)
HOLE = np.zeros(SIZE, bool)
HOLE[20:32, 30:55] = True
PHOTO = tiny.picture(*SIZE)


def with_alpha(pixels: np.ndarray, alpha) -> np.ndarray:
    return np.dstack([pixels, np.broadcast_to(np.asarray(alpha, np.uint8), SIZE)])


def read(mask, photo=PHOTO) -> np.ndarray:
    return read_mask(mask, *SIZE, observed=read_photo(photo))[0]


def as_jpeg(pixels: np.ndarray, quality: int = 60) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


LOOKS = {
    "as it is": lambda photo: photo,
    "as a JPEG": as_jpeg,
    "lighter": lambda photo: (photo // 2 + 100).astype(np.uint8),
    "grey": lambda photo: photo.mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, 2),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("blackened", [False, True])
def test_what_is_erased_in_the_photo_is_the_hole(look, blackened):
    erased = with_alpha(LOOKS[look](PHOTO), np.where(HOLE, 0, 255))
    if blackened:
        erased[HOLE] = 0
    holes, notes = read_mask(erased, *SIZE, observed=read_photo(PHOTO))
    assert np.array_equal(holes, HOLE)
    assert "erased" in notes[0]
    assert np.array_equal(read(erased.astype(np.uint16) * 257), HOLE)
    assert np.array_equal(read((erased / 255).astype(np.float32)), HOLE)


def test_a_soft_eraser_is_a_hole_as_far_as_it_reached():
    alpha = np.where(HOLE, 0, 255)
    alpha[32:34, 30:55] = 128
    grown = HOLE.copy()
    grown[32:34, 30:55] = True
    assert np.array_equal(read(with_alpha(PHOTO, alpha)), grown)
    assert np.array_equal(read(with_alpha(PHOTO, np.where(HOLE, 100, 255))), HOLE)


def test_what_is_transparent_in_the_photo_already_is_not_erased():
    alpha = np.full(SIZE, 255)
    alpha[:, :10] = 0
    photo = with_alpha(PHOTO, alpha)
    assert np.array_equal(read(with_alpha(PHOTO, np.where(HOLE, 0, alpha)), photo), HOLE)


@pytest.mark.parametrize("paint", [0, 255, (200, 30, 30)])
@pytest.mark.parametrize("opacity", [255, 128, 1])
def test_paint_on_a_layer_is_the_hole(paint, opacity):
    layer = with_alpha(np.full((*SIZE, 3), paint, np.uint8), np.where(HOLE, opacity, 0))
    assert np.array_equal(read(layer), HOLE)
    assert np.array_equal(open_mask(layer, *SIZE), HOLE)


def test_a_soft_brush_paints_as_far_as_it_reaches():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    alpha = np.clip(255 - 12 * np.hypot(y - 30, x - 40), 0, 255).astype(np.uint8)
    assert np.array_equal(read(with_alpha(np.full((*SIZE, 3), 255, np.uint8), alpha)), alpha > 0)


UNCERTAIN = {
    "a stencil of one colour": (with_alpha(np.zeros((*SIZE, 3), np.uint8), np.where(HOLE, 0, 255)), "does not tell"),
    "another picture, erased": (with_alpha(PHOTO[::-1, ::-1], np.where(HOLE, 0, 255)), "does not tell"),
    "a piece of the photo": (with_alpha(PHOTO, np.where(HOLE, 255, 0)), "shows the photo in 6 %"),
    "the photo": (PHOTO, "the mask is the photo itself"),
    "the photo as a JPEG": (as_jpeg(PHOTO), "the mask is the photo itself"),
    "the photo, painted on": (np.where(HOLE[..., None], np.uint8(255), PHOTO), "neither black nor white"),
    "another picture": (PHOTO[::-1, ::-1], "neither black nor white"),
    "a ramp": (np.linspace(0, 255, 60 * 80).reshape(SIZE).astype(np.uint8), "neither black nor white"),
}


@pytest.mark.parametrize("case", UNCERTAIN)
def test_what_may_mean_either_is_refused_with_what_is_expected(case):
    mask, says = UNCERTAIN[case]
    with pytest.raises(PhotoError, match=says) as refused:
        read(mask)
    assert "white where the photo is to be filled in" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_mask_without_transparency_goes_by_its_lightness():
    white = np.where(HOLE, 255, 0).astype(np.uint8)
    for mask in (white, white[..., None].repeat(3, 2), with_alpha(white[..., None].repeat(3, 2), 255)):
        holes, notes = read_mask(mask, *SIZE, observed=read_photo(PHOTO))
        assert np.array_equal(holes, HOLE)
        assert notes == ()
    lossy = as_jpeg(white)
    assert (read(lossy) != HOLE).mean() < 0.01


def test_a_mask_may_look_like_the_photo_if_it_is_black_and_white():
    letters = np.where(HOLE[..., None], np.uint8(240), np.uint8(30)).repeat(3, 2)
    assert np.array_equal(read(np.where(HOLE, 255, 0).astype(np.uint8), letters), HOLE)


def test_grey_in_a_mask_is_told():
    soft = np.where(HOLE, 200, 20).astype(np.uint8)
    holes, notes = read_mask(soft, *SIZE)
    assert np.array_equal(holes, HOLE)
    assert notes == ("6 % of the mask is grey: what is lighter than the middle was filled in",)


def test_a_mask_of_most_of_the_photo_is_told():
    assert coverage(HOLE) == ()
    assert coverage(~HOLE) == ("the mask covers 94 % of the photo: invert it if the rest was meant",)
