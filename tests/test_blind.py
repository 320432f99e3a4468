"""The width of an unknown blur is told from the photo alone; what nothing blurred is called sharp."""

from __future__ import annotations

import io
import tracemalloc
from functools import cache

import numpy as np
import pytest
from PIL import Image

from deconvdemo.deconvolution.blind import Blur, estimate_blur
from deconvdemo.deconvolution.kernels import kernel_named
from deconvdemo.deconvolution.operators import Convolution
from deconvdemo.errors import ControlError
from deconvdemo.image import PHOTOS
from deconvdemo.image.pixels import as_images, as_pixels
from deconvdemo.image.reading import read_photo
from deconvdemo.units import LUMA

WORDS = ["gaussian:1.2", "gaussian:2.5", "gaussian:7", "defocus:2", "defocus:4", "defocus:8", "defocus:20"]


def photo(name: str = "astronaut") -> np.ndarray:
    return read_photo(PHOTOS / f"{name}.webp").pixels


@cache
def smooth(words: str) -> np.ndarray:
    return as_pixels(Convolution(kernel_named(words), "reflect")(as_images(photo())))


def blurred(words: str, noise: float = 0.0) -> np.ndarray:
    """(H, W, 3) uint8."""
    pixels = smooth(words) + np.random.default_rng(0).normal(0, noise / 255, smooth(words).shape)
    return np.rint(255 * pixels.clip(0, 1)).astype(np.uint8)


def jpeg(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))


def about(words: str, found: Blur, within: float = 0.15) -> bool:
    kind, _, width = words.partition(":")
    return found.kind == kind and abs(found.width / float(width) - 1) < within


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(("noise", "harm"), [(5.0, None), (0.0, jpeg)])
def test_the_blur_is_found(words, noise, harm):
    pixels = blurred(words, noise)
    found = estimate_blur(harm(pixels) if harm else pixels)
    assert about(words, found), found
    assert found.sure > 0.5
    assert len(kernel_named(found.words())) > 1


def test_a_photo_of_hardly_anything_gets_a_blur_that_there_is_a_kernel_of():
    few = Image.fromarray(photo()).resize((8, 8), Image.Resampling.BOX)
    found = estimate_blur(np.asarray(few.resize((700, 700), Image.Resampling.BICUBIC)))
    assert found.width == {"gaussian": 14, "defocus": 50}[found.kind]
    assert max(kernel_named(found.words()).shape) > 98


@pytest.mark.parametrize("name", ["cat", "coffee", "astronaut"])
@pytest.mark.parametrize("harm", [None, jpeg])
def test_what_nothing_blurred_is_sharp(name, harm):
    pixels = photo(name)
    assert estimate_blur(harm(pixels) if harm else pixels).words() == "none"


def test_a_blur_that_hardly_shows_is_less_sure_than_one_that_does():
    assert estimate_blur(blurred("defocus:1.5", 8)).sure < estimate_blur(blurred("defocus:6")).sure


def test_depth_and_colour_do_not_matter():
    pixels = blurred("defocus:4")
    grey = np.rint(pixels @ np.array(LUMA)).astype(np.uint8)[..., None]
    for same in (pixels.astype(np.uint16) * 257, (pixels / 255).astype(np.float32), grey, grey.repeat(3, 2)):
        assert about("defocus:4", estimate_blur(same), 0.05)


@pytest.mark.parametrize("told", [0.0, 5.0, 9.0, 40.0])
def test_a_noise_told_wrongly_does_no_harm(told):
    for noise in (0.0, 5.0):
        assert about("gaussian:2.5", estimate_blur(blurred("gaussian:2.5", noise), told))


def test_what_is_not_seen_does_not_count():
    """What is sharp, below an alpha of 0."""
    pixels, seen = blurred("gaussian:2.5"), np.ones((312, 312), bool)
    pixels[:, :100], seen[:, :100] = photo()[:, :100], False
    assert about("gaussian:2.5", estimate_blur(pixels, seen=seen))
    assert not about("gaussian:2.5", estimate_blur(pixels))
    assert estimate_blur(pixels, seen=np.zeros_like(seen)) == Blur("sharp", 0.0, 0.0)


def test_bars_and_clipped_lights_are_no_edges_of_the_photo():
    pixels = blurred("defocus:4")
    barred = np.pad(pixels, ((70, 70), (0, 0), (0, 0)))
    assert about("defocus:4", estimate_blur(barred))
    lit = np.clip(pixels.astype(int) + 60, 0, 255).astype(np.uint8)  # the lightest are white, with an edge
    assert about("defocus:4", estimate_blur(lit))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (20, 31), (32, 32), (33, 200), (127, 129)])
def test_any_size_is_judged_and_flat_or_tiny_ones_are_not_blurred(size):
    assert estimate_blur(np.full((*size, 3), 99, np.uint8)) == Blur("sharp", 0.0, 0.0)
    found = estimate_blur(photo()[: size[0], : size[1]])
    assert 0 <= found.sure <= 1
    assert found.kind != "sharp" or found.width == 0


def test_a_photo_of_a_hundred_megapixels_is_looked_at_in_places():
    """Of which there is no copy: it repeats one row."""
    row = np.random.default_rng(0).integers(0, 256, (1, 10_000, 3), dtype=np.uint8)
    tracemalloc.start()
    estimate_blur(np.broadcast_to(row, (10_000, 10_000, 3)))
    assert tracemalloc.get_traced_memory()[1] < 150e6
    tracemalloc.stop()


def test_what_makes_no_sense_is_refused():
    for noise in (-1.0, float("nan")):
        with pytest.raises(ControlError, match="0 or more"):
            estimate_blur(photo(), noise)
    with pytest.raises(ControlError, match="one of its size"):
        estimate_blur(photo(), seen=np.ones((3, 3), bool))
