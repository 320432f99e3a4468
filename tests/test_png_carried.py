"""PNG: text goes along into a download, profiles of any size, and the transparent level of every depth."""

import struct
import zlib

import numpy as np
import pytest
from photo_files import SRGB, chunk, png, random_photo, with_chunks

from deconvdemo.image.lossless import lossless
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import encode_photo


def enlarged(photo, scale=2):
    return photo.with_pixels(photo.pixels.repeat(scale, 0).repeat(scale, 1))


# --- text ------------------------------------------------------------------------------------------------------

TEXTS = (
    (b"tEXt", b"Author\0somebody"),
    (b"zTXt", b"workflow\0\0" + zlib.compress(b'{"node": 1}' * 200_000)),
    (b"iTXt", "parameters\0\0\0\0\0a cat, naïve".encode()),
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_text_goes_into_a_png_download_and_nowhere_else(dtype):
    photo = read_photo(with_chunks(encode_photo(random_photo(dtype=dtype), "PNG"), *TEXTS))
    assert photo.notes == ()
    assert read_photo(encode_photo(enlarged(photo))).texts == TEXTS
    stored = [encode_photo(photo, metadata=False), lossless(photo)]
    for data in (*stored, *(encode_photo(photo, form) for form in ("JPEG", "WEBP", "TIFF"))):
        for secret in (b"Author", b"workflow", b"parameters", b"somebody"):
            assert secret not in data


def test_more_text_than_is_carried_is_told(monkeypatch):
    monkeypatch.setattr("deconvdemo.image.formats.png_chunks.LARGEST_TEXT", 1000)
    texts = [(b"tEXt", b"a\0" + b"x" * 900), (b"tEXt", b"b\0" + b"y" * 900), (b"tEXt", b"c\0z")]
    photo = read_photo(with_chunks(encode_photo(random_photo(), "PNG"), *texts))
    assert photo.texts == (texts[0], texts[2])
    assert "of text were left out" in photo.notes[0]


def test_a_profile_of_megabytes_is_kept():
    profile = SRGB + np.random.default_rng(0).bytes(1_500_000)
    for dtype in (np.uint8, np.uint16):
        photo = read_photo(
            with_chunks(encode_photo(random_photo(dtype=dtype), "PNG"), (b"iCCP", b"x\0\0" + zlib.compress(profile)))
        )
        assert photo.icc == profile
        assert read_photo(encode_photo(photo)).icc == profile


def test_a_profile_that_is_no_deflate_is_left_out_and_told():
    photo = read_photo(with_chunks(encode_photo(random_photo(), "PNG"), (b"iCCP", b"x\0\0nonsense")))
    assert photo.icc is None
    assert "profile is damaged" in photo.notes[0]


# --- transparent levels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_level_of_grey_pngs_of_any_depth(depth):
    levels = min(1 << depth, 8)
    bits = "".join(format(level, f"0{depth}b") for level in range(levels)).ljust(8, "0")
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8)
    for level in range(levels):
        photo = read_photo(png(levels, 1, depth, 0, zlib.compress(row), chunk(b"tRNS", struct.pack(">H", level))))
        top = np.iinfo(photo.pixels.dtype).max
        assert photo.alpha[0].tolist() == [0 if each == level else top for each in range(levels)]
        assert photo.pixels[0, :, 0].tolist() == [each * top // ((1 << depth) - 1) for each in range(levels)]
        again = read_photo(encode_photo(photo))
        np.testing.assert_array_equal(again.alpha, photo.alpha)


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_of_rgb_pngs(depth):
    colours = [(1, 2, 3), (1, 2, 4), (3, 2, 1)]
    row = b"\0" + b"".join(value.to_bytes(depth // 8) for colour in colours for value in colour)
    photo = read_photo(png(3, 1, depth, 2, zlib.compress(row), chunk(b"tRNS", struct.pack(">3H", *colours[1]))))
    top = (1 << depth) - 1
    assert photo.alpha.tolist() == [[top, 0, top]]
    assert photo.pixels[0].tolist() == [list(colour) for colour in colours]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_the_transparency_of_palettes_of_any_depth(depth):
    entries = 1 << depth if depth < 8 else 8
    palette = b"".join(bytes([each * 10, 10, 200 - each]) for each in range(entries))
    bits = "".join(format(each, f"0{depth}b") for each in range(entries)).ljust(8, "0")
    row = zlib.compress(b"\0" + int(bits, 2).to_bytes(len(bits) // 8))
    more = chunk(b"PLTE", palette) + chunk(b"tRNS", bytes([7, 0]))
    photo = read_photo(png(entries, 1, depth, 3, row, more))
    assert photo.alpha[0].tolist() == [7, 0, *[255] * (entries - 2)]
    assert photo.pixels[0].tolist() == [list(palette[3 * each : 3 * each + 3]) for each in range(entries)]
