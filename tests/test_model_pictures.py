"""A model card's pictures: what weights do to a photo that the project may show."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import tiny
from PIL import Image

from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.errors import ControlError
from deconvdemo.image.metrics import psnr
from deconvdemo.release.pictures import GAP, SIDE, caption, picture
from deconvdemo.tasks import TASKS


def tiles(data: bytes) -> list[np.ndarray]:
    """Observed, restored, clean."""
    with Image.open(BytesIO(data)) as strip:
        pixels = np.asarray(strip.convert("RGB"))
    assert pixels.shape == (SIDE, 3 * SIDE + 2 * GAP, 3)
    return [pixels[:, start : start + SIDE] for start in range(0, pixels.shape[1], SIDE + GAP)]


@pytest.fixture(scope="module")
def bundled() -> dict[str, Checkpoint]:
    weights = Weights()
    return {name: weights.load(name) for name in ("denoise-fast", "upscale-x3", "upscale-x4-photo")}


@pytest.mark.parametrize("name", ["denoise-fast", "upscale-x3", "upscale-x4-photo"])
def test_bundled_weights_are_seen_to_restore_in_a_small_file(bundled, name):
    data = picture(bundled[name])
    assert len(data) < 150_000
    observed, restored, clean = tiles(data)
    assert psnr(restored, clean) > psnr(observed, clean) + 1
    assert picture(bundled[name]) == data


@pytest.mark.parametrize("name", TASKS)
def test_every_network_that_a_task_offers_has_a_picture_and_its_words(tiny_weights, name):
    for choices in TASKS[name].combinations():
        checkpoint = load_checkpoint(tiny_weights / f"{TASKS[name].weights(choices)}.safetensors")
        observed, restored, clean = tiles(picture(checkpoint))
        assert not np.array_equal(observed, clean)
        assert not np.array_equal(restored, observed)
        assert caption(checkpoint.header).endswith(")")


def test_weights_that_no_task_offers_have_none(tmp_path):
    tiny.weights_file(tmp_path, TASKS["denoise"], {"variant": "standard"})
    found = load_checkpoint(tmp_path / "denoise.safetensors")
    unknown = replace(found, header=replace(found.header, variant="unheard"))
    assert caption(unknown.header) == ""
    with pytest.raises(ControlError, match="no task offers denoise-unheard"):
        picture(unknown)
