"""Strips give what the whole picture gives."""

import numpy as np
import pytest

from deconvdemo.image.metrics import psnr, ssim
from deconvdemo.web.review.measured import measured


@pytest.mark.parametrize(("height", "width"), [(11, 11), (50, 40), (64, 33), (10, 40), (40, 10), (1, 1)])
@pytest.mark.parametrize("strip", [1, 500, 10**6])
def test_strips_give_what_the_whole_gives(height, width, strip):
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (height, width, 3), np.uint8)
    restored = np.clip(clean + rng.normal(0, 9, clean.shape), 0, 255).astype(np.uint8)
    restored[: height // 2] = clean[: height // 2]  # a strip without any error
    found = measured(restored, clean, strip)
    assert found["psnr"] == pytest.approx(psnr(restored, clean), abs=0.006)
    assert ("ssim" in found) == (min(height, width) >= 11)
    if "ssim" in found:
        assert found["ssim"] == pytest.approx(ssim(restored, clean), abs=6e-5)
    assert "psnr" not in measured(clean, clean, strip)
