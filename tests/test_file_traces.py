"""What a JPEG file's tables say reaches whoever restores it: on the page, on the command line, in Python."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from gradio.data_classes import ImageData
from photo_files import file_of
from PIL import Image

from deconvdemo.checkpoints.serving import Weights
from deconvdemo.cli import main
from deconvdemo.engine.restorer import Restorer
from deconvdemo.tasks import TASKS
from deconvdemo.tasks.harm import Harm
from deconvdemo.web.components.photo_input import PhotoInput
from deconvdemo.web.restore.service import RestoreService

UNSEEN = Harm(level=0.5, noise=0.1, white=0.01, jpeg=0.1, blur=0.0)  # by the pixels it is a clean photo
PICTURE = Image.fromarray(tiny.picture(24, 32))
NOTHING = "a clean photo, nothing to remove"
FILES = {
    "coarse.jpg": ("JPEG", {"quality": 40}),
    "progressive.jpg": ("JPEG", {"quality": 40, "progressive": True}),
    "several.jpg": ("MPO", {"quality": 40, "save_all": True, "append_images": [PICTURE]}),
    "editor.jpg": ("JPEG", {"quality": "web_low"}),
    "fine.jpg": ("JPEG", {"quality": 98}),
    "plain.png": ("PNG", {}),
}
SAID = {
    name: "JPEG traces (quality 40): Camera photos" for name in ("coarse.jpg", "progressive.jpg", "several.jpg")
} | {"editor.jpg": "JPEG traces (quality 35): Camera photos", "fine.jpg": NOTHING, "plain.png": NOTHING}


@pytest.fixture(scope="module")
def weights(tiny_weights, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("with_judge") / "weights"
    shutil.copytree(tiny_weights, folder)
    tiny.judge_of(folder, UNSEEN)
    return folder


@pytest.fixture(scope="module")
def restorer(weights) -> Restorer:
    return Restorer.load(Weights(weights), "cpu", "fp32")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, (form, options) in FILES.items():
        (folder / name).write_bytes(file_of(PICTURE, form, **options))
    return folder


@pytest.mark.parametrize("name", FILES)
def test_python_and_the_page_see_what_the_file_says(restorer, files, tmp_path, monkeypatch, name):
    done = restorer.restore("denoise", files / name)
    assert done.saw == SAID[name]
    assert done.is_as_it_was == (done.saw == NOTHING)
    assert restorer.restore("denoise", done.photo).saw == NOTHING  # its pixels are no longer the file's
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path = PhotoInput(type="filepath").preprocess(ImageData(path=str(files / name)))
    service = RestoreService(TASKS["denoise"].offering(restorer.weights.names()), restorer, None)
    assert service.saw(service.open(path, "a visit")) == SAID[name]
    service.close("a visit")


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_files_say_it_too(restorer, mode):
    data = file_of(PICTURE.convert(mode), "JPEG", quality=40)
    assert restorer.restore("denoise", data).saw == SAID["coarse.jpg"]


def test_the_same_pixels_in_a_png_have_the_pixels_word(restorer, files):
    pixels = np.asarray(Image.open(files / "coarse.jpg"))
    for source in (pixels, file_of(Image.fromarray(pixels), "PNG")):
        assert restorer.restore("denoise", source).saw == NOTHING
    assert restorer.restore("upscale", files / "coarse.jpg").saw == "JPEG traces (quality 40): Clean pictures"


def test_the_command_line_says_it(weights, files, tmp_path, capsys):
    asked = [str(files / name) for name in ("coarse.jpg", "plain.png")]
    assert (
        main(
            [
                "denoise",
                *asked,
                "--weights",
                str(weights),
                "--device",
                "cpu",
                "--precision",
                "fp32",
                "-o",
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
    said = capsys.readouterr()
    assert [line.count(SAID["coarse.jpg"]) + 2 * line.count(NOTHING) for line in said.out.splitlines()[:2]] == [1, 2]
