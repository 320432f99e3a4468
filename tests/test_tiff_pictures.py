"""TIFF: the full picture, wherever it stands in the file."""

import io
import struct
import time

import numpy as np
import pytest
from photo_files import SRGB, assert_pixels, random_photo, tiff
from PIL import Image

from deconvdemo.errors import PhotoError
from deconvdemo.image.reading import read_photo

RGB = {"photometric": "rgb"}
LARGE = random_photo(1, 48, 64).pixels
DEEP = random_photo(2, 48, 64, dtype=np.uint16).pixels
SMALL = random_photo(3, 12, 16).pixels
EVERY_LAYOUT = pytest.mark.parametrize(
    "layout", [{"byteorder": order, "bigtiff": big} for order in "<>" for big in (False, True)], ids=str
)


# --- which picture ---------------------------------------------------------------------------------------------


@EVERY_LAYOUT
@pytest.mark.parametrize("full", [LARGE, DEEP], ids=["8 bits", "16 bits"])
def test_a_thumbnail_in_the_first_directory_is_not_the_photo(full, layout):
    in_chain = tiff((SMALL, {**RGB, "subfiletype": 1}), (full, RGB), **layout)
    inside = tiff((SMALL, {**RGB, "subfiletype": 1, "subifds": 1}), (full, RGB), **layout)
    unmarked = tiff((SMALL, RGB), (full, RGB), **layout)
    for data in (in_chain, inside, unmarked):
        assert_pixels(data, full)


def test_smaller_copies_behind_the_photo_are_nothing_to_tell():
    assert_pixels(tiff((LARGE, RGB), (SMALL, {**RGB, "subfiletype": 1})), LARGE)
    assert_pixels(tiff((LARGE, {**RGB, "subifds": 1}), (SMALL, {**RGB, "subfiletype": 1})), LARGE)


def test_pages_of_their_own_are_told():
    other = random_photo(5, 48, 64).pixels
    assert_pixels(tiff((LARGE, RGB), (other, RGB)), LARGE, "several pages: only its first one is used")
    assert_pixels(
        tiff((SMALL, {**RGB, "subfiletype": 1}), (LARGE, RGB), (other, RGB)), LARGE, "only its first full one"
    )
    assert_pixels(tiff((LARGE, RGB), (random_photo(5, 90, 40).pixels, RGB)), LARGE, "only its first one is used")


def test_what_the_first_directory_says_of_the_photo_counts():
    mark = [(274, "H", 1, 6, True), (271, "s", 0, "Testcam", True)]
    options = {**RGB, "subfiletype": 1, "subifds": 1, "extratags": mark, "iccprofile": SRGB, "resolution": (300, 300)}
    for full in (LARGE, DEEP):
        photo = assert_pixels(tiff((SMALL, options), (full, RGB)), np.rot90(full, -1))
        tags = Image.Exif()
        tags.load(photo.exif)
        assert (photo.icc, tags[271], tags[274]) == (SRGB, "Testcam", 1)


@EVERY_LAYOUT
@pytest.mark.parametrize("photometric", ["cfa", "linear_raw"])
@pytest.mark.parametrize("version", [[(50706, "B", 4, bytes([1, 4, 0, 0]), True)], []])
def test_what_a_sensor_saw_is_refused_in_words(photometric, version, layout):
    sensor = DEEP[..., 0] if photometric == "cfa" else DEEP
    preview = {**RGB, "subfiletype": 1, "subifds": 1, "extratags": version}
    in_words = f"a camera's raw file{r' .DNG.' if version else ''}: develop it first and export it as TIFF or JPEG"
    with pytest.raises(PhotoError, match=in_words):
        read_photo(tiff((SMALL, preview), (sensor, {"photometric": photometric}), **layout))
    with pytest.raises(PhotoError, match="a camera's raw file"):
        read_photo(tiff((sensor, {"photometric": photometric}), **layout))


def test_the_limit_is_on_the_full_picture():
    data = tiff((SMALL, {**RGB, "subfiletype": 1, "subifds": 1}), (LARGE, RGB))
    with pytest.raises(PhotoError, match="64×48"):
        read_photo(data, max_pixels=1000)


@pytest.mark.parametrize("back_to", [0, 1])
def test_directories_in_a_circle_end(back_to):
    data = bytearray(tiff((LARGE, RGB), (random_photo(5, 48, 64).pixels, RGB)))
    offsets = [4]  # where each directory's own offset stands
    for _ in range(2):
        (at,) = struct.unpack_from("<I", data, offsets[-1])
        offsets.append(at + 2 + 12 * struct.unpack_from("<H", data, at)[0])
    data[offsets[2] : offsets[2] + 4] = data[offsets[back_to] : offsets[back_to] + 4]
    start = time.perf_counter()
    assert_pixels(bytes(data), LARGE, "several pages")
    assert time.perf_counter() - start < 5


def test_a_directory_that_leads_to_itself_is_one_page():
    data = bytearray(tiff((LARGE, RGB)))
    (at,) = struct.unpack_from("<I", data, 4)
    struct.pack_into("<I", data, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], at)
    assert_pixels(bytes(data), LARGE)


def test_many_pages_are_told_once():
    tiny = Image.new("L", (2, 3))
    file = io.BytesIO()
    tiny.save(file, "TIFF", save_all=True, append_images=[tiny] * 150)
    assert read_photo(file.getvalue()).notes == ("TIFF of several pages: only its first one is used",)
