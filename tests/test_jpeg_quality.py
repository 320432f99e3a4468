"""A JPEG file's own tables say how strongly it was compressed, whatever kind of JPEG it is; nothing else does."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tiny
from photo_files import camera_exif, file_of
from PIL import Image, JpegPresets

from deconvdemo.image.apart import OWN_FILES
from deconvdemo.image.apart.answer import packed, unpacked
from deconvdemo.image.formats.jpeg_quality import nearest, standard
from deconvdemo.image.photo import Photo
from deconvdemo.image.reading import read_photo

PICTURE = Image.fromarray(tiny.picture(40, 56))
TABLES = b"\xff\xdb"


def quality(data) -> int | None:
    """As a file opened in this process, by Pillow first, and in a process apart."""
    told = {read_photo(data).quality, read_photo(Image.open(io.BytesIO(data))).quality, OWN_FILES.open(data).quality}
    assert len(told) == 1
    return told.pop()


@pytest.mark.parametrize("told", [1, 40, 75, 95, 100])
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGB", {"progressive": True, "subsampling": 0}),
        ("L", {}),
        ("L", {"progressive": True}),
        ("CMYK", {}),
        ("RGB", {"exif": camera_exif(6)}),
    ],
)
def test_a_file_says_its_quality(mode, options, told):
    assert quality(file_of(PICTURE.convert(mode), "JPEG", quality=told, **options)) == told


def test_of_several_pictures_it_is_the_first_ones():
    data = file_of(PICTURE, "MPO", quality=37, save_all=True, append_images=[PICTURE.rotate(180)])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert quality(data) == 37


def test_pixels_alone_say_none():
    data = file_of(PICTURE, "JPEG", quality=40)
    pixels = read_photo(data).pixels
    for form in ("PNG", "TIFF", "WEBP", "GIF"):
        assert quality(file_of(Image.fromarray(pixels), form)) is None
    assert read_photo(pixels).quality is None
    assert read_photo(data).with_pixels(pixels).quality is None  # a result is no longer what the file was


def test_each_standard_table_is_its_own_quality():
    assert [nearest(standard(told)) for told in range(1, 101)] == [*range(1, 101)]


def test_other_programs_tables_are_placed_between_them():
    told = [quality(file_of(PICTURE, "JPEG", quality=name)) for name in ("low", "medium", "high", "maximum")]
    assert told == sorted(set(told))
    assert JpegPresets.presets["low"]["quantization"][0][0] > standard(50)[0]  # coarse where it is seen
    assert told[0] < 60 < 90 < told[-1]


def test_luma_has_the_table_that_it_names():
    data = bytearray(file_of(PICTURE, "JPEG", quality=30))
    frame = data.index(b"\xff\xc0")
    assert data[frame + 10 : frame + 13] == bytes([1, 0x22, 0])
    whole = quality(bytes(data))
    data[frame + 12] = 1  # chroma's
    image: Any = Image.open(io.BytesIO(data))
    assert quality(bytes(data)) == nearest(image.quantization[1]) != whole


def with_steps(steps, wide=False) -> bytes:
    """A file of quality 40 whose table for luma has other steps."""
    data = file_of(PICTURE.convert("L"), "JPEG", quality=40)
    start = data.index(TABLES)
    (length,) = struct.unpack_from(">H", data, start + 2)
    table = bytes([0x10 if wide else 0]) + struct.pack(">64H" if wide else ">64B", *steps)
    return data[:start] + TABLES + struct.pack(">H", 2 + len(table)) + table + data[start + 2 + length :]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (with_steps([0] * 64), None),
        (with_steps([0] + [9] * 63), None),
        (with_steps([1] * 64), 100),
        (with_steps([255] * 64), 1),
        (with_steps([60_000] * 64, wide=True), 1),
    ],
)
def test_hostile_tables_never_fail(data, told):
    assert quality(data) == told


@pytest.mark.parametrize("told", [None, [], {}, {0: None}, {0: [1] * 63}, {0: ["a"] * 64}, {1: [1] * 64}])
def test_whatever_a_pillow_image_says_of_its_tables_it_is_read(told):
    image: Any = Image.open(io.BytesIO(file_of(PICTURE, "JPEG")))
    image.load()
    image.quantization = told
    assert read_photo(image).quality is None
    del image.layer
    assert read_photo(image).quality is None


@pytest.mark.parametrize("told", [0, 101, -1, 50.0, "50", True, [50]])
def test_a_process_apart_that_tells_an_odd_quality_is_not_believed(told):
    photo = Photo(np.zeros((1, 1, 3), np.uint8), format="JPEG", quality=50)
    answer, _ = packed(photo)
    block = np.zeros(answer["size"], np.uint8)
    assert unpacked(answer, block).quality == 50
    with pytest.raises(ValueError, match=r"quality|whole number"):
        unpacked(answer | {"quality": told}, block)
