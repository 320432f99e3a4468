"""The estimated sigma is near the true one on photographs, and any photo gets an answer."""

import numpy as np
import pytest
import tiny

from deconvdemo.noise import estimate_sigma

# a grey photo has a third of the samples, and the grass of "camera" passes for a little noise of its own
CASES = [(name, sigma) for name in ("astronaut", "chelsea", "coffee", "rocket") for sigma in (5, 10, 25, 50)]
CASES += [("camera", sigma) for sigma in (10, 25, 50)]


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
    for channels in (1, 3):
        sigma = estimate_sigma(tiny.picture(*shape, channels, dtype))
        assert np.isfinite(sigma)
        assert sigma >= 0
        if min(shape) < 3:
            assert sigma == 0


def test_a_flat_photo_has_no_noise():
    for shape in ((5, 5, 3), (64, 64, 3), (64, 64, 1)):
        assert estimate_sigma(np.full(shape, 77, np.uint8)) == pytest.approx(0, abs=1e-3)


def test_a_large_photo_is_sampled_not_slow():
    """24 megapixels in about the time of one: the patches that are looked at are limited."""
    from deconvdemo.noise import MOST_PATCHES, _patches

    large = np.broadcast_to(np.uint8(0), (4000, 6000, 1))
    assert MOST_PATCHES / 10 < len(_patches(large)) <= 2 * MOST_PATCHES
