"""A picture that repeats is restored so that the result joins at its borders."""

import numpy as np
import pytest
import tiny

from deconvdemo.bicubic import resize
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.engine.tiles import plan, window_of
from deconvdemo.errors import ControlError
from deconvdemo.tasks import TASKS, Switch, in_words

CASES = [("denoise", {"sigma": 20}), *(("upscale", {"scale": scale}) for scale in (2, 3, 4))]
STRIDE = 8  # a multiple of the tests' networks' strides


def built(tiny_weights, **options) -> Restorer:
    return Restorer(Weights(tiny_weights), Compute("cpu", "fp32", "a test"), **options)


def texture(height: int, width: int, channels: int = 3) -> np.ndarray:
    """A picture that repeats: sines of whole numbers of periods, with grain."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(2 * np.pi * (a * y / height + b * x / width)) for a, b in ((3, 1), (1, -4), (5, 2), (0, 3))][
        :channels
    ]
    grain = np.random.default_rng(0).normal(0, 8, (height, width, len(waves)))
    return np.clip(128 + 80 * np.stack(waves, axis=2) + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("task", "controls"), CASES)
@pytest.mark.parametrize(("tile", "channels"), [("auto", 3), ("auto", 4), (32, 3), (40, 4)])
@pytest.mark.parametrize("strength", [0, 1])
def test_rolling_the_picture_rolls_the_result(tiny_weights, task, controls, tile, channels, strength):
    restorer = built(tiny_weights, tile=tile)
    observed, scale = texture(48, 64, channels), controls.get("scale", 1)
    if channels == 4:
        observed[..., 3] = np.where(observed[..., 3] > 128, 255, 0)
    by = (2 * STRIDE, -3 * STRIDE)

    def restored(pixels: np.ndarray) -> np.ndarray:
        photo = restorer.restore(task, pixels, strength=strength, wrap=True, **controls).photo
        return photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])

    expected = np.roll(restored(observed), [scale * one for one in by], axis=(0, 1))
    found = restored(np.roll(observed, by, axis=(0, 1)))
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("task", "controls"), CASES)
@pytest.mark.parametrize("size", [(48, 64), (45, 51)])
def test_the_result_joins_at_its_borders(tiny_weights, task, controls, size):
    y, x = np.mgrid[: size[0], : size[1]]
    smooth = 128 + 60 * np.sin(2 * np.pi * (y / size[0] + 0.2)) + 60 * np.sin(2 * np.pi * (x / size[1] + 0.2))
    observed = smooth[..., None].repeat(3, axis=2).astype(np.uint8)
    restorer = built(tiny_weights)

    def jump(wrap: bool) -> float:
        result = restorer.restore(task, observed, wrap=wrap, **controls).photo.pixels.astype(float)
        scale = controls.get("scale", 1)
        joined = np.concatenate([result[-8 * scale :], result[: 8 * scale]])
        # between what belongs to one observed pixel and to the next: an untrained network's own pattern is no seam
        steps = np.abs(np.diff(joined, axis=0)).mean(axis=(1, 2))[scale - 1 :: scale]
        return steps[7] / np.delete(steps, 7).mean()

    assert jump(wrap=True) <= 1.1 < 1.5 < jump(wrap=False)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_strength_zero_is_the_plain_resize_of_what_repeats(tiny_weights, scale):
    observed = texture(20, 27)
    nine = resize(tiny.tensor(np.tile(observed, (3, 3, 1))), scale).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    middle = nine[20 * scale : 40 * scale, 27 * scale : 54 * scale]
    result = built(tiny_weights).restore("upscale", observed, scale=scale, strength=0, wrap=True).photo.pixels
    assert np.abs(result - 255 * middle).max() <= 0.5 + 1e-3


def test_strength_zero_changes_nothing_of_a_picture_that_repeats(tiny_weights):
    for observed in (texture(21, 35), tiny.picture(21, 35, 4)):
        photo = built(tiny_weights).restore("denoise", observed, sigma=20, strength=0, wrap=True).photo
        assert np.array_equal(photo.pixels, observed[..., :3])


@pytest.mark.parametrize(("task", "controls"), CASES)
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (7, 2), (5, 11)])
@pytest.mark.parametrize("channels", [3, 4])
def test_any_size_repeats(tiny_weights, task, controls, size, channels):
    scale, (height, width) = controls.get("scale", 1), size
    photo = built(tiny_weights).restore(task, tiny.picture(height, width, channels), wrap=True, **controls).photo
    assert (photo.height, photo.width) == (height * scale, width * scale)


def test_a_window_goes_on_at_the_opposite_border():
    picture = np.arange(12).reshape(3, 4)
    (tile,) = plan(3, 4, 100, 5, 1, wrap=True)
    window = window_of(picture, tile)
    assert window.shape == (13, 14)
    assert np.array_equal(window, np.tile(picture, (7, 5))[1 + 3 : 1 + 16, 3:17])
    assert np.array_equal(window[5:8, 5:9], picture)


# ---- the switch ----------------------------------------------------------------------------------------------


def test_it_is_off_unless_asked_for(tiny_weights):
    restorer, observed = built(tiny_weights), texture(24, 32)
    plain, off, on = (
        restorer.restore("upscale", observed, **given) for given in ({}, {"wrap": "false"}, {"wrap": "true"})
    )
    assert np.array_equal(plain.photo.pixels, off.photo.pixels)
    assert not np.array_equal(plain.photo.pixels, on.photo.pixels)
    assert (off.report()["wrap"], on.report()["wrap"]) == (False, True)
    assert "wrap" not in off.summary()
    assert "variant standard, wrap, " in on.summary()


def test_a_switch_takes_what_people_and_pages_send():
    switch = Switch("wrap", "", "", False)
    assert [switch.checked(value) for value in (True, "true", "on", "Yes", 1, "1")] == [True] * 6
    assert [switch.checked(value) for value in (False, "false", "off", "No", 0, "0")] == [False] * 6
    for wrong in ("maybe", "", 2, 1.0, [True], None):
        with pytest.raises(ControlError, match=r"wrap is .*true or false"):
            switch.checked(wrong)
    assert in_words({"scale": 2, "wrap": True}) == ["scale 2", "wrap"]
    assert in_words({"scale": 2, "wrap": False}) == ["scale 2"]


def test_a_new_control_is_the_last_parameter():
    assert [control.name for control in TASKS["upscale"].controls] == [
        "scale",
        "strength",
        "variant",
        "wrap",
        "cleanup",
    ]
    assert [control.name for control in TASKS["denoise"].controls] == ["sigma", "strength", "variant", "wrap"]
    assert "wrap" not in [control.name for control in TASKS["inpaint"].controls]
