"""Bicubic resizing is MATLAB's, to the weight; Pillow, written by others, agrees where borders play no part."""

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from deconvdemo.bicubic import _gathered, _mirrored, _taps, resize

# Keys' kernel at 1/4, 3/4, 5/4 and 7/4 of a pixel
NEAR, NEXT, FAR, FARTHEST = 0.8671875, 0.2265625, -0.0703125, -0.0234375
SCALES = [2, 3, 4, 1 / 2, 1 / 3, 1 / 4]


def line(values) -> torch.Tensor:
    """A one-row image of float64."""
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def impulse(length: int, at: int) -> torch.Tensor:
    return line([float(i == at) for i in range(length)])


def test_halving_weighs_eight_pixels_as_matlab_does():
    halved = resize(impulse(32, 16), 1 / 2)[0, 0, 0]
    # result i is centred between pixels 2i and 2i + 1; the kernel is twice as wide and half as high
    expected = torch.zeros(16, dtype=torch.float64)
    # pixel 16 is 3.5, 1.5, 0.5 and 2.5 pixels from the centres of the results 6, 7, 8 and 9
    expected[6:10] = torch.tensor([FARTHEST, NEXT, NEAR, FAR], dtype=torch.float64) / 2
    assert torch.allclose(halved, expected, atol=1e-12)


def test_doubling_alternates_between_two_phases_as_matlab_does():
    doubled = resize(line(np.arange(16.0) ** 2), 2)[0, 0, 0]
    pixels = np.arange(16.0) ** 2
    phase = np.array([FARTHEST, NEXT, NEAR, FAR])
    for k in range(2, 13):
        assert doubled[2 * k].item() == pytest.approx(pixels[k - 2 : k + 2] @ phase)
        assert doubled[2 * k + 1].item() == pytest.approx(pixels[k - 1 : k + 3] @ phase[::-1])


def test_the_border_is_mirrored_with_its_edge_pixel_as_matlab_does():
    halved = resize(line([0, 1, 2, 3, 4, 5, 6, 7]), 1 / 2)[0, 0, 0]
    # pixels 2 1 0 | 0 1 2 3 4 under the eight weights
    expected = (2 * FARTHEST + 1 * FAR + 0 * NEXT + 0 * NEAR + 1 * NEAR + 2 * NEXT + 3 * FAR + 4 * FARTHEST) / 2
    assert halved[0].item() == pytest.approx(expected, abs=1e-12)


def test_a_ramp_stays_a_ramp():
    """Keys' kernel reproduces straight lines (and parabolas), whatever the scale."""
    for scale in SCALES:
        resized = resize(line(np.arange(96.0)), scale)[0, 0, 0].numpy()
        centres = (np.arange(len(resized)) + 0.5) / scale - 0.5
        inside = (centres > 9) & (centres < 86)
        assert np.allclose(resized[inside], centres[inside], atol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_pillow_agrees_away_from_the_border(scale):
    pixels = tiny.picture(96, 72)[..., 0].astype(np.float32)
    size = (round(72 * scale), round(96 * scale))
    by_pillow = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    ours = resize(torch.from_numpy(pixels)[None, None], scale)[0, 0].numpy()
    border = int(np.ceil(2 * max(scale, 1))) + 1  # the reach of the kernel: Pillow cuts it there, MATLAB mirrors
    assert ours.shape == by_pillow.shape
    inside = (slice(border, -border),) * 2
    assert np.abs(ours[inside] - by_pillow[inside]).max() < 1e-3


@pytest.mark.parametrize("scale", SCALES)
def test_a_tile_with_surroundings_rounds_like_the_whole(scale):
    whole = tiny.tensor(tiny.picture(120, 132))
    resized = resize(whole, scale)
    rows, columns, margin = slice(24, 84), slice(36, 108), 12
    window = whole[..., rows.start - margin : rows.stop + margin, columns.start - margin : columns.stop + margin]
    cut = round(margin * scale)
    tile = resize(window, scale)[..., cut:-cut, cut:-cut]
    placed = [slice(round(part.start * scale), round(part.stop * scale)) for part in (rows, columns)]
    assert torch.equal(tile, resized[..., placed[0], placed[1]])


@pytest.mark.parametrize("scale", SCALES)
def test_every_size_works_and_a_constant_stays_constant(scale):
    for length in range(1, 14):
        for height, width in ((length, 1), (1, length), (length, 17)):
            resized = resize(torch.full((2, 3, height, width), 0.7), scale)
            assert resized.shape == (2, 3, max(1, round(height * scale)), max(1, round(width * scale)))
            assert torch.allclose(resized, torch.tensor(0.7), atol=1e-6)


def test_values_beyond_the_range_are_kept():
    resized = resize(line([0, 0, 0, 0, 1, 1, 1, 1]), 2)
    assert resized.min() < 0
    assert resized.max() > 1
    assert resized.dtype == torch.float64


@pytest.mark.parametrize("scale", [*SCALES, 1, 1.01, 1.97, 0.51, 0.7])
@pytest.mark.parametrize("shape", [(12, 24), (36, 60), (1, 1), (2, 5), (25, 31), (48, 49)])
def test_reading_slices_equals_gathering_pixels(scale, shape):
    images = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gathered = images
    for axis in (2, 3):
        index, weight = _taps(gathered.shape[axis], scale)
        gathered = _gathered(gathered, _mirrored(index, gathered.shape[axis]), weight, axis)
    assert torch.allclose(resize(images, scale), gathered, atol=1e-12)
