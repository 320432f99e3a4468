"""What a page has open is decoded once, is found again by nobody else's word, and takes no more room than it may."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from demo_app import png
from tiny import picture

from deconvdemo.errors import PhotoError
from deconvdemo.image.apart import Pool
from deconvdemo.image.photo import Photo
from deconvdemo.image.reading import read_photo
from deconvdemo.web.restore.open_photos import MOST, OpenPhotos
from deconvdemo.web.restore.results import Results

TAB, OTHER = ("session", "denoise"), ("session", "inpaint")
BYTES = 24 * 32 * 3  # of a photo below


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The names of the files that were decoded."""
    names, real = [], Pool.open

    def counting(self, source, max_pixels=None):
        names.append(Path(source).name)
        return real(self, source, max_pixels)

    monkeypatch.setattr(Pool, "open", counting)
    return names


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path):
    """`file("a.png")` is a photo of that name, another one each time."""

    def file_(name: str) -> str:
        path = tmp_path / name
        path.write_bytes(png(np.random.default_rng().integers(0, 256, (24, 32, 3), np.uint8)))
        return str(path)

    return file_


def test_what_is_open_is_decoded_once(file, decoded):
    photos, path = OpenPhotos(), file("a.png")
    first = photos.open(TAB, path)
    assert photos.open(TAB, path) is first
    assert decoded == ["a.png"]
    np.testing.assert_array_equal(first.pixels, read_photo(path).pixels)


def test_a_tab_has_one_photo_and_a_page_one_for_each_tab(file, decoded):
    photos, a, b = OpenPhotos(), file("a.png"), file("b.png")
    photos.open(TAB, a)
    photos.open(OTHER, b)
    photos.open(TAB, a)
    assert decoded == ["a.png", "b.png"]
    photos.open(TAB, b)
    photos.open(TAB, a)
    assert decoded == ["a.png", "b.png", "b.png", "a.png"]


def test_another_file_in_its_place_is_decoded(file):
    photos, path = OpenPhotos(), file("a.png")
    before = photos.open(TAB, path)
    np.testing.assert_array_equal(photos.open(TAB, file("a.png")).pixels, read_photo(path).pixels)
    assert not np.array_equal(photos.open(TAB, path).pixels, before.pixels)


def test_a_photo_that_is_gone_is_not_read_from_memory(file):
    photos, path = OpenPhotos(), file("a.png")
    photos.open(TAB, path)
    Path(path).unlink()
    with pytest.raises(PhotoError):
        photos.open(TAB, path)


@pytest.mark.parametrize("why", ["closed", "idle", "gone"])
def test_it_is_let_go(why, file, decoded):
    clock = Clock()
    photos, path = OpenPhotos(idle=60, clock=clock), file("a.png")
    photos.open(TAB, path)
    clock.now = 50
    photos.sweep()
    assert photos.bytes == BYTES
    if why == "closed":
        photos.close(TAB)
    clock.now = 70 if why == "idle" else 50
    if why == "gone":
        Path(path).unlink()
    photos.sweep()
    assert photos.bytes == 0


def test_together_they_take_no_more_than_they_may_and_the_last_ones_asked_for_stay(file, decoded):
    photos, paths = OpenPhotos(most=2 * BYTES), [file(f"{number}.png") for number in range(3)]
    tabs = [(f"session {number}", "denoise") for number in range(3)]
    for tab, path in zip(tabs, paths, strict=True):
        photos.open(tab, path)
        photos.open(tabs[0], paths[0])
    assert photos.bytes == 2 * BYTES
    assert decoded == ["0.png", "1.png", "2.png"]
    photos.open(tabs[1], paths[1])
    assert decoded[3:] == ["1.png"]


def test_one_that_is_too_large_is_not_kept(file):
    photos, path = OpenPhotos(most=BYTES - 1), file("a.png")
    np.testing.assert_array_equal(photos.open(TAB, path).pixels, read_photo(path).pixels)
    assert photos.bytes == 0


def test_a_photo_of_the_largest_size_that_is_taken_has_room():
    assert MOST >= 3 * 50_000_000


# ---- and what it is shown as is encoded once ---------------------------------------------------------------


@pytest.fixture
def encoded(monkeypatch) -> list[Photo]:
    from deconvdemo.web.restore import results

    photos, real = [], results.lossless

    def counting(photo):
        photos.append(photo)
        return real(photo)

    monkeypatch.setattr(results, "lossless", counting)
    return photos


def test_what_is_shown_is_encoded_once_and_what_is_kept_is_the_same_file(restorer, encoded, tmp_path):
    results, photo = Results(tmp_path, 24, 100), read_photo(picture(24, 32))
    urls = [results.show(photo) for _ in range(2)]
    kept = [results.keep(restorer.restore("denoise", photo, sigma=sigma)) for sigma in (10, 20)]
    assert [one is photo for one in encoded].count(True) == 1
    shown = {(tmp_path / url.partition("/")[2]).read_bytes() for url in urls}
    assert shown == {results.read(one, one.observed) for one in kept}


def test_where_its_file_is_gone_it_is_encoded_again(encoded, tmp_path):
    results, photo = Results(tmp_path, 24, 100), read_photo(picture(24, 32))
    url = results.show(photo)
    (tmp_path / url.partition("/")[2]).unlink()
    assert results.lossless(photo) == results.lossless(photo)
    assert len(encoded) == 3
