"""Clean-up: noise and JPEG traces are removed from a small photo before it is enlarged."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny
from tiled import assert_tiled_is_whole

from deconvdemo.checkpoints.index import INDEX, read_index, write_index
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.restoration import Progress
from deconvdemo.engine.restorer import Restorer
from deconvdemo.tasks import TASKS
from deconvdemo.tasks.harm import Harm
from deconvdemo.web.components.controls import ControlPanel

CAMERA = Harm(level=9, noise=8.6, white=0.01, jpeg=0.9, blur=0)
EVERY = [task.weights(choices) for task in TASKS.values() for choices in task.combinations()]
SAW = "JPEG traces, camera noise of about 9: "


def serving(folder, harm: Harm | None = CAMERA) -> Restorer:
    restorer = Restorer.load(Weights(folder), "cpu", "fp32")
    restorer.judged = lambda photo: harm
    return restorer


def judged(scale: int = 2, **harm) -> float:
    offered = TASKS["upscale"].offering(EVERY)
    return offered.choosing(offered.checked({"scale": scale}), replace(CAMERA, **harm)).get("cleanup") or 0.0


def test_the_more_noise_the_more_is_cleaned_and_jpeg_alone_is_not():
    assert judged(noise=0.2) == judged(noise=3, level=12) == judged(noise=0.1, level=0.2) == 0
    assert 0 < judged(noise=2, level=3) < judged(noise=4, level=5) == judged() < 1
    assert judged(scale=4) == 0 < judged(scale=3)


def test_the_poorer_a_jpeg_files_quality_the_more_is_cleaned():
    told = [judged(noise=0.2, level=6, quality=quality) for quality in (None, 98, 75, 70, 60, 20)]
    assert told == sorted(told)
    assert told[:3] == [0, 0, 0]
    assert 0 < told[3] < told[4] == told[5] == judged()
    assert judged(scale=4, noise=0.2, quality=20) == 0
    assert judged(quality=90) == judged(quality=20) == judged()


def test_what_is_cleaned_is_what_the_denoising_network_makes_of_it(tiny_weights):
    observed, restorer = tiny.picture(24, 30), serving(tiny_weights)
    cleaned = restorer.restore("denoise", observed, variant="photo", sigma=12.2, strength=0.5).photo.pixels
    first = restorer.restore("upscale", observed, variant="photo", cleanup=0.5)
    alone = restorer.restore("upscale", cleaned, variant="photo").photo.pixels
    plain = restorer.restore("upscale", observed, strength=0).photo.pixels.astype(float)
    plain_of_cleaned = restorer.restore("upscale", cleaned, strength=0).photo.pixels
    assert np.array_equal(first.photo.pixels, alone)
    assert not np.array_equal(plain, plain_of_cleaned)
    half = restorer.restore("upscale", observed, variant="photo", cleanup=0.5, strength=0.5).photo.pixels
    assert np.abs(half - (plain + alone) / 2).max() <= 1.01


def test_at_strength_zero_nothing_is_cleaned(tiny_weights):
    observed, restorer = tiny.picture(24, 30), serving(tiny_weights)
    plain = restorer.restore("upscale", observed, variant="standard", strength=0).photo.pixels
    steps = list(restorer.steps("upscale", observed, strength=0, cleanup=1))
    assert np.array_equal(steps[-1].photo.pixels, plain)
    assert [step.done for step in steps[:-1]] == [0, 1]
    cleaning = list(restorer.steps("upscale", observed, cleanup=1))
    assert [step.done for step in cleaning if isinstance(step, Progress)] == [0, 1, 0, 1]


def test_auto_cleans_first_and_says_so_and_a_network_chosen_by_hand_is_given_the_photo(tiny_weights):
    observed, restorer = tiny.picture(24, 30), serving(tiny_weights)
    done = restorer.restore("upscale", observed)
    assert done.saw == f"{SAW}cleaned first, JPEG photos"
    assert (done.controls["variant"], done.controls["cleanup"]) == ("photo", 0.5)
    assert "cleanup 0.5" in done.summary()
    again = restorer.restore("upscale", observed, **done.controls)
    assert np.array_equal(again.photo.pixels, done.photo.pixels)
    off = restorer.restore("upscale", observed, cleanup="0")
    by_hand = restorer.restore("upscale", observed, variant="photo")
    assert (off.saw, by_hand.controls["cleanup"]) == (f"{SAW}JPEG photos", 0)
    assert np.array_equal(off.photo.pixels, by_hand.photo.pixels)
    assert not np.array_equal(off.photo.pixels, done.photo.pixels)


@pytest.mark.parametrize("harm", [None, Harm(0, 0, 0, 0, 0)])
def test_whoever_asks_for_it_has_a_photo_cleaned_that_looks_clean(tiny_weights, harm):
    observed, restorer = tiny.picture(24, 30), serving(tiny_weights, harm)
    results = [restorer.restore("upscale", observed, cleanup=cleanup).photo.pixels for cleanup in (0, 1)]
    assert restorer.restore("upscale", observed).controls["cleanup"] == 0
    assert not np.array_equal(*results)


def test_without_weights_for_it_nothing_is_cleaned_and_that_is_said(tiny_weights, tmp_path):
    folder = tmp_path / "weights"
    shutil.copytree(tiny_weights, folder)
    entries = read_index(folder / INDEX)
    write_index(folder, {name: entry for name, entry in entries.items() if name != "denoise-photo"})
    observed, restorer = tiny.picture(24, 30), serving(folder)
    for asked in ({}, {"cleanup": 1}):
        done = restorer.restore("upscale", observed, **asked)
        assert (done.saw, done.controls["cleanup"]) == (f"{SAW}JPEG photos", 0)
        assert "nothing was cleaned up first: there are no weights denoise-photo" in done.notes
    assert not restorer.restore("upscale", observed, variant="photo").notes


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_photos_of_all_kinds_are_cleaned_in_tiles_as_the_whole(tiny_weights, channels):
    observed = tiny.picture(61, 83, channels)
    if channels == 4:
        assert serving(tiny_weights).restore("upscale", observed, cleanup=1, wrap=True).photo.alpha is not None
        return
    restorer = serving(tiny_weights)
    assert_tiled_is_whole(restorer, "upscale", [(observed, None, 32)], {"cleanup": 1.0, "variant": "photo"})


def test_the_page_leaves_it_to_auto_until_the_slider_is_moved():
    import gradio as gr

    with gr.Blocks():
        panel = ControlPanel(TASKS["upscale"].offering(EVERY))
    given = lambda variant, automatic: panel.given((variant, 2, 1.0, 0.7, automatic, False))["cleanup"]
    assert (given("auto", True), given("auto", False), given("photo", True)) == (None, 0.7, 0.7)
    assert "Estimated" not in panel._component("cleanup").info
