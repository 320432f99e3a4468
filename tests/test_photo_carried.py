"""What gives a photo's numbers their meaning (resolution, colours, size in EXIF, which way is up) goes along."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from photo_files import SRGB, camera_exif, chunks_of, file_of, random_photo, tiff, with_chunks
from PIL import Image, ImageOps

from deconvdemo.errors import PhotoError
from deconvdemo.image.lossless import lossless, lossless_suffix
from deconvdemo.image.photo import Photo
from deconvdemo.image.reading import read_photo
from deconvdemo.image.resolution import Resolution
from deconvdemo.image.writing import encode_photo, to_pillow, write_photo
from deconvdemo.image.written_formats import download_format, lost_in

PQ, HLG, P3 = bytes([9, 16, 0, 1]), bytes([9, 18, 0, 1]), bytes([12, 13, 0, 1])
XMP_6 = b'<x:xmpmeta><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></x:xmpmeta>'
XMP_6_AS_ELEMENT = b"<x:xmpmeta><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>"


def enlarged(photo, scale=2):
    return photo.with_pixels(photo.pixels.repeat(scale, 0).repeat(scale, 1))


# --- resolution ------------------------------------------------------------------------------------------------


def sources(dtype):
    image = to_pillow(random_photo(height=8, width=12))
    deep = random_photo(dtype=np.uint16, height=8, width=12)
    if dtype is np.uint8:
        yield from ((form, file_of(image, form, dpi=(300, 300))) for form in ("JPEG", "PNG", "TIFF", "BMP"))
    else:
        yield "PNG", with_chunks(encode_photo(deep, "PNG"), (b"pHYs", struct.pack(">IIB", 11811, 11811, 1)))
        yield "TIFF", tiff((deep.pixels, {"photometric": "rgb", "resolution": (300, 300), "resolutionunit": "INCH"}))
        yield "TIFF", tiff((deep.pixels, {"photometric": "rgb", "resolution": (118.11, 118.11), "resolutionunit": 3}))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("metadata", [True, False])
def test_resolution_goes_from_every_format_into_every_format(dtype, target, metadata):
    for form, data in sources(dtype):
        photo = enlarged(read_photo(data))
        written = encode_photo(photo, target, metadata=metadata)
        with Image.open(io.BytesIO(written)) as image:
            assert [round(value, 1) for value in image.info["dpi"]] == [300, 300], form
        again = read_photo(written).resolution
        assert (again.across, again.down, again.per_inch) == (
            pytest.approx(300, abs=0.02),
            pytest.approx(300, abs=0.02),
            True,
        )


def test_resolution_of_a_camera_is_in_its_exif():
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 240.0, 120.0, 2
    data = bytearray(file_of(Image.new("RGB", (8, 8)), "JPEG", exif=exif.tobytes()))
    assert read_photo(bytes(data)).resolution == Resolution(240, 120)
    assert chunks_of(encode_photo(read_photo(bytes(data)), "PNG"))[b"pHYs"] == struct.pack(">IIB", 9449, 4724, 1)
    assert read_photo(file_of(Image.new("RGB", (8, 8)), "WEBP", exif=exif.tobytes())).resolution == Resolution(240, 120)


def test_nothing_is_made_up_where_no_resolution_is_stated():
    for form in ("JPEG", "PNG", "TIFF", "WEBP", "GIF"):  # Pillow writes 96 dpi into a BMP
        data = file_of(to_pillow(random_photo()), form, **({"exif": camera_exif()} if form == "JPEG" else {}))
        photo = read_photo(data)
        assert photo.resolution is None, form
        assert b"pHYs" not in encode_photo(photo, "PNG")
        with Image.open(io.BytesIO(encode_photo(photo, "JPEG"))) as image:
            assert "jfif_unit" not in image.info or image.info["jfif_unit"] == 0


def test_resolution_turns_with_the_photo():
    data = file_of(Image.new("RGB", (8, 4)), "JPEG", dpi=(300, 150), exif=camera_exif(6))
    assert read_photo(data).resolution == Resolution(150, 300)
    exif = Image.Exif()
    exif[274], exif[282], exif[283], exif[296] = 6, 300.0, 150.0, 2
    photo = read_photo(file_of(Image.new("RGB", (8, 4)), "WEBP", exif=exif.tobytes()))
    assert photo.resolution == read_photo(encode_photo(photo, "WEBP")).resolution == Resolution(150, 300)


def test_pixels_that_are_not_square_stay_so():
    wide = read_photo(with_chunks(encode_photo(random_photo(), "PNG"), (b"pHYs", struct.pack(">IIB", 1, 2, 0))))
    assert wide.resolution == Resolution(1, 2, per_inch=False)
    for form in ("PNG", "JPEG", "TIFF"):
        again = read_photo(encode_photo(wide, form)).resolution
        assert (again.down / again.across, again.per_inch) == (2, False)


@given(st.floats(1, 20000), st.floats(1, 20000))
def test_resolution_survives_any_number_of_formats(across, down):
    photo = Photo(np.zeros((1, 1, 1), np.uint8), resolution=Resolution(across, down))
    once = read_photo(encode_photo(photo, "PNG"))
    for _ in range(3):
        again = read_photo(encode_photo(read_photo(encode_photo(once, "TIFF")), "PNG"))
        assert chunks_of(encode_photo(again, "PNG"))[b"pHYs"] == chunks_of(encode_photo(once, "PNG"))[b"pHYs"]
    assert once.resolution.across == pytest.approx(across, abs=0.03)
    assert once.resolution.down == pytest.approx(down, abs=0.03)


@pytest.mark.parametrize("stated", [(0, 0, 1), (0, 5, 0), (4_000_000_000, 1, 1)])
def test_odd_resolutions_do_no_harm(stated):
    photo = read_photo(with_chunks(encode_photo(random_photo(), "PNG"), (b"pHYs", struct.pack(">IIB", *stated))))
    for form in ("PNG", "JPEG", "TIFF"):
        assert read_photo(encode_photo(photo, form)).pixels.shape == photo.pixels.shape


# --- EXIF's own words about the size ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_in_exif_is_that_of_the_file(form, order, orientation):
    exif = Image.Exif()
    exif.endian = order
    exif[271], exif[274], exif[256], exif[257] = "Testcam", orientation, 12, 8
    exif[34665] = {36867: "2026:11:20 12:00:00", 40962: 12, 40963: 8}
    photo = read_photo(file_of(Image.new("RGB", (12, 8)), "JPEG", exif=exif.tobytes()))
    for which in (photo, enlarged(photo)):
        with Image.open(io.BytesIO(encode_photo(which, form))) as image:
            tags = image.getexif()
            assert tags[271] == "Testcam"
            inner = tags.get_ifd(34665)
            assert (inner[40962], inner[40963]) == image.size == (which.width, which.height)
            assert (tags[256], tags[257]) == image.size
            assert inner[36867] == "2026:11:20 12:00:00"


def test_exif_that_states_no_size_goes_on_stating_none():
    data = encode_photo(enlarged(read_photo(file_of(Image.new("RGB", (12, 8)), "JPEG", exif=camera_exif()))), "JPEG")
    with Image.open(io.BytesIO(data)) as image:
        assert not {40962, 40963} & set(image.getexif().get_ifd(34665))


# --- colours ---------------------------------------------------------------------------------------------------

GAMMA_1 = (b"gAMA", struct.pack(">I", 100000))
ADOBE = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize(
    "chunks",
    [(GAMMA_1,), (GAMMA_1, ADOBE), ((b"sRGB", b"\1"),), ((b"cICP", PQ),), ((b"cICP", P3), (b"cLLI", bytes(8)))],
)
def test_a_png_keeps_what_describes_its_colours(dtype, metadata, chunks):
    data = with_chunks(encode_photo(random_photo(dtype=dtype), "PNG"), *chunks)
    photo = read_photo(data)
    written = chunks_of(encode_photo(enlarged(photo), metadata=metadata))
    assert {kind: written.get(kind) for kind, _ in chunks} == dict(chunks)
    assert list(written).index(chunks[0][0]) < list(written).index(b"IDAT")
    np.testing.assert_array_equal(read_photo(encode_photo(photo)).pixels, photo.pixels)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_is_written_as_png_alone(transfer, tmp_path):
    photo = read_photo(with_chunks(encode_photo(random_photo(), "PNG"), (b"cICP", transfer)))
    assert download_format(photo) == "PNG"
    for form, suffix in (("JPEG", "jpg"), ("WEBP", "webp"), ("TIFF", "tif")):
        with pytest.raises(PhotoError, match=rf"HDR \(PQ or HLG\), which {form} would show as another picture: .* PNG"):
            write_photo(photo, tmp_path / f"a.{suffix}")
    assert lossless_suffix(photo) == ".png"
    assert chunks_of(lossless(photo))[b"cICP"] == transfer


def test_what_another_format_does_not_hold_is_told():
    plain = random_photo(icc=SRGB, exif=camera_exif())
    assert [lost_in(plain, form) for form in ("PNG", "JPEG", "WEBP", "TIFF", ".jpg")] == [()] * 5
    wide = read_photo(with_chunks(encode_photo(random_photo(), "PNG"), GAMMA_1, ADOBE, (b"tEXt", b"Author\0me")))
    assert lost_in(wide, ".png") == ()
    for suffix in (".jpg", ".webp", ".tiff"):
        colours, text = lost_in(wide, suffix)
        assert "gAMA, cHRM" in colours
        assert "Author" in text
    usual = [(b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0"), (b"cICP", bytes([1, 13, 0, 1]))]
    assert lost_in(read_photo(with_chunks(encode_photo(random_photo(), "PNG"), *usual)), "JPEG") == ()
    assert "8 bits" in lost_in(random_photo(dtype=np.uint16), "JPEG")[0]
    assert "transparency" in lost_in(random_photo(alpha=True), "JPEG")[0]
    assert "300 dpi" in lost_in(random_photo(resolution=Resolution(300, 300)), "WEBP")[0]


# --- which way is up -------------------------------------------------------------------------------------------


def raw_profile(kind, data):
    digits = data.hex()
    lines = "".join(digits[at : at + 72] + "\n" for at in range(0, len(digits), 72))
    return f"\n{kind}\n{len(data):8}\n{lines}".encode()


def orientation_chunks():
    block = camera_exif(6)
    packet = b"http://ns.adobe.com/xap/1.0/\0" + XMP_6
    yield "eXIf", (b"eXIf", block[6:])
    yield "raw exif", (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile("exif", block)))
    yield "raw APP1", (b"tEXt", b"Raw profile type APP1\0" + raw_profile("generic profile", block))
    yield "raw APP1 with XMP", (b"tEXt", b"Raw profile type APP1\0" + raw_profile("generic profile", packet))
    yield "raw xmp", (b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(raw_profile("xmp", XMP_6)))
    yield "XMP", (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP_6)
    yield "XMP element", (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP_6_AS_ELEMENT)
    yield "deflated XMP", (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP_6))


@pytest.mark.parametrize(
    ("name", "told"), orientation_chunks(), ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_16_bit_png_is_turned_as_its_8_bit_twin(name, told, channels):
    deep = random_photo(height=5, width=7, channels=channels, dtype=np.uint16)
    expected = np.rot90(deep.pixels, -1)
    for stored, turned in ((deep, expected), (Photo((deep.pixels >> 8).astype(np.uint8)), expected >> 8)):
        photo = read_photo(with_chunks(encode_photo(stored, "PNG"), told))
        np.testing.assert_array_equal(photo.pixels, turned)
        again = read_photo(encode_photo(photo))
        np.testing.assert_array_equal(again.pixels, turned)  # and is not turned a second time
        assert again.texts == ()
        if "exif" in name.lower():
            tags = Image.Exif()
            tags.load(again.exif)
            assert (tags[271], tags[274]) == ("Deconvolver", 1)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("exif", [False, True])
def test_orientation_in_xmp_counts_where_exif_names_none(form, exif):
    tags = Image.Exif()
    tags[271] = "Testcam"
    options = {"exif": tags.tobytes()} if exif else {}
    packet = {"tiffinfo": {700: XMP_6}} if form == "TIFF" else {"xmp": XMP_6}
    stored = Image.fromarray(np.kron(random_photo(height=2, width=3).pixels, np.ones((16, 16, 1), np.uint8)))
    data = file_of(stored, form, **({} if form == "TIFF" else options), **packet)
    photo = read_photo(data)
    assert (photo.width, photo.height) == (32, 48)
    np.testing.assert_array_equal(photo.pixels, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))))
    for again in (read_photo(encode_photo(photo, "PNG")), read_photo(encode_photo(photo, "TIFF"))):
        np.testing.assert_array_equal(again.pixels, photo.pixels)


def test_exif_goes_before_xmp():
    data = file_of(Image.new("RGB", (8, 4)), "JPEG", exif=camera_exif(1), xmp=XMP_6)
    assert read_photo(data).width == 8


def test_orientation_in_xmp_of_a_16_bit_tiff():
    deep = random_photo(height=5, width=7, dtype=np.uint16).pixels
    data = tiff((deep, {"photometric": "rgb", "extratags": [(700, "B", len(XMP_6), XMP_6, True)]}))
    np.testing.assert_array_equal(read_photo(data).pixels, np.rot90(deep, -1))


def test_tifffile_agrees_on_resolution():
    data = encode_photo(random_photo(resolution=Resolution(300, 150)), "TIFF")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.pages.first.resolution == (300, 150)
        assert file.pages.first.resolutionunit == 2
