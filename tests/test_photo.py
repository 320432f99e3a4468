"""What came in goes out, in every format, mode and depth; and one clear sentence for each bad file."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photo_files import SRGB, assert_same_picture, camera_exif, chunk, file_of, png, random_photo, random_pixels
from PIL import Image, ImageCms, ImageOps

from deconvdemo.errors import PhotoError
from deconvdemo.image.mask_reading import open_mask
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import to_depth
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import encode_photo, to_pillow, write_photo
from deconvdemo.image.written_formats import download_format, download_suffix

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 33)


# --- what came in goes out ---------------------------------------------------------------------------------


@quick
@given(
    seeds,
    sides,
    sides,
    st.sampled_from((1, 3)),
    st.sampled_from((np.uint8, np.uint16)),
    st.booleans(),
    st.sampled_from(("PNG", "TIFF")),
    st.booleans(),
)
def test_png_and_tiff_keep_every_bit(seed, height, width, channels, dtype, alpha, form, tagged):
    photo = random_photo(seed, height, width, channels, dtype, alpha)
    if tagged:
        photo = Photo(photo.pixels, photo.alpha, icc=SRGB, exif=camera_exif())
    again = read_photo(encode_photo(photo, form))
    assert_same_picture(again, photo)
    assert (again.format, again.icc, again.is_grey) == (form, photo.icc, photo.is_grey)
    assert (again.exif is not None) == tagged
    assert (again.height, again.width, again.bit_depth) == (height, width, 8 * np.dtype(dtype).itemsize)


@quick
@given(seeds, sides, sides, st.booleans())
def test_lossless_webp_keeps_every_bit(seed, height, width, alpha):
    photo = random_photo(seed, height, width, alpha=alpha)
    again = read_photo(encode_photo(photo, "WEBP"))
    assert again.lossless
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    if alpha and (photo.alpha < 255).any():
        np.testing.assert_array_equal(again.alpha, photo.alpha)
    assert_same_picture(read_photo(encode_photo(again)), again)


def test_lossy_webp_stays_lossy_and_lossless_can_be_asked_for():
    noise = random_photo(height=64, width=64)
    lossy = read_photo(encode_photo(noise, "WEBP", lossless=False))
    assert not lossy.lossless
    assert len(encode_photo(lossy, quality=50)) < len(encode_photo(lossy, lossless=True)) / 2
    assert_same_picture(read_photo(encode_photo(lossy, lossless=True)), lossy)


@quick
@given(seeds, sides, sides, st.sampled_from((1, 3)), st.booleans())
def test_files_agree_with_independent_readers(seed, height, width, channels, alpha):
    photo = random_photo(seed, height, width, channels, np.uint16, alpha)
    samples = photo.pixels if not alpha else np.dstack([photo.pixels, photo.alpha])
    read = tifffile.imread(io.BytesIO(encode_photo(photo, "TIFF", metadata=False)))
    np.testing.assert_array_equal(read.reshape(samples.shape), samples)
    with Image.open(io.BytesIO(encode_photo(photo, "PNG"))) as image:  # Pillow cuts colours to their upper 8 bits
        assert image.size == (width, height)
        seen = np.asarray(image).reshape(height, width, -1)
        seen = seen[..., [0, 3]] if (channels, alpha) == (1, True) else seen  # which it reads as RGBA
        np.testing.assert_array_equal(seen >> (8 if seen.dtype == np.uint16 else 0), samples >> 8)
    eight = random_photo(seed, height, width, channels, np.uint8, alpha)
    with Image.open(io.BytesIO(encode_photo(eight, "TIFF"))) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(to_pillow(eight)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_grey_stays_grey_and_quality_95_is_close(form, channels):
    ramp = np.broadcast_to(np.linspace(20, 230, 64).astype(np.uint8)[:, None, None], (64, 48, channels))
    again = read_photo(encode_photo(Photo(np.ascontiguousarray(ramp)), form))
    assert again.is_grey == (channels == 1 and form != "WEBP")  # WebP has no grey
    assert np.abs(again.pixels.astype(int) - ramp).max() <= 2


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P"])
def test_eight_bit_tiffs_are_read(mode, compression):
    image = to_pillow(random_photo(channels=3, alpha=True)).convert(mode)
    photo = read_photo(file_of(image, "TIFF", compression=compression))
    np.testing.assert_array_equal(
        np.asarray(to_pillow(photo)),
        np.asarray(image.convert("RGB" if mode == "P" else "L" if mode == "1" else mode)),
    )


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("layout", ["contiguous", "planes", "big-endian", "deflated", "tiled"])
def test_deep_tiffs_are_read(channels, dtype, layout):
    if channels == 1 and layout == "planes":
        pytest.skip("one channel has no planes")
    samples = random_pixels(1, 20, 18, channels, dtype)
    options = {
        "planes": {"planarconfig": "separate"},
        "big-endian": {"byteorder": ">"},
        "deflated": {"compression": "deflate"},
        "tiled": {"tile": (16, 16)},
    }.get(layout, {})
    if layout in ("contiguous", "big-endian", "deflated", "tiled") and channels > 1:
        options["planarconfig"] = "contig"
    data = samples[..., 0] if channels == 1 else np.moveaxis(samples, -1, 0) if layout == "planes" else samples
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.ascontiguousarray(data),
        photometric="rgb" if channels > 2 else "minisblack",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        iccprofile=SRGB,
        **options,
    )
    photo = read_photo(file.getvalue())
    assert_same_picture(photo, read_photo(samples))
    assert photo.icc == SRGB


def test_lzw_tiff_of_16_bits_is_read():
    import cv2

    photo = random_photo(dtype=np.uint16, height=40, width=31)
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    assert_same_picture(read_photo(cv2.imencode(".tif", photo.pixels[..., ::-1], lzw)[1].tobytes()), photo)


def test_planes_in_a_compression_that_nothing_reads_are_refused():
    file = io.BytesIO()
    planes = random_pixels(0, 3, 20, 18, np.uint16)
    tifffile.imwrite(file, planes, photometric="rgb", planarconfig="separate", compression="deflate")
    claims_lzw = file.getvalue().replace(struct.pack("<HHIH", 259, 3, 1, 32946), struct.pack("<HHIH", 259, 3, 1, 5))
    with pytest.raises(PhotoError, match="unusual TIFF compression"):
        read_photo(claims_lzw)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 8}, {"compression": "deflate"}, {"tile": (16, 16)}])
def test_cut_off_tiffs_with_their_directory_first_are_refused(dtype, options):
    file = io.BytesIO()
    tifffile.imwrite(file, random_pixels(0, 64, 64, 3, dtype), photometric="rgb", **options)
    data = file.getvalue()
    assert read_photo(data).width == 64
    for share in (0.5, 0.9):
        with pytest.raises(PhotoError, match="cut-off TIFF"):
            read_photo(data[: int(share * len(data))])


def test_white_is_zero_and_premultiplied_tiffs_are_understood():
    grey = random_pixels(0, 5, 4, 1, np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, 65535 - grey[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(read_photo(file.getvalue()).pixels, grey)
    half = np.full((3, 3, 4), 20000, np.uint16)
    half[..., 3] = 40000
    file = io.BytesIO()
    tifffile.imwrite(file, half, photometric="rgb", extrasamples=["assocalpha"])
    assert (read_photo(file.getvalue()).pixels == 32768).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_float_is_written_as_16_bit_and_clipped(form):
    photo = read_photo(np.array([[-0.5, 0.0, 1 / 3, 1.0, 1.5]]))
    assert photo.pixels.dtype == np.float32
    again = read_photo(encode_photo(photo, form))
    assert again.pixels[0, :, 0].tolist() == [0, 0, 21845, 65535, 65535]


@given(st.integers(0, 65535))
def test_depths_are_rounded_not_cut(level):
    deep = np.array([[[level]]], np.uint16)
    assert to_depth(deep, np.uint8).item() == round(level / 257)
    assert to_depth(to_depth(deep, np.float32), np.uint16).item() == level
    assert to_depth(to_depth(deep, np.uint8), np.uint16).item() == round(level / 257) * 257
    shown = read_photo(encode_photo(Photo(deep), "WEBP")).pixels
    assert (shown == round(level / 257)).all()


def test_jpeg_lays_transparency_on_white():
    photo = Photo(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8))
    assert read_photo(encode_photo(photo, "JPEG")).pixels.min() >= 254
    assert to_pillow(Photo(photo.pixels, photo.alpha + 128)).mode == "RGBA"
    half = read_photo(encode_photo(Photo(photo.pixels, photo.alpha + 128), "JPEG"))
    assert abs(int(half.pixels[8, 8, 0]) - 127) <= 1


def test_phone_jpegs_with_a_second_picture_are_jpegs():
    data = file_of(Image.new("RGB", (16, 8)), "MPO", save_all=True, append_images=[Image.new("RGB", (16, 8))])
    for photo in (read_photo(data), read_photo(Image.open(io.BytesIO(data)))):
        assert (photo.format, photo.lossless) == ("JPEG", False)
        assert photo.notes == ("JPEG of 2 pictures: only its first one is used",)


def test_view_modes():
    modes = [to_pillow(random_photo(channels=c, alpha=a, dtype=np.uint16)).mode for c in (1, 3) for a in (False, True)]
    assert modes == ["L", "LA", "RGB", "RGBA"]
    assert to_pillow(Photo(np.zeros((1, 1, 3), np.uint8), icc=SRGB)).info["icc_profile"] == SRGB


# --- modes of what comes in --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_formats_are_named_and_come_back_in_themselves(form, tmp_path):
    path = tmp_path / "wrongly named.png"
    path.write_bytes(file_of(to_pillow(random_photo(height=16, width=16)), form))
    photo = read_photo(path)
    kept = form if form in ("JPEG", "PNG", "WEBP", "TIFF") else "PNG"
    assert (photo.format, download_format(photo)) == (form, kept)
    assert read_photo(encode_photo(photo)).format == kept
    assert read_photo(write_photo(photo, tmp_path / f"out{download_suffix(photo)}")).format == kept


def test_heic_comes_back_as_jpeg_and_is_turned_once():
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.new("RGB", (64, 32), (200, 0, 0))
    image.paste((0, 0, 200), (0, 0, 32, 32))
    file = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    pillow_heif.from_pillow(image).save(file, exif=exif.tobytes(), quality=95)
    photo = read_photo(file.getvalue())
    assert (photo.width, photo.height, photo.format, download_suffix(photo)) == (32, 64, "HEIF", ".jpg")
    assert photo.pixels[8, 16, 2] > 150  # blue, which was on the left, is on top
    assert photo.pixels[56, 16, 0] > 150
    with pytest.raises(PhotoError, match=r"64×32|32×64"):
        read_photo(file.getvalue(), max_pixels=2047)


def test_palettes_become_colours_or_grey_with_their_transparency():
    colours = Image.new("P", (2, 1))
    colours.putpalette([255, 0, 0, 0, 0, 255])
    colours.putpixel((1, 0), 1)
    photo = read_photo(file_of(colours, "PNG", transparency=1))
    assert photo.pixels.tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert photo.alpha.tolist() == [[255, 0]]
    assert read_photo(file_of(colours, "PNG", transparency=bytes([7, 90]))).alpha.tolist() == [[7, 90]]
    assert read_photo(file_of(colours, "GIF", transparency=1)).alpha.tolist() == [[255, 0]]
    colours.putpalette([9, 9, 9, 77, 77, 77])
    grey = read_photo(file_of(colours, "PNG"))
    assert grey.pixels.tolist() == [[[9], [77]]]
    assert grey.alpha is None


def test_one_bit_is_grey_with_its_transparency():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert read_photo(file_of(image, "PNG")).pixels.tolist() == [[[0], [255]]]
    photo = read_photo(file_of(image, "PNG", transparency=1))
    assert photo.alpha.tolist() == [[255, 0]]


def test_transparent_levels_of_16_bit_pngs():
    grey = png(2, 1, 16, 0, zlib.compress(b"\0\1\2\3\4"), chunk(b"tRNS", b"\3\4"))
    assert read_photo(grey).pixels.tolist() == [[[0x0102], [0x0304]]]
    assert read_photo(grey).alpha.tolist() == [[65535, 0]]
    colour = png(2, 1, 16, 2, zlib.compress(b"\0\1\2\3\4\5\6\7\7\7\7\7\7"), chunk(b"tRNS", b"\1\2\3\4\5\6"))
    assert read_photo(colour).pixels[0, 0].tolist() == [0x0102, 0x0304, 0x0506]
    assert read_photo(colour).alpha.tolist() == [[0, 65535]]


@pytest.mark.parametrize(
    ("mode", "dtype", "channels", "alpha"),
    [
        ("1", np.uint8, 1, False),
        ("L", np.uint8, 1, False),
        ("LA", np.uint8, 1, True),
        ("La", np.uint8, 1, True),
        ("P", np.uint8, 3, False),
        ("PA", np.uint8, 3, True),
        ("RGB", np.uint8, 3, False),
        ("RGBA", np.uint8, 3, True),
        ("RGBa", np.uint8, 3, True),
        ("RGBX", np.uint8, 3, False),
        ("CMYK", np.uint8, 3, False),
        ("YCbCr", np.uint8, 3, False),
        ("HSV", np.uint8, 3, False),
        ("I", np.uint16, 1, False),
        ("I;16", np.uint16, 1, False),
        ("F", np.float32, 1, False),
    ],
)
def test_every_pillow_mode_is_taken_and_left_alone(mode, dtype, channels, alpha):
    image = to_pillow(random_photo(alpha=True))
    for step in {
        "La": ("LA",),
        "P": ("RGB",),
        "PA": ("P",),
        "F": ("L",),
        "I": ("L",),
        "I;16": ("L", "I"),
    }.get(mode, ()):
        image = image.convert(step)
    image = image.convert(mode) if mode != "F" else Image.fromarray(np.asarray(image, np.float32) / 300)
    before = (image.mode, image.tobytes(), dict(image.info))
    photo = read_photo(image)
    assert photo.pixels.shape == (7, 5, channels)
    assert photo.pixels.dtype == dtype
    assert (photo.alpha is not None) == alpha
    assert (image.mode, image.tobytes(), image.info) == before


def test_pillow_image_keeps_values_of_16_bits():
    levels = random_pixels(0, 4, 6, 1, np.uint16)
    np.testing.assert_array_equal(read_photo(Image.fromarray(levels[..., 0])).pixels, levels)
    np.testing.assert_array_equal(read_photo(Image.fromarray(levels[..., 0].astype(np.int32))).pixels, levels)
    with pytest.raises(PhotoError, match="0 to 65535"):
        read_photo(Image.fromarray(np.array([[70000]], np.int32)))


def test_cmyk_becomes_rgb_and_says_so():
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    photo = read_photo(file_of(cmyk, "JPEG", quality=100))
    assert photo.pixels[0, 0, 0] > 200
    assert photo.pixels[0, 0, 1] < 60
    assert photo.icc is None
    assert any("CMYK" in note for note in photo.notes)
    broken = read_photo(file_of(cmyk, "TIFF", icc_profile=b"no profile at all"))
    assert broken.icc is None
    assert "unusable" in broken.notes[0]


def test_cmyk_goes_through_its_profile(monkeypatch):
    # no CMYK profile may be redistributed here: what matters is that the file's own one is asked
    asked = []

    def profile_to_profile(image, source, target, outputMode):
        asked.append(source.read())
        return Image.new(outputMode, image.size, (1, 2, 3))

    monkeypatch.setattr(ImageCms, "profileToProfile", profile_to_profile)
    photo = read_photo(file_of(Image.new("CMYK", (4, 4)), "JPEG", icc_profile=b"a press"))
    assert asked == [b"a press"]
    assert photo.pixels[0, 0].tolist() == [1, 2, 3]
    assert b"RGB" in photo.icc[:40]


def test_animations_and_pages_give_their_first_picture_and_say_so():
    red, blue = (Image.new("RGB", (8, 6), colour) for colour in ("red", "blue"))
    for form, options in {"GIF": {}, "WEBP": {"lossless": True}, "PNG": {}, "TIFF": {}}.items():
        photo = read_photo(file_of(red, form, save_all=True, append_images=[blue], **options))
        assert photo.pixels[3, 3].tolist() == [255, 0, 0], form
        assert len(photo.notes) == 1, photo.notes
        assert "first" in photo.notes[0]
        assert photo.notes[0].find(form) >= 0
    assert read_photo(file_of(red, "GIF")).notes == ()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_thin_photos(form, height, width):
    photo = random_photo(height=height, width=width)
    again = read_photo(encode_photo(photo, form))
    assert again.pixels.shape == photo.pixels.shape


def test_too_long_for_a_format_is_explained_and_downloaded_as_png():
    photo = random_photo(height=1, width=16384, format="WEBP")
    assert download_format(photo) == "PNG"
    with pytest.raises(PhotoError, match="16384×1, but WEBP holds at most 16383 a side"):
        encode_photo(photo, "WEBP")
    assert download_format(random_photo(height=1, width=16384, format="JPEG")) == "JPEG"


# --- metadata ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_once_and_reset(form, order, orientation):
    stored = Image.fromarray(np.kron(random_pixels(3, 2, 3, 3, np.uint8), np.ones((16, 16, 1), np.uint8)))
    options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
    data = file_of(stored, form, exif=camera_exif(orientation, order), **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, expected)
    for again in (read_photo(encode_photo(photo, "PNG")), read_photo(encode_photo(photo, "TIFF"))):
        np.testing.assert_array_equal(again.pixels, expected)
        tags = Image.Exif()
        tags.load(again.exif)
        assert tags.get(274, 1) == 1
        assert tags[271] == "Deconvolver"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_orientation_of_16_bit_files(form, orientation):
    stored = random_photo(dtype=np.uint16, alpha=True, height=2, width=3, exif=camera_exif(orientation))
    photo = read_photo(encode_photo(stored, form))
    upright = ImageOps.exif_transpose(with_orientation(to_pillow(stored), orientation))
    np.testing.assert_array_equal(to_depth(photo.pixels, np.uint8), np.asarray(upright)[..., :3])
    np.testing.assert_array_equal(to_depth(photo.alpha, np.uint8), np.asarray(upright)[..., 3])


def with_orientation(image, orientation):
    image.getexif()[274] = orientation
    return image


def test_pillow_images_are_turned_upright_too():
    image = with_orientation(Image.new("L", (4, 2)), 6)
    photo = read_photo(image)
    assert (photo.width, photo.height) == (2, 4)
    assert image.size == (4, 2)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_and_profile_survive_and_exif_can_be_stripped(form, dtype, order, tmp_path):
    photo = random_photo(dtype=dtype, icc=SRGB, exif=camera_exif(order=order))
    for data in (encode_photo(photo, form), write_photo(photo, tmp_path / f"a.{form.lower()}").read_bytes()):
        assert read_photo(data).icc == SRGB
        with Image.open(io.BytesIO(data)) as image:  # an independent reader of the tags
            image.load()
            tags = image.getexif()
            assert tags[271] == "Deconvolver"
            assert tags.get_ifd(34665)[37500] == b"maker note with offsets"
            assert tags.get_ifd(34853)[2] == (48, 8, 15)
            assert image.info["icc_profile"] == SRGB
        again = Image.Exif()
        again.load(read_photo(data).exif)
        assert again.get_ifd(34853)[4] == (11, 34.0, 30)
    stripped = encode_photo(photo, form, metadata=False)
    assert read_photo(stripped).exif is None
    assert read_photo(stripped).icc == SRGB
    for secret in (b"Exif\0\0", b"eXIf", b"EXIF", b"Deconvolver", b"maker note", b"2026:11:20"):
        assert secret not in stripped


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_comments_texts_and_xmp_are_never_passed_on(form):
    from PIL import PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "my secret")
    text.add_itxt("XML:com.adobe.xmp", "my secret")
    options = {
        "JPEG": {"comment": b"my secret", "xmp": b"my secret"},
        "PNG": {"pnginfo": text},
        "WEBP": {"xmp": b"my secret"},
        "GIF": {"comment": b"my secret"},
        "TIFF": {"tiffinfo": {700: b"my secret", 37510: b"my secret"}},
    }[form]
    data = file_of(to_pillow(random_photo()), form, **options)
    assert b"my secret" in data
    photo = read_photo(data)
    for target in ("JPEG", "PNG", "WEBP", "TIFF"):
        assert b"my secret" not in encode_photo(photo, target, metadata=False)


def test_thumbnail_of_the_unrestored_photo_is_unlinked():
    block = bytearray(camera_exif(6))
    start = 6 + 8
    (count,) = struct.unpack_from("<H", block, start)
    struct.pack_into("<I", block, start + 2 + 12 * count, 8)  # any second directory
    photo = read_photo(file_of(Image.new("L", (4, 4)), "PNG", exif=bytes(block)))
    assert struct.unpack_from("<I", photo.exif, start + 2 + 12 * count) == (0,)


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"x"]
)
def test_damaged_exif_is_left_out_and_said(block):
    data = png(3, 2, 8, 0, zlib.compress(bytes(8)), chunk(b"eXIf", block.removeprefix(b"Exif\0\0")))
    photo = read_photo(data)
    assert photo.exif is None
    assert "EXIF" in photo.notes[0]


@quick
@given(st.integers(0, 200), st.integers(0, 255))
def test_no_byte_of_an_exif_block_breaks_reading_or_writing(at, value):
    block = bytearray(camera_exif(6))
    block[at % len(block)] = value
    photo = read_photo(png(3, 2, 8, 0, zlib.compress(bytes(8)), chunk(b"eXIf", bytes(block[6:]))))
    assert sorted(photo.pixels.shape[:2]) == [2, 3]
    for form in ("PNG", "TIFF", "JPEG"):
        assert read_photo(encode_photo(photo, form)).pixels.shape == photo.pixels.shape


def test_exif_too_long_for_jpeg_does_not_cost_the_photo():
    exif = Image.Exif()
    exif[270] = "x" * 70000
    photo = random_photo(exif=exif.tobytes())
    assert read_photo(encode_photo(photo, "JPEG")).exif is None
    assert read_photo(encode_photo(photo, "PNG")).exif is not None


# --- bad files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF", "deep PNG", "deep TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_cut_off_files_are_refused(form, share):
    photo = random_photo(height=48, width=64, dtype=np.uint16 if "deep" in form else np.uint8)
    if form == "HEIF":
        pillow_heif = pytest.importorskip("pillow_heif")
        file = io.BytesIO()
        pillow_heif.from_pillow(to_pillow(photo)).save(file)
        data = file.getvalue()
    else:
        data = encode_photo(photo, form[5:]) if "deep" in form else file_of(to_pillow(photo), form)
    read_photo(data)
    with pytest.raises(PhotoError, match=r"damaged or cut|not a photo of a known kind"):
        read_photo(data[: int(share * len(data))])


@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg_is_not_half_grey(progressive):
    data = file_of(to_pillow(random_photo(height=200, width=200)), "JPEG", progressive=progressive)
    with pytest.raises(PhotoError, match="cut-off JPEG"):
        read_photo(data[: len(data) * 9 // 10])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "deep PNG", "deep TIFF")), st.data())
def test_no_flipped_byte_raises_anything_but_photo_error(form, data):
    photo = random_photo(height=9, width=8, dtype=np.uint16 if "deep" in form else np.uint8, exif=camera_exif())
    file = bytearray(encode_photo(photo, form[5:]) if "deep" in form else file_of(to_pillow(photo), form))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PhotoError):
        read_photo(bytes(file), max_pixels=100_000)


def test_bad_sources_give_one_clear_sentence(tmp_path):
    (tmp_path / "note.png").write_text("just text, named like a photo")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(PhotoError, match=r"note\.png is not a photo of a known kind: export it as one of JPEG"):
        read_photo(tmp_path / "note.png")
    with pytest.raises(PhotoError, match=r"empty\.jpg is empty \(0 bytes\)"):
        read_photo(str(tmp_path / "empty.jpg"))
    with pytest.raises(PhotoError, match=r"there is no file .*gone\.png"):
        read_photo(tmp_path / "gone.png")
    with pytest.raises(PhotoError, match="is a folder, but a photo is one file"):
        read_photo(tmp_path)
    with pytest.raises(PhotoError, match="the photo is empty"):
        read_photo(b"")
    with pytest.raises(PhotoError, match="given as int"):
        read_photo(3)
    with pytest.raises(PhotoError, match=r"cannot be read|no file"):
        read_photo("x" * 5000 + ".png")
    with pytest.raises(PhotoError, match="null"):
        read_photo("a\0b.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(PhotoError, match="not a regular file"):
            read_photo(tmp_path / "pipe")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_photo(random_photo()))
    path.chmod(0)
    with pytest.raises(PhotoError, match=r"cannot be read \(Permission denied\)"):
        read_photo(path)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4), np.int64), "int64"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((4, 4, 5), np.uint8), r"\(4, 4, 5\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"\(2, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.full((4, 4), np.inf), "infinity"),
        (np.full((4, 4), 255.0), r"float pixels reach 255, but they are in \[0, 1\]"),
    ],
)
def test_bad_arrays(array, words):
    with pytest.raises(PhotoError, match=words):
        read_photo(array)


@quick
@given(
    seeds,
    sides,
    sides,
    st.integers(1, 4),
    st.sampled_from((np.uint8, np.uint16, np.float32, np.float64, np.float16)),
)
def test_arrays_keep_their_values(seed, height, width, channels, dtype):
    kept = dtype if dtype in (np.uint8, np.uint16) else np.float32
    array = random_pixels(seed, height, width, channels, kept).astype(dtype)
    photo = read_photo(array)
    colours = channels - (channels in (2, 4))
    np.testing.assert_array_equal(photo.pixels, array[..., :colours].astype(kept))
    assert (photo.alpha is not None) == (channels in (2, 4))
    assert read_photo(photo) is photo
    if channels == 1:
        np.testing.assert_array_equal(read_photo(array[..., 0]).pixels, photo.pixels)


# --- too large ---------------------------------------------------------------------------------------------


def bombs():
    yield "PNG", png(15000, 10000, 8, 2)
    yield "deep PNG", png(15000, 10000, 16, 2)
    yield (
        "JPEG",
        file_of(Image.new("L", (8, 8)), "JPEG").replace(b"\x08\0\x08\0\x08", struct.pack(">BHH", 8, 10000, 15000)),
    )
    yield "GIF", b"GIF89a" + struct.pack("<HH", 15000, 10000) + file_of(Image.new("L", (8, 8)), "GIF")[10:]
    bmp = bytearray(file_of(Image.new("L", (8, 8)), "BMP"))
    struct.pack_into("<ii", bmp, 18, 15000, 10000)
    yield "BMP", bytes(bmp)
    webp = bytearray(file_of(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "WEBP"))
    webp[24:30] = (14999).to_bytes(3, "little") + (9999).to_bytes(3, "little")
    yield "WEBP", bytes(webp)
    lossy = bytearray(file_of(Image.new("RGB", (8, 8)), "WEBP"))
    struct.pack_into("<HH", lossy, 26, 15000, 10000)
    yield "lossy WEBP", bytes(lossy)
    lossless = bytearray(file_of(Image.new("RGB", (8, 8)), "WEBP", lossless=True))
    struct.pack_into("<I", lossless, 21, 14999 | 9999 << 14)
    yield "lossless WEBP", bytes(lossless)
    for name, pixels in {
        "TIFF": np.zeros((8, 8, 3), np.uint8),
        "deep TIFF": np.zeros((8, 8, 3), np.uint16),
    }.items():
        tiff = bytearray(encode_photo(Photo(pixels), "TIFF"))
        for tag, value in ((256, 15000), (257, 10000)):
            at = tiff.find(struct.pack("<HHI", tag, 4, 1))
            struct.pack_into("<I", tiff, at + 8, value)
        yield name, bytes(tiff)


@pytest.mark.parametrize(("form", "data"), bombs(), ids=lambda value: value if isinstance(value, str) else "")
def test_too_large_is_refused_before_decoding(form, data):
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(PhotoError, match=r"15000×10000 = 150\.0 MP, but at most 50\.0 MP are taken: resize"):
        read_photo(data, max_pixels=50_000_000)
    assert time.perf_counter() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_neither_warning_nor_pillow_limit_is_met():
    huge = png(30000, 10000, 8, 0)  # 300 MP: over Pillow's own limit for an error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PhotoError, match=r"300\.0 MP"):
            read_photo(huge, max_pixels=299_999_999)
        with pytest.raises(PhotoError, match="cut-off PNG"):
            read_photo(huge, max_pixels=300_000_000)
        assert read_photo(encode_photo(random_photo()), max_pixels=35).megapixels == 35e-6


def test_arrays_images_and_photos_are_limited_too():
    for source in (np.zeros((6, 6), np.uint8), Image.new("L", (6, 6)), Photo(np.zeros((6, 6, 1), np.uint8))):
        with pytest.raises(PhotoError, match="6×6"):
            read_photo(source, max_pixels=35)
        assert read_photo(source, max_pixels=36).width == 6


def test_threads_open_good_and_cut_off_files_side_by_side():
    photo = random_photo(height=64, width=64, dtype=np.uint16)
    data, wrong = encode_photo(photo), []

    def work(cut):
        for _ in range(10):
            try:
                same = np.array_equal(read_photo(data[: len(data) // 2] if cut else data).pixels, photo.pixels)
                wrong.append(cut or not same)
            except PhotoError:
                wrong.append(not cut)

    threads = [threading.Thread(target=work, args=(i % 2 == 1,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [False] * 40


# --- with_pixels, saving -----------------------------------------------------------------------------------


@quick
@given(seeds, sides, sides, st.integers(1, 4), st.sampled_from((np.uint8, np.uint16, np.float32)))
def test_alpha_follows_an_upscaled_photo(seed, height, width, scale, dtype):
    photo = random_photo(seed, height, width, alpha=True, icc=SRGB, exif=camera_exif(), format="WEBP")
    upscaled = photo.with_pixels(random_pixels(seed, scale * height, scale * width, 3, dtype))
    assert upscaled.alpha.shape == (scale * height, scale * width)
    assert upscaled.alpha.dtype == dtype
    assert (upscaled.icc, upscaled.exif, upscaled.format) == (photo.icc, photo.exif, photo.format)
    if scale == 1:
        np.testing.assert_array_equal(upscaled.alpha, to_depth(photo.alpha, dtype))
    opaque = Photo(photo.pixels, np.full((height, width), 255, np.uint8)).with_pixels(upscaled.pixels)
    assert (opaque.alpha == to_depth(np.array(255, np.uint8), dtype)).all()


def test_upscaled_alpha_is_smooth_and_within_range():
    step = np.repeat(np.array([0, 255], np.uint8), 8)[None, :].repeat(4, 0)
    alpha = Photo(np.zeros((4, 16, 3), np.uint8), step).with_pixels(np.zeros((16, 64, 3), np.uint8)).alpha
    assert alpha[0, 0] == 0
    assert alpha[0, -1] == 255
    assert len(np.unique(alpha)) > 3
    assert np.all(np.diff(alpha[8, 28:36].astype(int)) >= 0)


def test_pixels_that_do_not_fit_are_named():
    photo = random_photo(alpha=True)
    for shape in ((8, 5, 3), (14, 5, 3), (3, 2, 3)):
        with pytest.raises(PhotoError, match="whole multiple"):
            photo.with_pixels(np.zeros(shape, np.uint8))
    with pytest.raises(PhotoError, match="int64"):
        photo.with_pixels(np.zeros((7, 5, 3), np.int64))
    with pytest.raises(PhotoError, match="NaN"):
        photo.with_pixels(np.full((7, 5, 3), np.nan, np.float32))
    assert random_photo(icc=SRGB).with_pixels(np.zeros((2, 2, 1), np.uint8)).icc is None


def test_save_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = write_photo(random_photo(1), tmp_path / "out.png")
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(PhotoError, match=r"out\.png cannot be written \(No space left on device\): free some space"):
        write_photo(random_photo(2), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["out.png"]
    monkeypatch.undo()
    assert_same_picture(read_photo(write_photo(random_photo(2), path)), random_photo(2))
    assert os.listdir(tmp_path) == ["out.png"]


def test_save_explains_what_it_cannot_do(tmp_path):
    for name in ("out", "out.bmp", "out.heic"):
        with pytest.raises(PhotoError, match=r"use one of \.png, \.jpg"):
            write_photo(random_photo(), tmp_path / name)
    with pytest.raises(PhotoError, match="there is no folder"):
        write_photo(random_photo(), tmp_path / "missing" / "out.png")
    assert not (tmp_path / "missing").exists()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PhotoError, match="cannot be written"):
        write_photo(random_photo(), tmp_path / "folder.png")
    assert os.listdir(tmp_path) == ["folder.png"]
    with pytest.raises(PhotoError, match="use one of PNG"):
        encode_photo(random_photo(), "BMP")


def test_suffixes_choose_the_format(tmp_path):
    forms = {".png": "PNG", ".JPG": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".TIFF": "TIFF"}
    for suffix, form in forms.items():
        assert read_photo(write_photo(random_photo(), tmp_path / f"a{suffix}")).format == form


# --- masks -------------------------------------------------------------------------------------------------


def test_white_is_a_hole_from_half_on():
    levels = np.array([[0, 127, 128, 255]], np.uint8)
    holes = [[False, False, True, True]]
    assert open_mask(levels, 1, 4).tolist() == holes
    assert open_mask(Image.fromarray(levels).convert("RGB"), 1, 4).tolist() == holes
    assert open_mask(levels.astype(np.uint16) * 257, 1, 4).tolist() == holes
    assert open_mask(levels / 255, 1, 4).tolist() == holes
    assert open_mask(np.array(holes), 1, 4).tolist() == holes
    assert open_mask(encode_photo(Photo(levels[..., None])), 1, 4).dtype == bool


def test_whatever_is_painted_on_a_transparent_layer_is_a_hole():
    layer = np.zeros((1, 3, 4), np.uint8)
    layer[0, 1] = (0, 0, 0, 1)
    layer[0, 2] = (255, 255, 255, 255)
    assert open_mask(layer, 1, 3).tolist() == [[False, True, True]]
    layer[..., 3] = 255
    assert open_mask(layer, 1, 3).tolist() == [[False, False, True]]


def test_mask_of_another_size_names_both():
    with pytest.raises(PhotoError, match=r"mask is 64×64 but the photo is 80×64: .* resize it to 80×64"):
        open_mask(np.zeros((64, 64), np.uint8), 64, 80)
    with pytest.raises(PhotoError, match="MP are taken"):
        open_mask(np.zeros((64, 64), np.uint8), 64, 64, max_pixels=100)


# --- manners -----------------------------------------------------------------------------------------------


def test_import_brings_nothing_heavy():
    code = (
        "import sys, deconvdemo.image.reading, deconvdemo.image.writing; "
        "print(sorted({'torch', 'gradio', 'datasets', 'cv2', 'tifffile', 'pillow_heif'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pillow_is_left_as_it_was():
    from PIL import ImageFile

    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK)
    with pytest.raises(PhotoError):
        read_photo(png(15000, 10000, 8, 2), max_pixels=1)
    read_photo(encode_photo(random_photo(dtype=np.uint16), "TIFF"))
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK)
