"""Photos and files of photos for the tests, made from nothing."""

import io
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image, ImageCms

from deconvdemo.image.photo import Photo
from deconvdemo.image.reading import read_photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def random_pixels(seed, height, width, channels, dtype):
    rng = np.random.default_rng(seed)
    if dtype is np.float32:
        return rng.random((height, width, channels), np.float32)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def random_photo(seed=0, height=7, width=5, channels=3, dtype=np.uint8, alpha=False, **fields):
    samples = random_pixels(seed, height, width, channels + alpha, dtype)
    return Photo(samples[..., :channels], samples[..., -1] if alpha else None, **fields)


def camera_exif(orientation=1, order="<"):
    """A block as a camera writes it: make, orientation, a directory with a maker note, one with a place."""
    exif = Image.Exif()
    exif.endian = order
    exif[271], exif[274] = "Deconvolver", orientation
    exif[34665] = {36867: "2026:11:20 12:00:00", 37500: b"maker note with offsets"}
    exif[34853] = {1: "N", 2: (48.0, 8.0, 15.0), 3: "E", 4: (11.0, 34.0, 30.0)}
    return exif.tobytes()


def file_of(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def assert_same_picture(photo, expected):
    assert photo.pixels.dtype == expected.pixels.dtype
    np.testing.assert_array_equal(photo.pixels, expected.pixels)
    assert (photo.alpha is None) == (expected.alpha is None)
    if expected.alpha is not None:
        np.testing.assert_array_equal(photo.alpha, expected.alpha)
        assert photo.alpha.dtype == expected.alpha.dtype


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour_type, idat=None, more=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    idat = zlib.compress(bytes(1000)) if idat is None else idat
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", idat) + chunk(b"IEND", b"")


def with_chunks(data, *chunks):
    """A PNG file with these (type, data) behind its header."""
    return data[:33] + b"".join(chunk(*each) for each in chunks) + data[33:]


def chunks_of(data):
    """{type: data} of a PNG file's chunks, the first of each type."""
    at, found = 8, {}
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.setdefault(kind, data[at + 8 : at + 8 + length])
        at += length + 12
    return found


def tiff(*pages, **options):
    """A TIFF file of (samples, tifffile's options for them)."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, **options) as writer:
        for samples, given in pages:
            writer.write(samples, **{"metadata": None, **given})
    return file.getvalue()


def assert_pixels(data, expected, *notes):
    """The photo of a file, its pixels these, and each of its notes with these words."""
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, expected)
    assert len(photo.notes) == len(notes), photo.notes
    for note, words in zip(photo.notes, notes, strict=True):
        assert words in note
    return photo
