"""A kernel out of a drawing or a file is the blur that was meant, or is refused in one sentence."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from deconvdemo.deconvolution.kernels import LARGEST, from_array, gaussian, motion
from deconvdemo.deconvolution.operators import Convolution
from deconvdemo.errors import ControlError, PhotoError
from deconvdemo.image import kernel_reading
from deconvdemo.image.apart.pool import STRANGERS
from deconvdemo.image.kernel_reading import LARGEST_SIDE, kernel_picture, read_kernel
from deconvdemo.image.photo import Photo
from deconvdemo.image.writing import encode_photo

MOTION = motion(9, 30).numpy()


def npy(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def announcing(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    """A file that has a header alone."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


# ---- arrays


@pytest.mark.parametrize("unit", [1e-300, 1, 255, 1e308])
def test_a_kernel_is_itself_in_any_unit_and_with_any_margins(unit):
    wide = np.pad(MOTION, ((40, 40), (7, 7))) * unit
    assert np.allclose(from_array(wide), MOTION, atol=1e-15)
    assert np.allclose(from_array(wide[..., None].repeat(3, 2) if unit < 1e300 else wide), MOTION, atol=1e-15)


@pytest.mark.parametrize("shape", [(5, 7), (4, 4), (6, 3), (1, 2), (3, 40)])
@pytest.mark.parametrize("margins", [((0, 0), (0, 0)), ((3, 0), (0, 2)), ((0, 5), (4, 1))])
def test_it_blurs_as_the_array_itself_does(shape, margins):
    """Its middle is where the array's is, whatever is cut off: an odd number of rows, too, or on one side."""
    array = torch.from_numpy(np.pad(np.random.default_rng(0).random(shape) + 0.1, margins))
    image = torch.rand(1, 1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = from_array(array.numpy())
    assert all(side % 2 for side in found.shape)
    assert torch.allclose(Convolution(found)(image), Convolution(array / array.sum())(image))


def test_a_drawing_is_centred_if_one_asks():
    drawn = np.zeros((90, 120))
    drawn[3 : 3 + MOTION.shape[0], 100 : 100 + MOTION.shape[1]] = MOTION
    centred = from_array(drawn, centred=True)
    assert np.allclose(centred, MOTION, atol=1e-15)
    assert max(from_array(drawn).shape) > 80


def test_colours_count_by_their_luma_and_what_is_slightly_below_0_is_0():
    green, blue = np.zeros((2, 3, 3, 3))
    green[1, 1, 1] = blue[1, 2, 2] = 1
    mixed = from_array(green + blue)
    assert float(mixed[0, 1] / mixed[0, 2]) == pytest.approx(0.587 / 0.114)
    resampled = from_array(np.array([[-0.005, 0.5, 1.0, 0.5, -0.005]]))
    assert resampled[0].tolist() == pytest.approx([0.25, 0.5, 0.25])


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((5, 5)), "black"),
        (np.zeros((0, 5)), "shape"),
        (np.array([[-0.5, 1.0]]), "below 0"),
        (np.array([[np.nan, 1.0]]), "no numbers"),
        (np.array([[np.inf, 1.0]]), "no numbers"),
        (np.ones(5), "shape"),
        (np.ones((5, 5, 4)), "shape"),
        (np.ones((5, 5, 3, 3)), "shape"),
        (np.ones((5, 5), complex), "complex128"),
        (np.array([["a"]]), "is no kernel"),
        (np.array([[None]]), "object"),
        (np.ones((3, LARGEST + 2)), "at most"),
    ],
)
def test_what_cannot_be_a_kernel_is_refused_in_a_sentence(array, said):
    with pytest.raises(ControlError, match=said):
        from_array(array)


def test_the_largest_kernel_is_taken():
    assert from_array(np.ones((LARGEST, LARGEST))).shape == (LARGEST, LARGEST)


# ---- files


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<f2", "<u2", "|u1", "<i4"])
@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_npy_file_is_its_array(dtype, as_bytes, tmp_path):
    array = np.rint(MOTION / MOTION.max() * 99).astype(dtype)
    file = tmp_path / "kernel.anything"
    file.write_bytes(npy(array))
    read = read_kernel(file.read_bytes() if as_bytes else file)
    assert np.array_equal(read, array)
    assert np.array_equal(read_kernel(array), array)


@pytest.mark.parametrize("opener", [None, STRANGERS.open])
def test_a_picture_of_a_kernel_is_that_kernel(opener):
    written = encode_photo(kernel_picture(gaussian(2.0).numpy()))
    read = read_kernel(written, opener) if opener else read_kernel(written)
    assert np.allclose(from_array(read), gaussian(2.0), atol=1e-4)


def test_what_is_transparent_is_black():
    alpha = np.zeros((9, 9), np.uint8)
    alpha[4, 3:6] = 255
    white = Photo(np.full((9, 9, 3), 255, np.uint8), alpha)
    assert from_array(read_kernel(white)).tolist() == [pytest.approx([1 / 3] * 3)]


def test_a_kernel_is_shown_as_large_as_asked_for():
    shown = kernel_picture(gaussian(1.0).numpy(), scale=6)
    side = 6 * len(gaussian(1.0))
    assert shown.pixels.shape == (side, side, 1)
    assert shown.pixels[side // 2, side // 2, 0] == 255
    assert len(np.unique(shown.pixels[:6, :6])) == 1
    assert not kernel_picture(np.zeros((3, 3))).pixels.any()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (npy(np.array([[{}]], object), allow_pickle=True), "holds object"),
        (npy(np.ones((3, 3), complex)), "holds complex128"),
        (npy(np.array([["kernel"]])), "holds <U6"),
        (npy(np.zeros((3, 3), [("a", "f8")])), "holds"),
        (announcing((1 << 40, 1 << 40)), "at most 1024 a side"),
        (announcing((1 << 70, 3)), "at most 1024 a side"),
        (announcing((-5, 5)), "damaged"),
        (announcing((1000, 1000)), "damaged"),  # and no pixels follow
        (announcing((2, 3, 4, 5)), "shape"),
        (announcing((3, 1 << 40, 3)), "at most 1024 a side"),
        (announcing((9, 9), "<f2000000000"), "damaged"),
        (npy(np.ones((3, 3)))[:-1], "damaged"),
        (npy(np.ones((3, 3)))[:20], "damaged"),
        (b"\x93NUMPY", "damaged"),
        (b"\x93NUMPY\x03\0" + bytes(99), "version"),
        (b"\x93NUMPY\x01\0\x76\0" + b"(" * 118, "damaged"),
        (b"\x93NUMPY\x01\0\x10\x27" + b"-" * 9999 + b"1", "damaged"),
        (b"\x93NUMPY\x01\0\x10\x27" + b"[" * 10000, "damaged"),
        (b"\x93NUMPY\x02\0\xff\xff\xff\xff", "damaged"),
        (b"", "empty"),
        (b"PK\x03\x04 an .npz", "not a photo"),
    ],
)
def test_a_hostile_file_gives_one_sentence(data, said, tmp_path):
    file = tmp_path / "kernel.npy"
    file.write_bytes(data)
    for source in (data, file):
        with pytest.raises(PhotoError, match=said) as error:
            read_kernel(source)
        assert "\n" not in str(error.value)


def test_a_file_of_more_bytes_than_a_kernel_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_reading, "MOST_BYTES", 1000)
    file = tmp_path / "kernel.npy"
    file.write_bytes(npy(np.ones((99, 99))))
    for source in (file, file.read_bytes()):
        with pytest.raises(PhotoError, match="crop"):
            read_kernel(source)


def test_a_large_picture_a_folder_and_a_missing_file_are_refused(tmp_path):
    picture = encode_photo(Photo(np.zeros((3, LARGEST_SIDE + 1, 1), np.uint8)))
    for source, said in [
        (picture, "at most 1024"),
        (tmp_path, "folder"),
        (tmp_path / "none.npy", "no file"),
        (5, "int"),
    ]:
        with pytest.raises(PhotoError, match=said):
            read_kernel(source)
