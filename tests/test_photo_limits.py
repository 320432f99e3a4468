"""Damaged is only what is damaged: what a library does not take is read all the same, or called not supported."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_files import SRGB, camera_exif, chunk, file_of, png, random_photo, tiff, with_chunks
from PIL import Image, features

from deconvdemo.errors import PhotoError
from deconvdemo.image.photo import Photo
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import encode_photo, to_pillow, write_photo
from deconvdemo.image.written_formats import download_suffix

XMP = "<x:xmpmeta><rdf:Description {}/></x:xmpmeta>"
has_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def smooth_photo(height=40, width=56, channels=3):
    levels = np.indices((height, width)).sum(0)[..., None] * np.array([1.0, 2.0, 1.5])[:channels]
    return Photo(levels.clip(0, 255).astype(np.uint8))


# --- PNG -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_megabytes_of_text_do_not_cost_the_photo(dtype, kind):
    photo = random_photo(dtype=dtype)
    text = b"node " * 600_000
    content = {
        b"tEXt": b"workflow\0" + text,
        b"zTXt": b"workflow\0\0" + zlib.compress(text),
        b"iTXt": b"workflow\0\1\0\0\0" + zlib.compress(text),
    }[kind]
    opened = read_photo(with_chunks(encode_photo(photo, "PNG"), (kind, content)))
    np.testing.assert_array_equal(opened.pixels, photo.pixels)
    assert (opened.texts, opened.notes) == (((kind, content),), ())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", [b"tEXt", b"gAMA", b"pHYs", b"iCCP", b"eXIf", b"tRNS", b"tIME", b"abCD"])
def test_a_wrong_checksum_of_what_no_pixel_needs(dtype, kind):
    photo = random_photo(dtype=dtype)
    data = with_chunks(encode_photo(photo, "PNG"), (kind, b"a\0b------"))
    at = data.index(kind) + 4 + 9
    opened = read_photo(data[:at] + b"\1\2\3\4" + data[at + 4 :])
    np.testing.assert_array_equal(opened.pixels, photo.pixels)
    told = kind not in (b"tIME", b"abCD")  # which would not be carried anyway
    assert opened.notes == ((f"chunks with a wrong checksum were left out: {kind.decode()}",) if told else ())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_without_its_end_is_whole_and_one_without_pixels_is_not(dtype):
    photo = random_photo(height=40, width=40, dtype=dtype)
    data = encode_photo(photo, "PNG")
    for missing in (4, 8, 12):
        np.testing.assert_array_equal(read_photo(data[:-missing]).pixels, photo.pixels)
    np.testing.assert_array_equal(read_photo(data + bytes(500)).pixels, photo.pixels)
    for missing in (40, 400):
        with pytest.raises(PhotoError, match="damaged or cut-off PNG"):
            read_photo(data[:-missing])


def test_the_png_of_an_iphone_app_is_not_supported():
    data = encode_photo(random_photo(), "PNG")
    with pytest.raises(PhotoError, match="not supported"):
        read_photo(data[:8] + chunk(b"CgBI", bytes(4)) + data[8:])


# --- JPEG ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"quality": 95, "subsampling": 0}], ids=str
)
def test_a_jpeg_without_its_end_is_opened_if_and_only_if_every_pixel_is_there(channels, options):
    data = file_of(to_pillow(smooth_photo(channels=channels)), "JPEG", **options)
    whole = read_photo(data)
    for missing in (1, 2):
        photo = read_photo(data[:-missing])
        np.testing.assert_array_equal(photo.pixels, whole.pixels)
        assert photo.notes == ("its end mark is missing, but every pixel is there",)
    for missing in range(3, len(data) - 200, 11):
        try:
            photo = read_photo(data[:-missing])
        except PhotoError as error:
            assert "damaged or cut-off JPEG" in str(error)  # noqa: PT017 - it may be opened as well
        else:
            np.testing.assert_array_equal(photo.pixels, whole.pixels)


def test_a_scan_that_is_missing_makes_a_progressive_jpeg_cut_off():
    data = file_of(to_pillow(random_photo(height=40, width=40)), "JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    assert len(scans) > 4
    for at in scans[1:]:
        with pytest.raises(PhotoError, match="damaged or cut-off JPEG"):
            read_photo(data[:at])


@pytest.mark.parametrize(
    ("mark", "bits", "words"), [(0xC3, 8, "a lossless"), (0xF7, 8, "a JPEG-LS"), (0xC1, 12, "12-bit")]
)
def test_unusual_jpegs_are_not_supported(mark, bits, words):
    data = file_of(to_pillow(smooth_photo()), "JPEG")
    at = data.index(b"\xff\xc0")
    changed = data[:at] + bytes([0xFF, mark]) + data[at + 2 : at + 4] + bytes([bits]) + data[at + 5 :]
    with pytest.raises(PhotoError, match=rf"{words}.* not supported.*: export it as"):
        read_photo(changed)


def test_what_a_jpeg_holds_beside_its_picture_is_told():
    image = to_pillow(smooth_photo())

    def notes(**options):
        return read_photo(file_of(image, "JPEG", **options)).notes

    assert notes() == notes(xmp=XMP.format('tiff:Orientation="1"').encode()) == ()
    assert "gain map" in notes(xmp=XMP.format('hdrgm:Version="1.0"').encode())[0]
    assert "depth map" in notes(xmp=XMP.format('GDepth:Format="RangeInverse"').encode())[0]
    assert "video" in notes(xmp=XMP.format('GCamera:MotionPhoto="1"').encode())[0]
    iso = b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"
    assert "gain map" in notes(extra=b"\xff\xe2" + struct.pack(">H", len(iso) + 2) + iso)[0]


@pytest.mark.parametrize(("kind", "told"), [(0, True), (0x020002, True), (0x010001, False)])
def test_previews_in_an_index_of_pictures_are_no_loss(kind, told):
    data = file_of(to_pillow(smooth_photo()), "MPO", save_all=True, append_images=[to_pillow(smooth_photo())] * 2)
    at = data.index(b"MPF\0")
    first = data.rindex(struct.pack("<I", 0x030000), at, at + 200)  # the index has 16 bytes for each picture
    for place in (first + 16, first + 32):
        data = data[:place] + struct.pack("<I", kind) + data[place + 4 :]
    assert read_photo(data).notes == (("JPEG of 3 pictures: only its first one is used",) if told else ())


# --- AVIF and HEIC ---------------------------------------------------------------------------------------------


def avif(photo=None, **options):
    return file_of(to_pillow(photo or smooth_photo()), "AVIF", **options)


@has_avif
@pytest.mark.parametrize("brand", [b"avif", b"mif1"])
def test_avif_comes_in_and_goes_out_as_heic_does(brand):
    data = avif(quality=100, icc_profile=SRGB, exif=camera_exif()).replace(b"ftypavif", b"ftyp" + brand, 1)
    photo = read_photo(data)
    assert (photo.format, photo.lossless, download_suffix(photo), photo.notes, photo.icc) == (
        "AVIF",
        False,
        ".jpg",
        (),
        SRGB,
    )
    assert np.abs(photo.pixels.astype(int) - smooth_photo().pixels).max() < 30
    tags = Image.Exif()
    tags.load(photo.exif)
    assert tags[271] == "Deconvolver"
    clear = random_photo(height=16, width=16, alpha=True)
    assert download_suffix(read_photo(avif(clear))) == ".png"


@has_avif
def test_avif_is_turned_once():
    image = Image.new("RGB", (64, 32), (200, 0, 0))
    image.paste((0, 0, 200), (0, 0, 32, 32))
    photo = read_photo(file_of(image, "AVIF", exif=camera_exif(6)))
    assert (photo.width, photo.height) == (32, 64)
    assert photo.pixels[8, 16, 2] > 150
    assert read_photo(encode_photo(photo, "PNG")).width == 32


@has_avif
def test_animated_avif_gives_its_first_picture_and_says_so():
    data = avif(save_all=True, append_images=[Image.new("RGB", (56, 40))], duration=100)
    assert read_photo(data).notes == ("animated AVIF: only its first frame is used",)


@has_avif
@pytest.mark.parametrize(("primaries", "transfer"), [(9, 16), (9, 18), (12, 13), (1, 13), (2, 2)])
def test_colours_of_avif_that_only_png_holds(primaries, transfer):
    data = bytearray(avif())
    struct.pack_into(">HH", data, data.index(b"nclx") + 4, primaries, transfer)
    photo = read_photo(bytes(data))
    expected = () if primaries < 9 else ((b"cICP", bytes([primaries, transfer, 0, 1])),)
    assert photo.colour == read_photo(encode_photo(photo)).colour == expected
    assert download_suffix(photo) == (".png" if expected else ".jpg")


def test_heic_of_ten_bits_or_of_two_pictures_says_so():
    pillow_heif = pytest.importorskip("pillow_heif")
    file, pixels = io.BytesIO(), smooth_photo(48, 64).pixels
    pillow_heif.from_bytes("RGB;16", (64, 48), (pixels.astype(np.uint16) * 257).tobytes()).save(file)
    assert read_photo(file.getvalue()).notes == ("10-bit HEIF was read as 8-bit",)
    file, image = io.BytesIO(), to_pillow(smooth_photo(48, 64))
    two = pillow_heif.from_pillow(image)
    two.add_from_pillow(image)
    two.save(file)
    assert read_photo(file.getvalue()).notes == ("HEIC of several pictures: only its main one is used",)


@has_avif
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_flipped_byte_of_an_avif_raises_anything_but_photo_error(data):
    file = bytearray(avif())
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, min(len(file), 400) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PhotoError):
        read_photo(bytes(file), max_pixels=100_000)


@has_avif
def test_a_cut_off_avif_is_damaged():
    data = avif()
    for share in (0.5, 0.95):
        with pytest.raises(PhotoError, match="damaged or cut-off AVIF"):
            read_photo(data[: int(share * len(data))])


# --- what is not taken -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x0a", "JPEG XL"),
        (b"8BPS", "Photoshop's PSD"),
        (b"FUJIFILMCCD-RAW", "a camera's raw file: develop it first"),
        (b"\0\0\0\x18ftypcrx ", "a camera's raw file: develop it first"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_kinds_are_named(start, kind):
    with pytest.raises(PhotoError, match=rf"is not a photo of a known kind \({kind}\): export it as one of JPEG, PNG"):
        read_photo(start + bytes(600))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("compression", [50001, 50999])
def test_a_compression_that_nothing_reads_is_not_supported(dtype, compression):
    data = tiff((random_photo(dtype=dtype).pixels, {"photometric": "rgb"}))
    entry = struct.pack("<HHI", 259, 3, 1)
    unknown = data.replace(entry + struct.pack("<I", 1), entry + struct.pack("<I", compression))
    with pytest.raises(PhotoError, match="not supported"):
        read_photo(unknown)


def test_suffixes_of_jpeg(tmp_path):
    for suffix in (".jfif", ".JPE", ".jpe"):
        assert read_photo(write_photo(random_photo(), tmp_path / f"a{suffix}")).format == "JPEG"
    with pytest.raises(PhotoError, match="use one of"):
        write_photo(random_photo(), tmp_path / "a.avif")


def test_a_palette_with_more_transparency_than_colours_does_no_harm():
    more = chunk(b"PLTE", bytes(6)) + chunk(b"tRNS", bytes(200))
    with contextlib.suppress(PhotoError):
        read_photo(png(2, 1, 1, 3, zlib.compress(b"\0\x40"), more))
    short = png(2, 1, 8, 2, zlib.compress(bytes(7)), chunk(b"tRNS", b"\0"))
    assert read_photo(short).notes == ("its transparent colour is damaged and was left out",)
