"""PSNR and SSIM agree with scikit-image's; what cannot be meant is refused."""

import numpy as np
import pytest
import tiny

from deconvdemo.image.metrics import luma, psnr, psnr_inside, ssim

skimage_metrics = pytest.importorskip("skimage.metrics")


def pair(height=40, width=56, channels=3, sigma=20):
    clean = tiny.picture(height, width, channels)
    noise = np.random.default_rng(1).normal(0, sigma, clean.shape)
    return np.clip(clean + noise, 0, 255).round().astype(np.uint8), clean


def skimage_ssim(restored, clean):
    return skimage_metrics.structural_similarity(
        restored, clean, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_and_ssim_agree_with_scikit_image(channels):
    restored, clean = pair(channels=channels)
    expected = skimage_metrics.peak_signal_noise_ratio(clean, restored, data_range=255)
    assert psnr(restored, clean) == pytest.approx(expected, abs=1e-9)
    assert ssim(restored, clean) == pytest.approx(skimage_ssim(restored, clean), abs=1e-9)


def test_on_luma_they_agree_with_scikit_image_too():
    from skimage.color import rgb2ycbcr

    restored, clean = pair()
    y = [rgb2ycbcr(image)[4:-4, 4:-4, :1] for image in (restored, clean)]
    assert np.allclose(luma(clean)[4:-4, 4:-4], y[1])
    expected = skimage_metrics.peak_signal_noise_ratio(y[1], y[0], data_range=255)
    assert psnr(restored, clean, border=4, on_luma=True) == pytest.approx(expected, abs=1e-9)
    assert ssim(restored, clean, border=4, on_luma=True) == pytest.approx(skimage_ssim(*y), abs=1e-9)


def test_luma_runs_from_16_to_235():
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert luma(colours)[0, :, 0].tolist() == pytest.approx([16, 235, 81.481, 144.553, 40.966])


def test_grey_images_are_judged_on_all_of_their_range():
    """As the literature does, whose luma is of colour images alone: with 16–235 they would seem 1.3 dB better."""
    restored, clean = (image[..., :1] for image in pair())
    for one, other in ((restored, clean), (restored.repeat(3, 2), clean.repeat(3, 2))):
        assert psnr(one, other, border=4, on_luma=True) == pytest.approx(psnr(restored, clean, border=4), abs=1e-9)
        assert ssim(one, other, border=4, on_luma=True) == pytest.approx(ssim(restored, clean, border=4), abs=1e-9)


def test_a_known_psnr():
    clean = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(clean + 1, clean) == pytest.approx(20 * np.log10(255))
    assert psnr(clean, clean) == float("inf")
    assert ssim(np.tile(clean, (4, 4, 1)), np.tile(clean, (4, 4, 1))) == pytest.approx(1)


@pytest.mark.parametrize(("dtype", "peak"), [(np.uint16, 65535), (np.float32, 1), (np.float64, 1)])
def test_the_depth_does_not_change_what_is_measured(dtype, peak):
    restored, clean = pair()
    deep = [(image.astype(np.float64) / 255 * peak).astype(dtype) for image in (restored, clean)]
    assert psnr(*deep) == pytest.approx(psnr(restored, clean), abs=1e-2)
    assert ssim(*deep) == pytest.approx(ssim(restored, clean), abs=1e-4)


def test_a_border_is_left_out():
    clean = tiny.picture(24, 30)
    restored = clean.copy()
    restored[:3], restored[:, -3:] = 0, 255
    assert psnr(restored, clean, border=3) == float("inf")
    assert psnr(restored, clean, border=2) < 40


def test_psnr_inside_looks_at_the_holes_alone():
    restored, clean = pair()
    mask = np.zeros(clean.shape[:2], bool)
    mask[5:15, 7:30] = True
    assert psnr_inside(restored, clean, mask) == pytest.approx(psnr(restored[5:15, 7:30], clean[5:15, 7:30]))
    with pytest.raises(ValueError, match="empty"):
        psnr_inside(restored, clean, np.zeros_like(mask))


@pytest.mark.parametrize("measure", [psnr, ssim])
@pytest.mark.parametrize(
    ("restored", "clean", "says"),
    [
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 21, 3), np.uint8), "of one shape"),
        (np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8), "H, W, C"),
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20, 3), np.float32), "of one dtype"),
        (np.zeros((20, 20, 3), np.int64), np.zeros((20, 20, 3), np.int64), "int64"),
        (np.zeros((20, 20, 3), bool), np.zeros((20, 20, 3), bool), "bool"),
        (np.full((20, 20, 3), 128.0), np.full((20, 20, 3), 0.5), "divide by 255"),
        (np.full((20, 20, 3), 0.5), np.full((20, 20, 3), 128.0), "divide by 255"),
    ],
)
def test_what_cannot_be_meant_is_refused(measure, restored, clean, says):
    with pytest.raises(ValueError, match=says):
        measure(restored, clean)


def test_a_border_that_leaves_nothing_is_refused():
    small = tiny.picture(8, 20)
    with pytest.raises(ValueError, match="leaves nothing"):
        psnr(small, small, border=4)
    with pytest.raises(ValueError, match="11×11"):
        ssim(small, small)
