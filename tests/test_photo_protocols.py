"""Photos by protocol: what is judged is known, the same at every run, and worse the higher the ISO and the loss."""

import json

import numpy as np
import pytest
import tiny
from PIL import Image

from deconvdemo.checkpoints.checkpoint import Checkpoint, Header
from deconvdemo.cli import main
from deconvdemo.engine.device import Compute
from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.evaluation.evaluate import classical_method, evaluate
from deconvdemo.evaluation.measure import network_scores
from deconvdemo.evaluation.protocols import cases, require_photo_protocol
from deconvdemo.image.metrics import psnr
from deconvdemo.tasks import PHOTO
from deconvdemo.tasks.denoise import ISOS
from deconvdemo.tasks.upscale import QUALITIES


@pytest.fixture
def folder(tmp_path):
    for number, size in enumerate([(49, 62), (60, 45)]):
        Image.fromarray(np.roll(tiny.picture(*size), 10 * number, axis=1)).save(tmp_path / f"image{number}.png")
    return tmp_path


def test_cameras_are_the_same_at_every_run_and_noisier_at_a_higher_iso(folder):
    once, again = (cases("denoise", folder, variant=PHOTO) for _ in range(2))
    assert [case.setting for case in once] == [f"camera ISO {iso}" for iso in ISOS] * 2
    for case, same in zip(once, again, strict=True):
        assert np.array_equal(case.observed, same.observed)
        assert case.observed.dtype == np.uint8
        assert case.controls == {}  # nobody knows a photo's sigma
    scores = evaluate("nothing", classical_method("denoise", "nothing"), once)
    figures = [score.measured["PSNR"] for score in scores]
    assert figures == sorted(figures, reverse=True)
    assert 20 < figures[-1] < figures[0] < 45
    clean = np.asarray(Image.open(folder / "image0.png"))
    assert once[0].score(once[0].observed)["PSNR"] == psnr(once[0].observed, clean)


def test_real_pairs_are_taken_as_they_are(tmp_path):
    clean = tiny.picture(40, 40)
    Image.fromarray(clean).save(tmp_path / "lamp_clean.png")
    Image.fromarray(clean // 2).save(tmp_path / "lamp_noisy.png")
    [case] = cases("denoise", tmp_path, variant=PHOTO)
    assert case.setting == "real noise"
    assert np.array_equal(case.observed, clean // 2)


def test_small_jpegs_are_judged_as_small_images_are(folder):
    plain = cases("upscale", folder, {"scale": (2, 3)})
    found = cases("upscale", folder, {"scale": (2, 3)}, PHOTO)
    assert [case.setting for case in found[: 2 * len(QUALITIES)]] == [
        f"×{scale} jpeg {quality}" for scale in (2, 3) for quality in QUALITIES
    ]
    enlarge = classical_method("upscale", "bicubic")
    figure = {score.setting: score.measured["PSNR"] for score in evaluate("bicubic", enlarge, [*plain, *found])}
    for scale in (2, 3):
        assert figure[f"×{scale}"] > figure[f"×{scale} jpeg 75"] > figure[f"×{scale} jpeg 40"]


def test_what_has_no_photo_protocol_is_refused(tmp_path):
    with pytest.raises(ControlError, match="no photo protocol for 'inpaint': evaluate denoise or upscale"):
        require_photo_protocol("inpaint")
    with pytest.raises(TrainingError, match="is not a folder"):
        cases("denoise", tmp_path / "missing", variant=PHOTO)


@pytest.mark.parametrize(
    ("variant", "settings"), [("", ["sigma 25"]), ("photo", [f"camera ISO {iso}" for iso in ISOS])]
)
def test_a_network_is_measured_on_what_its_variant_is_for(folder, variant, settings):
    header = Header("DeconvUNet", tiny.SIZES["DeconvUNet"], "denoise", variant=variant)
    checkpoint = Checkpoint(header, tiny.network("DeconvUNet").state_dict(), sha256="", source="a test")
    scores = network_scores(checkpoint, folder, Compute("cpu", "fp32", "a test"), {"sigma": (25.0,)})
    assert [score.setting for score in scores] == settings


def test_the_command_measures_photos(folder, tiny_weights, capsys):
    command = ["evaluate", "upscale", "--photo", "--images", str(folder), "--scale", "2"]
    assert main([*command, "--json", "--weights", str(tiny_weights)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["setting"] for row in rows} == {"×2 jpeg 75", "×2 jpeg 40"}
    assert {row["method"] for row in rows} == {"network", "bicubic", "lanczos"}
    for wrong in (["evaluate", "inpaint", "--photo", "--images", str(folder)], ["evaluate", "--all", "--photo"]):
        assert main(wrong) == 2
        error = capsys.readouterr().err
        assert "photo" in error
        assert error.count("\n") == 1
