"""Recent results: what is kept, for whom, and for how long."""

from __future__ import annotations

import io
import os
import time

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tiny import picture

from deconvdemo.errors import FeedbackError, PhotoError
from deconvdemo.image.reading import read_photo
from deconvdemo.web.restore.results import Results


@pytest.fixture
def results(tmp_path) -> Results:
    return Results(tmp_path / "results", hours=24, megabytes=100)


@pytest.fixture
def browser(results) -> TestClient:
    return TestClient(Starlette(routes=[results.route()]))


def photo_with_place() -> bytes:
    exif = Image.Exif()
    exif[0x0110] = "secret camera"
    exif.get_ifd(0x8825)[1] = "N"
    file = io.BytesIO()
    Image.fromarray(picture(24, 32)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def aged(results: Results, name: str, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(results.folder / name, (then, then))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_kept_is_what_was_computed(results, restorer, channels, dtype):
    restoration = restorer.restore("denoise", picture(24, 32, channels, dtype), sigma=20)
    kept = results.get(results.keep(restoration).restoration_id)
    for name, photo in [(kept.observed, restoration.observed), (kept.restored, restoration.photo)]:
        read = read_photo(results.read(kept, name))
        assert read.pixels.dtype == dtype
        np.testing.assert_array_equal(read.pixels, photo.pixels)
        if photo.alpha is not None:
            np.testing.assert_array_equal(read.alpha, photo.alpha)


def test_place_and_camera_stay_in_the_download_alone(results, restorer):
    restoration = restorer.restore("denoise", photo_with_place(), sigma=10)
    kept = results.keep(restoration, "home.jpg")
    shown = results.show(restoration.observed).rpartition("/")[0].rpartition("/")[2]
    for name in [kept.observed, kept.restored]:
        assert b"secret camera" not in results.read(kept, name)
        assert read_photo(results.read(kept, name)).exif is None
    for file in (results.folder / shown).iterdir():
        assert b"secret camera" not in file.read_bytes()
    assert kept.download == "home-denoise.jpg"
    assert b"secret camera" in results.read(kept, kept.download)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b.png", "..", ".hidden", "<b>.png", "写" * 200 + ".png", "\0"])
def test_a_visitors_file_name_stays_inside_its_folder(results, restorer, name):
    kept = results.keep(restorer.restore("denoise", picture(8, 8), sigma=10), name)
    assert results.path(kept, kept.download).parent == results.folder / kept.restoration_id
    assert results.path(kept, kept.download).is_file()
    assert "<" not in kept.download


@pytest.mark.parametrize("wrong", ["", "..", "../results", "0" * 31, "0" * 32, "A" * 32, "/etc", "\0", "x" * 5000])
def test_ids_that_are_not_ours_are_refused(results, wrong):
    with pytest.raises(FeedbackError, match="there is no result"):
        results.get(wrong)


def test_results_are_served_privately_under_their_id_alone(results, browser, restorer):
    kept = results.keep(restorer.restore("denoise", picture(24, 32), sigma=20))
    answer = browser.get(f"/{kept.url(kept.restored)}")
    assert answer.content == results.read(kept, kept.restored)
    assert "private" in answer.headers["cache-control"]
    (results.folder.parent / "private.png").write_bytes(b"private")
    for path in [
        f"/results/{'0' * 32}/{kept.restored}",
        f"/results/{kept.restoration_id}/none.png",
        f"/results/{kept.restoration_id}/%2e%2e",
        f"/results/{kept.restoration_id}/..%2f..%2fprivate.png",
        "/results/%2e%2e/private.png",
        f"/results/{kept.restoration_id}/%00",
    ]:
        refusal = browser.get(path)
        assert refusal.status_code == 404, path
        assert b"private" not in refusal.content
    assert "restore the photo again" in browser.get(f"/results/{'0' * 32}/x.png").text


def test_old_results_go(results, restorer):
    old, new = (results.keep(restorer.restore("denoise", picture(8, 8), sigma=10)) for _ in range(2))
    aged(results, old.restoration_id, 25)
    results.show(read_photo(picture(8, 8)))
    results.get(new.restoration_id)
    with pytest.raises(FeedbackError, match="restore the photo again"):
        results.get(old.restoration_id)


def test_the_oldest_results_make_room(tmp_path, restorer):
    results = Results(tmp_path, hours=24, megabytes=0.1)
    kept = [results.keep(restorer.restore("denoise", picture(100, 100), sigma=10)) for _ in range(6)]
    for age, one in enumerate(reversed(kept)):
        if (results.folder / one.restoration_id).is_dir():
            aged(results, one.restoration_id, age)
    results.show(read_photo(picture(8, 8)))
    left = [one for one in kept if (results.folder / one.restoration_id).is_dir()]
    assert left
    assert left == kept[-len(left) :]
    assert len(left) < len(kept)


def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(results, restorer, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    restoration = restorer.restore("denoise", picture(8, 8), sigma=10)
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(PhotoError, match=r"could not be kept on this server \(No space left on device\)"):
        results.keep(restoration)
    assert not list(results.folder.iterdir())
