"""Colours that nobody can see have no share in those that are seen, whatever lies hidden under alpha."""

import numpy as np
import pytest
import tiny
from PIL import Image

from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.image.alpha import enlarged, visible, visible_colours
from deconvdemo.image.photo import Photo

DTYPES = (np.uint8, np.uint16, np.float32)
SHAPES = {"hard": 0.01, "antialiased": 1.0, "soft": 12.0}  # pixels over which a disc's rim fades
SIDE = 40


@pytest.fixture(scope="module")
def restorer(tiny_weights) -> Restorer:
    return Restorer(Weights(tiny_weights), Compute("cpu", "fp32", "a test"))


def disc(edge: str, dtype, channels: int, hidden: float = 0.0, colour: float = 1.0) -> np.ndarray:
    """A disc of one colour on nothing: (SIDE, SIDE, channels + 1)."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    alpha = np.clip(0.5 + (13 - np.hypot(y, x)) / SHAPES[edge], 0, 1)
    full = PEAKS[dtype]
    alpha = (alpha * full).astype(dtype)
    pixels = np.full((SIDE, SIDE, channels + 1), hidden * full).astype(dtype)
    pixels[alpha > 0, :-1] = np.array(colour * full).astype(dtype)
    pixels[..., -1] = alpha
    return pixels


PEAKS = {np.uint8: 255, np.uint16: 65535, np.float32: 1.0}


def on_paper(photo: Photo, paper: float) -> np.ndarray:
    """The photo laid on paper of one grey level, in 8-bit grey levels."""
    full = PEAKS[photo.pixels.dtype.type]
    alpha = photo.alpha[..., None].astype(float) / full
    return 255 * (photo.pixels.astype(float) / full * alpha + paper * (1 - alpha))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("edge", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_plain_resize_paints_no_rim(restorer, scale, edge, dtype, channels):
    enlarged = restorer.restore("upscale", disc(edge, dtype, channels), scale=scale, strength=0).photo
    assert on_paper(enlarged, paper=1.0).min() >= 254.5


@pytest.mark.parametrize(
    ("task", "controls"),
    [
        ("denoise", {"sigma": 20}),
        *(("upscale", {"scale": scale, "strength": strength}) for scale in (2, 4) for strength in (0, 1)),
    ],
)
@pytest.mark.parametrize("edge", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_hidden_colours_have_no_influence_on_what_is_seen(restorer, task, controls, edge, dtype):
    results = []
    for hidden in (0.0, 0.5, "strewn"):
        pixels = disc(edge, dtype, 3)
        where = pixels[..., -1] == 0
        pixels[where, :-1] = (
            tiny.picture(SIDE, SIDE, 3, dtype)[where]
            if hidden == "strewn"
            else np.array(hidden * PEAKS[dtype]).astype(dtype)
        )
        results.append(on_paper(restorer.restore(task, pixels, **controls).photo, paper=1.0))
    assert np.abs(results[0] - results[1]).max() < 1e-3
    assert np.abs(results[0] - results[2]).max() < 1e-3


def test_hidden_colours_have_no_influence_on_the_noise_that_is_estimated(restorer):
    pixels = disc("hard", np.uint8, 3, colour=0.5)
    where = pixels[..., -1] > 0
    noise = np.random.default_rng(0).normal(0, 20, (np.count_nonzero(where), 3))
    pixels[where, :-1] = np.clip(127 + noise, 0, 255)
    assert restorer.restore("denoise", pixels).controls["sigma"] == pytest.approx(20, rel=0.3)


@pytest.mark.parametrize("strength", [0, 1])
def test_denoising_keeps_what_nobody_sees(restorer, strength):
    pixels = tiny.picture(30, 40, 4)
    pixels[5:20, 5:20, 3] = 0
    result = restorer.restore("denoise", pixels, sigma=20, strength=strength).photo
    hidden = ~visible(pixels[..., 3])
    assert np.array_equal(result.pixels[hidden], pixels[hidden, :3])
    assert np.array_equal(result.alpha, pixels[..., 3])
    assert np.array_equal(result.pixels, pixels[..., :3]) == (strength == 0)


@pytest.mark.parametrize("strength", [0, 0.5, 1])
def test_inpainting_keeps_what_is_not_painted_under_alpha_too(restorer, strength):
    pixels = tiny.picture(40, 44, 4)
    pixels[:, :25, 3] = 0
    mask = np.zeros((40, 44), bool)
    mask[10:18, 20:30] = True
    result = restorer.restore("inpaint", pixels, mask, strength=strength).photo
    assert np.array_equal(result.pixels[~mask], pixels[~mask, :3])
    other = pixels.copy()
    other[mask, :3] = 255 - other[mask, :3]
    other[:, :20, :3] = 0
    again = restorer.restore("inpaint", other, mask, strength=1).photo.pixels[mask]
    assert strength < 1 or np.array_equal(again, result.pixels[mask])


def test_a_filled_hole_that_stays_transparent_is_told(restorer):
    pixels = tiny.picture(40, 44, 4)
    pixels[..., 3] = 255
    pixels[10:18, 20:30, 3] = 0
    mask = pixels[..., 3] == 0
    assert any("transparent" in note for note in restorer.restore("inpaint", pixels, mask).notes)
    pixels[..., 3] = 255
    assert not restorer.restore("inpaint", pixels, mask).notes


def test_a_colour_counts_as_much_as_it_is_visible(restorer):
    """Between a white square and its faint black shadow lies what an enlarging of the composite shows."""
    pixels = np.zeros((24, 24, 4), np.uint8)
    pixels[..., 3] = 26
    pixels[6:18, 6:18] = 255
    result = on_paper(restorer.restore("upscale", pixels, scale=4, strength=0).photo, paper=1.0)
    assert result.min() >= 228  # no darker than the shadow itself: on white, it is 229


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_photo_of_which_nothing_is_visible_is_taken(restorer, dtype):
    pixels = tiny.picture(12, 14, 4, dtype)
    pixels[..., 3] = 0
    for task, controls in (("denoise", {"sigma": 20}), ("denoise", {}), ("upscale", {"scale": 2})):
        assert not restorer.restore(task, pixels, **controls).photo.alpha.any()


# ---- alpha itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("wrap", [False, True])
def test_opaque_stays_opaque_and_clear_stays_clear(scale, wrap):
    alpha = np.random.default_rng(0).choice([0.0, 0.3, 1.0, 1.0, 0.0], (20, 23)).astype(np.float32)
    result = enlarged(alpha, scale, wrap)
    assert result.shape == (20 * scale, 23 * scale)
    around = np.pad(alpha, 1, mode="wrap" if wrap else "edge")
    blocks = np.lib.stride_tricks.sliding_window_view(around, (3, 3))
    for value in (0.0, 1.0):
        inside = (blocks == value).all(axis=(2, 3)).repeat(scale, 0).repeat(scale, 1)
        assert (result[inside] == value).all()
    assert result.min() >= 0
    assert result.max() <= 1


def test_alpha_is_bicubic_where_it_is_smooth():
    alpha = (0.5 + 0.4 * np.sin(np.arange(30) / 5)[:, None] * np.cos(np.arange(30) / 4)).astype(np.float32)
    plain = np.asarray(Image.fromarray(alpha).resize((90, 90), Image.Resampling.BICUBIC))
    assert np.abs(enlarged(alpha, 3) - plain).max() < 0.01


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3)])
def test_any_size_of_alpha_is_enlarged(size):
    for wrap in (False, True):
        assert np.allclose(enlarged(np.full(size, 0.5, np.float32), 3, wrap), 0.5)


def test_colours_are_extended_over_a_border_that_repeats():
    pixels = np.zeros((20, 30, 3), np.uint8)
    known = np.zeros((20, 30), bool)
    known[:, :4] = True
    pixels[:, 2:4], pixels[:, :2] = 100, 200
    plain, wrapped = (visible_colours(pixels, known, ~known, wrap) for wrap in (False, True))
    assert plain[10, 25, 0] == 100
    assert wrapped[10, 25, 0] == 200
    assert np.array_equal(wrapped[known], pixels[known])


def test_nothing_is_hidden_in_an_opaque_photo():
    assert visible(None) is None
    assert visible(np.full((3, 4), 200, np.uint8)) is None
    assert visible(np.array([[0, 1, 2, 255]], np.uint8)).tolist() == [[False, False, True, True]]
