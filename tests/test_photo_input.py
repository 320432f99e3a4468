"""What the page hands over as a photo: uploads as they came, pasted and camera pictures, and previews."""

from __future__ import annotations

import base64
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from demo_app import png
from gradio.data_classes import ImageData
from tiny import picture

from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import encode_photo
from deconvdemo.web.components.photo_input import PhotoInput
from deconvdemo.web.components.previews import preview


@pytest.fixture
def place(tmp_path, monkeypatch) -> PhotoInput:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return PhotoInput(type="filepath")


def test_a_pasted_or_camera_picture_arrives_to_the_pixel(place):
    url = "data:image/png;base64," + base64.b64encode(png(picture(24, 32))).decode()
    path = place.preprocess(ImageData(url=url))
    np.testing.assert_array_equal(read_photo(path).pixels, picture(24, 32))


def test_a_damaged_pasted_picture_is_one_sentence(place):
    with pytest.raises(gr.Error, match="arrived damaged"):
        place.preprocess(ImageData(url="data:image/png;base64,%%%"))


def test_no_photo_is_none(place):
    assert place.preprocess(None) is None
    assert place.preprocess(ImageData()) is None


@pytest.mark.parametrize(("form", "drawn"), [("PNG", True), ("JPEG", True), ("TIFF", False)])
def test_what_browsers_cannot_draw_has_a_preview_that_stands_for_the_original(place, tmp_path, form, drawn):
    path = tmp_path / "photo.dat"
    path.write_bytes(encode_photo(read_photo(picture(24, 32, dtype=np.uint16)), form))
    photo = read_photo(path)
    shown = preview(str(path), photo)
    assert (shown == str(path)) == drawn
    np.testing.assert_array_equal(read_photo(shown).pixels, photo.pixels)
    assert place.preprocess(ImageData(path=shown)) == str(path)


def test_a_file_that_is_only_called_a_preview_is_taken_as_it_is(place, tmp_path):
    path = tmp_path / "photo.preview.png"
    path.write_bytes(png(picture(8, 8)))
    assert place.preprocess(ImageData(path=str(path))) == str(path)
    assert Path(path).is_file()
