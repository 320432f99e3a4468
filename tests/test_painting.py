"""What a browser may send as a painted mask, honest or not."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from PIL import Image

from deconvdemo.errors import PhotoError
from deconvdemo.web.components.painter import mask_from_painter, painting

HOLES = np.random.default_rng(0).random((37, 53)) < 0.1


def arrived(mask: np.ndarray | None) -> np.ndarray:
    assert mask is not None
    return 255 * mask.astype(np.uint8)


def test_a_mask_comes_back_as_it_went_in():
    value = painting("/photo.png", 53, 37, HOLES)
    assert np.array_equal(arrived(mask_from_painter(value)), 255 * HOLES)


def test_nothing_painted_is_no_mask():
    assert mask_from_painter(None) is None
    assert mask_from_painter("") is None
    assert mask_from_painter(painting("/photo.png", 53, 37)) is None
    assert mask_from_painter(painting("/photo.png", 53, 37, np.zeros((37, 53), bool))) is None


def test_a_photo_larger_than_the_canvas_gets_a_mask_of_its_own_size_without_greys():
    mask = Image.new("L", (6000, 4000))
    mask.paste(255, (1500, 1000, 3000, 2000))
    png = arrived(mask_from_painter(painting("/photo.png", 6000, 4000, np.asarray(mask) > 0)))
    assert png.shape == (4000, 6000)
    assert set(np.unique(png)) == {0, 255}
    assert np.abs(png.astype(int) - np.asarray(mask)).mean() < 1


@pytest.mark.parametrize(
    "forged",
    [
        {"width": 10**6, "height": 10**6},
        {"width": 0},
        {"width": "wide"},
        {"mask": {"width": 53, "height": 37, "bits": "%%%"}},
        {"mask": {"width": 53, "height": 37, "bits": base64.b64encode(b"short").decode()}},
        {"mask": {"width": 10**5, "height": 10**5, "bits": ""}},
        {"mask": {"width": -53, "height": -37, "bits": ""}},
        {"mask": {"width": 53}},
        {"mask": 7},
    ],
)
def test_a_forged_mask_is_refused_in_a_sentence(forged):
    value = {**painting("/photo.png", 53, 37, HOLES), **forged}
    with pytest.raises(PhotoError, match="paint it again"):
        mask_from_painter(value)
