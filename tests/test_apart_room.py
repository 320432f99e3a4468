"""A small photo's pixels are written once, into the memory in which its answer travels; who waits is woken once."""

import io
import os
import socket

import numpy as np
import pytest
from photo_files import camera_exif, file_of, random_photo, with_chunks

from deconvdemo.image import decoding
from deconvdemo.image.apart import STRANGERS, Pool, blocks
from deconvdemo.image.apart.answer import READ_AT_ONCE, packed, received, send
from deconvdemo.image.photo import Photo
from deconvdemo.image.writing import encode_photo, to_pillow

BEFORE = 64  # bytes at most, before the pixels


def read(data, room=None):
    return decoding.read_file(io.BytesIO(data), "the photo", None, room)


def file(form, channels=3, **options):
    return file_of(to_pillow(random_photo(channels=channels)), form, **options)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_pixels_lie_in_the_room_for_them(form, channels):
    data = file(form, channels)
    elsewhere, room = read(data), np.zeros(1000, np.uint8)
    photo = read(data, room)
    np.testing.assert_array_equal(photo.pixels, elsewhere.pixels)
    assert np.shares_memory(photo.pixels, room)
    start, length = packed(photo, room)[0]["pixels"][2]
    np.testing.assert_array_equal(room[start : start + length], elsewhere.pixels.ravel())


@pytest.mark.parametrize("length", [0, 5 * 7 * 3, 5 * 7 * 3 + BEFORE - 1])
def test_pixels_without_enough_room_lie_elsewhere(length):
    data, room = file("PNG"), np.zeros(length, np.uint8)
    np.testing.assert_array_equal(read(data, room).pixels, random_photo().pixels)
    assert not room.any()


def test_what_is_changed_after_it_was_written_lies_elsewhere():
    turned, room = file("JPEG", exif=camera_exif(6)), np.zeros(1000, np.uint8)
    photo = read(turned, room)
    np.testing.assert_array_equal(photo.pixels, read(turned).pixels)
    assert not np.shares_memory(photo.pixels, room)
    assert packed(photo, room)[0]["pixels"][2][0] == 0


@pytest.fixture(scope="module")
def pool():
    pool = Pool(STRANGERS.limits)
    yield pool
    pool.close()


def test_a_photo_that_is_small_but_for_its_texts_comes_whole(pool):
    pixels = np.zeros((4095, 4096, 1), np.uint8)
    pixels[::7, ::5] = 200
    data = with_chunks(encode_photo(Photo(pixels), "PNG"), (b"tEXt", b"a\0" + b"b" * 9000))
    assert pixels.nbytes + BEFORE < blocks.SMALL_ANSWER < pixels.nbytes + 9000
    opened = pool.open(data)
    np.testing.assert_array_equal(opened.pixels, pixels)
    assert [len(text) for _, text in opened.texts] == [9002]


def test_a_child_is_asked_by_one_message_and_its_files():
    asker, child = socket.socketpair()
    with asker, child, open(os.devnull) as null:
        send(asker, {"name": "a photo"}, (null.fileno(),))
        begun, files, *_ = socket.recv_fds(child, READ_AT_ONCE, 1)
        os.close(*files)
        asker.close()
        child.close()  # there is nothing more to wait for
        assert received(child, begun) == {"name": "a photo"}
