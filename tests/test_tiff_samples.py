"""TIFF: samples of every kind, alpha straight, and a word on what is left out."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from photo_files import assert_pixels, file_of, random_photo, tiff
from PIL import Image

from deconvdemo.errors import PhotoError
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import encode_photo

RGB = {"photometric": "rgb"}
LARGE = random_photo(1, 48, 64).pixels
DEEP = random_photo(2, 48, 64, dtype=np.uint16).pixels


# --- which samples ---------------------------------------------------------------------------------------------


def packed(samples, depth, compression=1, photometric=1, order="<", planes=False):
    """A TIFF of samples of any depth, packed; (H, W, C) of integers."""
    height, width, channels = samples.shape
    parts = np.moveaxis(samples, 2, 0)[..., None] if planes else samples[None]
    strips = []
    for part in parts:
        bits = part.reshape(height, -1)[..., None] >> np.arange(depth - 1, -1, -1) & 1
        strips.append(np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1).tobytes())
    strips = [zlib.compress(strip) for strip in strips] if compression == 8 else strips
    after = 8 + sum(map(len, strips))
    after += after % 2
    starts = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    outside = b""
    entries = []
    values = {256: (3, width), 257: (3, height), 258: (3, *[depth] * channels), 259: (3, compression)} | {
        262: (3, photometric), 273: (4, *starts), 277: (3, channels), 278: (4, height),
        279: (4, *map(len, strips)), 284: (3, 1 + planes),
    }  # fmt: skip
    for tag, (kind, *figures) in values.items():
        data = struct.pack(f"{order}{len(figures)}{'H' if kind == 3 else 'I'}", *figures)
        if len(data) > 4:
            data, outside = struct.pack(order + "I", after + len(outside)), outside + data + bytes(len(data) % 2)
        entries.append(struct.pack(order + "HHI", tag, kind, len(figures)) + data.ljust(4, b"\0"))
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", after + len(outside))
    return (head + b"".join(strips)).ljust(after, b"\0") + outside + directory


@pytest.mark.parametrize("depth", [2, 3, 4, 6, 10, 12, 14, 20, 24])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("order", ["<", ">"])
def test_packed_samples_of_any_depth_fill_the_range(depth, channels, compression, order):
    samples = np.random.default_rng(depth).integers(0, 1 << depth, (5, 7, channels), np.int64)
    samples[0, 0], samples[-1, -1] = 0, (1 << depth) - 1
    for planes in {False, channels == 3}:
        photo = read_photo(packed(samples, depth, compression, 2 if channels == 3 else 1, order, planes))
        top = 255 if depth < 8 else 65535
        assert photo.pixels.dtype == (np.uint8 if depth < 8 else np.uint16)
        np.testing.assert_array_equal(photo.pixels, np.rint(samples * top / ((1 << depth) - 1)))


def test_white_is_zero_in_packed_samples_too():
    samples = np.array([[[0], [4095]]])
    assert read_photo(packed(samples, 12, photometric=0)).pixels.tolist() == [[[65535], [0]]]


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_cut_off_packed_tiff_is_damaged(kept):
    data = packed(np.full((40, 40, 1), 999), 12)
    size = int(kept * 2400)
    cut = data[: 8 + size] + data[8 + 2400 :]
    with pytest.raises(PhotoError, match="damaged or cut-off TIFF"):
        read_photo(cut)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_floats_of_any_width(dtype, predictor, order, tile):
    values = random_photo(height=20, width=18, dtype=np.float32).pixels.astype(dtype)
    plain = tiff((values, {**RGB, "tile": tile}), byteorder=order)
    data = float_predicted(values, order, tile) if predictor else plain
    np.testing.assert_array_equal(read_photo(data).pixels, values.astype(np.float32))


def float_predicted(values, order, tile):
    """A deflated TIFF with predictor 3, whose differences are of bytes, the highest first, row by row."""
    height, width, channels = values.shape
    rows, columns = tile or (height, width)
    padded = np.zeros((-(-height // rows) * rows, -(-width // columns) * columns, channels), values.dtype)
    padded[:height, :width] = values
    blocks = []
    for top in range(0, padded.shape[0], rows):
        for left in range(0, padded.shape[1], columns):
            lines = padded[top : top + rows, left : left + columns].reshape(rows, -1)
            lines = lines.astype(values.dtype.newbyteorder(">")).view(np.uint8).reshape(rows, -1, values.itemsize)
            planes = lines.swapaxes(1, 2).reshape(rows, -1, channels)
            planes[:, 1:] -= planes[:, :-1].copy()
            blocks.append(zlib.compress(planes.tobytes()))
    # tifffile writes what is compressed already as it is, and the predictor's tag under another number alone
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=order) as writer:
        writer.write(
            iter(blocks), shape=values.shape, dtype=values.dtype, compression="deflate", tile=tile,
            rowsperstrip=None if tile else height, metadata=None, extratags=[(316, "H", 1, 3, True)], **RGB,
        )  # fmt: skip
    return file.getvalue().replace(struct.pack(order + "HHIH", 316, 3, 1, 3), struct.pack(order + "HHIH", 317, 3, 1, 3))


def test_the_floating_point_predictor_is_libtiffs():
    import cv2

    values = random_photo(height=20, width=18, dtype=np.float32).pixels
    for compression in (5, 8):  # LZW, deflate
        options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, 3]
        data = cv2.imencode(".tif", values[..., ::-1], options)[1].tobytes()
        np.testing.assert_array_equal(read_photo(data).pixels, values)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros((4, 4, 3), np.complex64), "complex numbers, which are not supported"),
        (np.zeros((4, 4, 3), np.int8), "signed 8-bit integers, which are not supported"),
        (np.full((4, 4, 3), 70000, np.uint32), "integers from 70000 to 70000, but 0 to 65535 are taken: export"),
        (np.full((4, 4, 3), -1, np.int16), "integers from -1 to -1, but 0 to 65535 are taken: export"),
    ],
)
def test_samples_that_are_no_photo_are_refused_in_words(samples, words):
    with pytest.raises(PhotoError, match=words):
        read_photo(tiff((samples, RGB)))


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.int16, np.uint64])
def test_wide_integers_within_16_bits_are_taken(dtype):
    values = (DEEP // 2).astype(dtype)
    np.testing.assert_array_equal(read_photo(tiff((values, RGB))).pixels, DEEP // 2)


# --- alpha and other channels ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kinds", [["assocalpha"], ["assocalpha", "unspecified"], ["unspecified", "assocalpha"]])
def test_associated_alpha_is_undone(dtype, channels, kinds):
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    colour = random_photo(height=16, width=24, channels=channels, dtype=np.float32).pixels
    alpha = np.linspace(0, 1, 24, dtype=np.float32)[None, :, None].repeat(16, 0)
    extra = [alpha if kind == "assocalpha" else np.zeros_like(alpha) for kind in kinds]
    stored = np.concatenate([colour * alpha, *extra], axis=2) * top
    stored = stored if dtype is np.float32 else np.rint(stored)
    look = {"photometric": "rgb" if channels == 3 else "minisblack", "planarconfig": "contig", "extrasamples": kinds}
    photo = read_photo(tiff((stored.astype(dtype), look)))
    assert (photo.pixels[:, 0] == 0).all()  # nothing is seen there
    seen = photo.pixels.astype(np.float64) * (photo.alpha[..., None] / (top * top))
    np.testing.assert_allclose(seen, colour * alpha, atol=1.5 / top if top > 1 else 1e-6)  # Pillow's 8 bits are cut
    np.testing.assert_allclose(photo.pixels[:, 12:] / top, colour[:, 12:], atol=3 / top if top > 1 else 1e-6)
    assert ("extra channel" in "".join(photo.notes)) == (len(kinds) > 1)
    with tifffile.TiffFile(io.BytesIO(encode_photo(photo, "TIFF"))) as file:  # straight colours are called so
        assert [int(kind) for kind in file.pages.first.extrasamples] == [2]


def test_hardly_any_alpha_does_not_become_light():
    stored = np.array([[[1e-3, 0, 0, 1e-12], [0.5, 0.5, 0.5, 0.5], [0.2, 0.2, 0.2, 0]]], np.float32)
    photo = read_photo(tiff((stored, {**RGB, "extrasamples": ["assocalpha"]})))
    assert photo.pixels.max() <= 1
    assert photo.pixels[0, 2].tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_channels_without_a_meaning_are_left_out_and_told(dtype, photometric):
    colours = 3 if photometric == "rgb" else 1
    samples = random_photo(height=8, width=9, channels=3, dtype=dtype, alpha=True)
    samples = np.dstack([samples.pixels, samples.alpha, samples.alpha])[..., : colours + 2]
    look = {"photometric": photometric, "planarconfig": "contig", "extrasamples": ["unspecified"] * 2}
    photo = assert_pixels(tiff((samples, look)), samples[..., :colours], "2 extra channels of the TIFF were left out")
    assert photo.alpha is None


def test_a_spot_colour_beside_cmyk_is_told():
    samples = random_photo(height=8, width=9).pixels[..., [0, 1, 2, 0, 1]]
    photo = read_photo(tiff((samples, {"photometric": "separated", "extrasamples": ["unspecified"]})))
    assert "1 extra channel of the TIFF was left out" in photo.notes


def test_values_beyond_white_are_told():
    values = random_photo(dtype=np.float32, height=8, width=9).pixels
    assert_pixels(tiff((values, RGB)), values)
    assert_pixels(tiff((values * 4, RGB)), values * 4, "clipped to 0…1 where the result is written")
    assert_pixels(tiff((values - 0.5, RGB)), values - np.float32(0.5), "clipped")


def test_layers_and_geography_are_told():
    layers = b"Adobe Photoshop Document Data Block\0" + b"MIB8ryaL" + bytes(40)
    tags = [(37724, "B", len(layers), layers, True), (34735, "H", 4, (1, 1, 0, 0), True)]
    for full in (LARGE, DEEP):
        assert_pixels(tiff((full, {**RGB, "extratags": tags})), full, "layers", "geographic")


def test_colours_that_no_reader_knows_are_not_supported():
    five = random_photo(height=8, width=9).pixels[..., [0, 1, 2, 0, 1]]
    with pytest.raises(PhotoError, match="5 × 8 bits in SEPARATED, which is not supported: convert it to RGB"):
        read_photo(tiff((five, {"photometric": "separated", "extrasamples": ["unassalpha"]})))


def test_eight_bits_of_every_layout_are_read_in_big_endian_bigtiff():
    grey = LARGE[..., :1]
    assert_pixels(tiff((grey[..., 0], {"photometric": "minisblack"}), byteorder=">", bigtiff=True), grey)
    assert_pixels(file_of(Image.fromarray(LARGE), "TIFF", compression="tiff_lzw"), LARGE)
