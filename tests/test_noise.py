"""The estimated sigma is near the true one on photographs, and any photo gets an answer."""

import numpy as np
import pytest
import tiny
from PIL import Image, ImageDraw, ImageFont

from deconvdemo.image.noise_estimation import estimate_sigma
from deconvdemo.image.noise_patches import MOST_PATCHES, sampled

CASES = [(name, sigma) for name in ("astronaut", "chelsea", "coffee", "rocket") for sigma in (5, 10, 25, 50)]
CASES += [("camera", sigma) for sigma in (25, 50)]  # grey; its grass passes for a little noise of its own


def noisy(name: str, sigma: float) -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    photo = getattr(data, name)()
    photo = (photo if photo.ndim == 3 else photo[..., None])[:300, :400].astype(np.float32) / 255
    # halved: the photographs' own grain goes, the noise added afterwards is what is left to find
    small = (photo[::2, ::2] + photo[1::2, ::2] + photo[::2, 1::2] + photo[1::2, 1::2]) / 4
    return small + np.random.default_rng(0).normal(0, sigma / 255, small.shape).astype(np.float32)


@pytest.mark.parametrize(("name", "sigma"), CASES)
def test_the_estimate_is_near_the_truth(name, sigma):
    assert estimate_sigma(noisy(name, sigma)) == pytest.approx(sigma, rel=0.1)


def test_the_depth_does_not_change_the_estimate():
    unit = np.clip(noisy("coffee", 20), 0, 1)
    for dtype, peak in ((np.uint8, 255), (np.uint16, 65535)):
        pixels = np.round(unit * peak).astype(dtype)
        assert estimate_sigma(pixels) == pytest.approx(estimate_sigma(unit), rel=0.02)
    assert estimate_sigma(unit.mean(axis=2, keepdims=True)) == pytest.approx(20 / 3**0.5, rel=0.15)


@pytest.mark.parametrize("shape", [(12, 12), (30, 8), (7, 40), (20, 31)])
@pytest.mark.parametrize("channels", [1, 3])
def test_small_photos_are_judged_too(shape, channels):
    noise = np.random.default_rng(0).normal(0, 20 / 255, (*shape, channels)).astype(np.float32)
    assert estimate_sigma(0.5 + noise) == pytest.approx(20, rel=0.35)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 9), (3, 3), (8, 8), (9, 200)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_any_size_gets_a_finite_answer(shape, dtype):
    height, width = shape
    for channels in (1, 3):
        sigma = estimate_sigma(tiny.picture(height, width, channels, dtype))
        assert np.isfinite(sigma)
        assert sigma >= 0
        if min(shape) < 3:
            assert sigma == 0


def test_a_flat_photo_has_no_noise():
    for shape in ((5, 5, 3), (64, 64, 3), (64, 64, 1)):
        assert estimate_sigma(np.full(shape, 77, np.uint8)) == pytest.approx(0, abs=1e-3)


# ---- what says nothing of the noise has no vote --------------------------------------------------------------


def test_grass_is_not_taken_for_much_noise():
    assert estimate_sigma(noisy("camera", 10)) == pytest.approx(10, rel=0.15)


def eight_bits(unit: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(255 * unit), 0, 255).astype(np.uint8)


def on_ground(photo: np.ndarray, share: float, ground: float) -> tuple[np.ndarray, np.ndarray]:
    """A photo in the middle of a ground of one level that takes this share of the area, and where the photo is."""
    height, width = photo.shape[:2]
    larger = (1 - share) ** -0.5
    canvas = np.full((int(height * larger), int(width * larger), photo.shape[2]), ground, photo.dtype)
    top, left = (canvas.shape[0] - height) // 2, (canvas.shape[1] - width) // 2
    inside = np.zeros(canvas.shape[:2], bool)
    inside[top : top + height, left : left + width] = True
    canvas[inside] = photo.reshape(-1, photo.shape[2])
    return canvas, inside


@pytest.mark.parametrize("share", [0.25, 0.75])
@pytest.mark.parametrize(("ground", "sigma"), [(1.0, 25), (0.0, 5), (0.0, 50), (0.5, 25), (0.9, 15)])
def test_margins_of_any_colour_have_no_vote(share, ground, sigma):
    canvas, _ = on_ground(np.clip(noisy("coffee", sigma), 0, 1), share, ground)
    assert estimate_sigma(eight_bits(canvas)) == pytest.approx(sigma, rel=0.1)
    assert estimate_sigma(canvas) == pytest.approx(sigma, rel=0.1)
    assert estimate_sigma(np.rint(65535 * canvas).astype(np.uint16)) == pytest.approx(sigma, rel=0.1)


def test_a_small_photo_on_a_large_ground_is_found():
    canvas = np.full((2000, 2000, 3), 255, np.uint8)
    canvas[300:450, 700:900] = eight_bits(noisy("chelsea", 20))
    assert estimate_sigma(canvas) == pytest.approx(20, rel=0.1)


def test_repeated_borders_and_bars_have_no_vote():
    photo = eight_bits(noisy("astronaut", 25))
    assert estimate_sigma(np.pad(photo, ((80, 80), (90, 90), (0, 0)), mode="edge")) == pytest.approx(25, rel=0.1)
    assert estimate_sigma(np.pad(photo, ((200, 200), (0, 0), (0, 0)))) == pytest.approx(25, rel=0.1)


def test_hidden_pixels_have_no_vote():
    canvas, visible = on_ground(eight_bits(noisy("coffee", 25)), 0.6, 0)
    canvas[~visible] = np.random.default_rng(1).integers(0, 256, (np.count_nonzero(~visible), 3), np.uint8)
    assert estimate_sigma(canvas, visible) == pytest.approx(25, rel=0.1)
    assert estimate_sigma(canvas, np.zeros_like(visible)) == 0


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_clipping_does_not_hide_the_noise(sigma):
    rng = np.random.default_rng(0)
    night = np.zeros((150, 200, 3))  # half of its samples are clipped
    clean = noisy("chelsea", 0).astype(float)
    burnt_out = np.where(np.arange(len(clean))[:, None, None] < len(clean) / 2, 1.0, clean)
    for scene in (night, burnt_out, clean - 0.9 * np.median(clean)):
        observed = eight_bits(scene + rng.normal(0, sigma / 255, scene.shape))
        assert estimate_sigma(observed) == pytest.approx(sigma, rel=0.1)
        if sigma > 5:  # other ends of the scale than 0 and 255
            assert estimate_sigma(16 + observed // 2) == pytest.approx(sigma / 2, rel=0.15)


def test_a_dead_channel_has_no_vote():
    red = eight_bits(noisy("astronaut", 25))
    red[..., 1:] = 0
    assert estimate_sigma(red) == pytest.approx(25, rel=0.1)


def test_grey_is_judged_alike_when_it_is_written_as_rgb():
    grey = eight_bits(noisy("camera", 25))
    assert estimate_sigma(grey.repeat(3, axis=2)) == estimate_sigma(grey) == pytest.approx(25, rel=0.1)


@pytest.mark.parametrize("size", [9, 14, 24])
@pytest.mark.parametrize("ink", [(0, 255), (255, 20), (40, 200)])
def test_a_clean_page_of_text_has_no_noise(size, ink):
    page = Image.new("L", (500, 300), ink[1])
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for line in range(300 // size):
        words = "sphinx of black quartz, judge my vow; pack my box with five dozen jugs "
        draw.text((5, int(1.3 * size * line)), (words * 4)[line * 7 :], ink[0], font)
    for pixels in (np.asarray(page)[..., None], np.asarray(page.convert("RGB")), np.asarray(page)[:40, :50, None]):
        assert estimate_sigma(pixels) < 1


def test_a_page_of_text_does_not_hide_the_noise_of_the_photo_on_it():
    page = np.asarray(Image.new("RGB", (600, 400), "white")).copy()
    page[200:350, 200:400] = eight_bits(noisy("astronaut", 25))[:150]
    image = Image.fromarray(page)
    for line in range(9):
        ImageDraw.Draw(image).text((5, 20 * line), "sphinx of black quartz, judge my vow " * 3, "black")
    assert estimate_sigma(np.asarray(image)) == pytest.approx(25, rel=0.15)


def test_a_large_photo_is_sampled_not_slow():
    """24 megapixels in about the time of one: the patches that are looked at are limited."""
    large = np.broadcast_to(np.uint8(0), (4000, 6000, 1))
    assert MOST_PATCHES / 10 < len(sampled(large)[0]) <= 2 * MOST_PATCHES
