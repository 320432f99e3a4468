"""A corpus is decoded once, says what it skipped, and is cropped where its images are."""

import numpy as np
import pytest
import tiny
from PIL import Image

from deconvdemo.errors import TrainingError
from deconvdemo.training.data import corpus as corpus_module
from deconvdemo.training.data.corpus import Corpus


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    Image.fromarray(tiny.picture(40, 52)).save(folder / "a.png")
    Image.fromarray(tiny.picture(64, 33, 1)[..., 0]).save(folder / "grey.png")
    Image.fromarray(tiny.picture(30, 30, 4)).save(folder / "deeper" / "with-alpha.webp", lossless=True)
    (folder / "notes.txt").write_text("not an image by its name, and not looked at")
    return folder


def opened(folder, tmp_path, said=None) -> Corpus:
    return Corpus.open([folder], tmp_path / "cache", (said if said is not None else []).append)


def test_images_of_all_folders_and_kinds_become_rgb(photos, tmp_path):
    corpus = opened(photos, tmp_path)
    assert len(corpus) == 3
    assert sorted(map(tuple, corpus.shapes.tolist())) == [(30, 30), (40, 52), (64, 33)]
    assert corpus.megapixels == pytest.approx((40 * 52 + 64 * 33 + 30 * 30) / 1e6)
    by_shape = {corpus.image(number).shape[:2]: corpus.image(number) for number in range(3)}
    assert np.array_equal(by_shape[40, 52], tiny.picture(40, 52))
    assert np.array_equal(by_shape[64, 33], tiny.picture(64, 33, 1).repeat(3, axis=2))


def test_a_second_opening_decodes_nothing(photos, tmp_path, monkeypatch):
    first = opened(photos, tmp_path)
    monkeypatch.setattr(corpus_module, "_decode", lambda *arguments: pytest.fail("decoded again"))
    again = opened(photos, tmp_path)
    assert all(np.array_equal(first.image(number), again.image(number)) for number in range(3))


def test_a_changed_folder_is_decoded_again(photos, tmp_path):
    opened(photos, tmp_path)
    Image.fromarray(tiny.picture(20, 20)).save(photos / "new.png")
    assert len(opened(photos, tmp_path)) == 4


def test_a_decoding_that_was_killed_is_begun_again(photos, tmp_path, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(corpus_module, "read_photo", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(photos, tmp_path)
    assert len(opened(photos, tmp_path)) == 3


def test_what_cannot_be_read_is_skipped_and_said(photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff and then nothing")
    (photos / "empty.png").write_bytes(b"")
    said: list[str] = []
    corpus = opened(photos, tmp_path, said)
    assert len(corpus) == 3
    assert len(said) == len(corpus.skipped) == 2
    assert any("broken.jpg" in sentence for sentence in said)
    assert opened(photos, tmp_path).skipped == corpus.skipped


def test_folders_of_no_use_are_refused(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TrainingError, match=r"no images in .*empty: expected .*\.png"):
        opened(empty, tmp_path)
    with pytest.raises(TrainingError, match="is not a folder"):
        opened(tmp_path / "missing", tmp_path)
    (empty / "broken.png").write_bytes(b"no png")
    for _ in range(2):  # the second time from the cache
        with pytest.raises(TrainingError, match=r"none of the 1 images in .* could be read"):
            opened(empty, tmp_path)


def test_a_cache_that_cannot_be_written_is_said(photos, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(TrainingError, match=r"cache .*cannot be written"):
        opened(photos, tmp_path)


def test_images_that_are_too_small_are_left_out_or_refused(photos, tmp_path):
    corpus = opened(photos, tmp_path)
    assert sorted(map(tuple, corpus.large_enough(33).shapes.tolist())) == [(40, 52), (64, 33)]
    with pytest.raises(TrainingError, match="all 3 images are smaller than the 41×41 patches"):
        corpus.large_enough(41)


def test_crops_come_from_the_images_turned_and_mirrored(photos, tmp_path):
    corpus = opened(photos, tmp_path).large_enough(33)
    crops = corpus.crops(np.random.default_rng(0), 24, 16)
    assert crops.shape == (24, 16, 16, 3)
    assert crops.dtype == np.uint8
    places = {
        np.ascontiguousarray(window.transpose(1, 2, 0)).tobytes()
        for number in range(len(corpus))
        for row in np.lib.stride_tricks.sliding_window_view(corpus.image(number), (16, 16), axis=(0, 1))
        for window in row
    }
    straight = 0
    for crop in crops:
        turned = [np.rot90(side, turns) for side in (crop, crop[:, ::-1]) for turns in range(4)]
        found = [np.ascontiguousarray(view).tobytes() in places for view in turned]
        assert any(found)
        straight += found[0]
    assert straight < 24


def test_the_same_numbers_give_the_same_crops(photos, tmp_path):
    corpus = opened(photos, tmp_path)
    once, again = (corpus.crops(np.random.default_rng(5), 6, 12) for _ in range(2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, corpus.crops(np.random.default_rng(6), 6, 12))


def test_a_crop_may_be_the_whole_image(photos, tmp_path):
    corpus = opened(photos, tmp_path)
    assert corpus.crops(np.random.default_rng(0), 20, 30).shape == (20, 30, 30, 3)


def test_images_are_there_reduced_too_and_stay_what_they_are(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    flat, stripes = np.full((60, 40, 3), 77, np.uint8), np.zeros((40, 40, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than a half-sized image can show: without antialiasing they would be all black
    for name, pixels in (("flat", flat), ("stripes", stripes)):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    corpus = Corpus.open([folder], tmp_path / "cache", lambda text: None, reduced=(0.5,))
    images = {tuple(corpus.image(number).shape[:2]): corpus.image(number) for number in range(len(corpus))}
    assert set(images) == {(60, 40), (40, 40), (30, 20), (20, 20)}
    assert (images[30, 20] == 77).all()
    assert abs(images[20, 20][5:-5, 5:-5].astype(int) - 127).max() < 20
    assert np.array_equal(images[40, 40], stripes)
    assert len(opened(folder, tmp_path)) == 2  # who does not ask for them does not get them
