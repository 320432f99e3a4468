"""Photos go when their time is over: at each read, by the clock, after a kill, and whatever happens to the clock."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from demo_app import App, png, running_app
from tiny import picture

from deconvdemo.image.reading import read_photo
from deconvdemo.web.restore.results import Results
from deconvdemo.web.server.ages import Ages, Sweeper
from deconvdemo.web.server.uploads import Uploads

HOUR = 3600.0


class Clocks:
    """One that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.steady, self.wall = 1000.0, time.time()

    def pass_by(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds

    def ages(self, hours: float = 1.0) -> Ages:
        return Ages(hours, lambda: self.steady, lambda: self.wall)

    def write(self, file: Path) -> Path:
        """As the machine would now."""
        file.write_bytes(b"a photo")
        os.utime(file, (self.wall, self.wall))
        return file


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.mark.parametrize("years", [-30, -1, 0, 1, 30])
def test_setting_the_clock_neither_keeps_photos_nor_takes_fresh_ones(tmp_path, clocks, years):
    ages = clocks.ages()
    before = clocks.write(tmp_path / "before")
    assert not ages.over(before)
    clocks.pass_by(0.5 * HOUR)
    clocks.wall += years * 365 * 24 * HOUR
    after = clocks.write(tmp_path / "after")
    assert not ages.over(before)
    assert not ages.over(after)
    clocks.pass_by(0.6 * HOUR)
    assert ages.over(before)
    assert not ages.over(after)
    clocks.pass_by(0.6 * HOUR)
    assert ages.over(after)


def test_what_an_earlier_process_left_goes_when_its_time_is_over(tmp_path, clocks):
    old, young = clocks.write(tmp_path / "old"), clocks.write(tmp_path / "young")
    os.utime(old, (clocks.wall - 2 * HOUR,) * 2)
    ages = clocks.ages()
    assert ages.over(old)
    assert not ages.over(young)


def test_after_a_clock_that_was_set_back_what_was_left_still_goes(tmp_path, clocks):
    """However often the demo is started meanwhile."""
    future = clocks.write(tmp_path / "future")
    os.utime(future, (clocks.wall + 1000 * HOUR,) * 2)
    assert not clocks.ages().over(future)
    clocks.pass_by(0.6 * HOUR)
    assert not clocks.ages().over(future)
    clocks.pass_by(0.6 * HOUR)
    assert clocks.ages().over(future)


def test_a_file_in_the_place_of_an_old_one_is_new(tmp_path, clocks):
    ages, file = clocks.ages(), clocks.write(tmp_path / "photo")
    assert not ages.over(file)
    clocks.pass_by(0.9 * HOUR)
    clocks.write(tmp_path / "again").rename(file)
    assert not ages.over(file)
    clocks.pass_by(0.9 * HOUR)
    assert not ages.over(file)
    file.unlink()
    assert ages.over(file)
    ages.forget_gone()
    assert not ages._born


def test_the_sweep_takes_the_old_the_half_written_and_empty_folders_alone(tmp_path, clocks):
    results = Results(tmp_path / "results", 1.0, 1000, clocks.ages())
    uploads = Uploads(tmp_path / "uploads", results.ages, 1000)
    sweeper = Sweeper(results.ages, (uploads.sweep, results.sweep))
    for name in ("uploads/aa", "uploads/bb", "results"):
        (tmp_path / name).mkdir(parents=True)
    old, half = clocks.write(tmp_path / "uploads/aa/old.png"), clocks.write(tmp_path / "uploads/tmpabc")
    sweeper.sweep()
    assert old.is_file()
    assert half.is_file()
    partial = results.folder / f".{'a' * 32}"
    partial.mkdir()
    shown = tmp_path / results.show(read_photo(picture(8, 8)))
    clocks.pass_by(0.5 * HOUR)
    young = clocks.write(tmp_path / "uploads/bb/young.png")
    sweeper.sweep()
    assert not partial.exists(), "nobody writes it any more"
    assert shown.is_file()
    clocks.pass_by(0.6 * HOUR)
    sweeper.sweep()
    assert young.is_file()
    assert not old.parent.exists()
    assert not half.exists()
    assert not shown.parent.exists()


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    """Photos may get six seconds old; what was left has been there for long."""
    data = tmp_path_factory.mktemp("ages")
    left = [data / "uploads" / "aa" / "left.png", data / "results" / ("a" * 32) / "restored.png"]
    for file in left:
        file.parent.mkdir(parents=True)
        file.write_bytes(png(picture(8, 8)))
        for one in (file, file.parent):
            os.utime(one, (time.time() - 60,) * 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GRADIO_TEMP_DIR", raising=False)
        with running_app(tiny_weights, data, results_hours=6 / 3600) as app:
            assert not [file for file in left if file.exists()], "the first start sweeps"
            yield app
        os.environ.pop("GRADIO_TEMP_DIR", None)


def reads(url: str) -> set[int]:
    asked = [("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=0-10"}), ("HEAD", {"Range": "bytes=0-"})]
    return {httpx.request(method, url, headers=headers).status_code for method, headers in asked}


def test_an_upload_is_read_as_long_as_its_time_lasts(app):
    path = httpx.post(f"{app.url}gradio_api/upload", files={"files": ("photo.png", png(picture(8, 8)))}).json()[0]
    urls = [f"{app.url}gradio_api/file={path}", f"{app.url}gradio_api/file/{path.lstrip('/')}"]
    assert reads(urls[0]) <= {200, 206}
    odd = path.replace("uploads/", "uploads/../uploads/./")
    os.utime(path, (time.time() - 7,) * 2)
    assert reads(f"{app.url}gradio_api/file={odd}") == {404}, "before the clock came by"
    assert not Path(path).exists()
    for url in urls:
        assert not reads(url) & {200, 206}


def test_a_job_does_not_read_an_upload_whose_time_is_over(app):
    path = httpx.post(f"{app.url}gradio_api/upload", files={"files": ("photo.png", png(picture(9, 9)))}).json()[0]
    os.utime(path, (time.time() - 7,) * 2)
    data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, 20, 1.0, "standard", True]
    event = httpx.post(f"{app.url}gradio_api/call/denoise", json={"data": data}).json()["event_id"]
    said = httpx.get(f"{app.url}gradio_api/call/denoise/{event}", timeout=20).text
    assert "event: error" in said
    assert "upload it again" in said


def test_a_result_is_read_as_long_as_its_time_lasts_though_nobody_makes_another(app):
    results = Results(app.data_dir / "results", 6 / 3600, 1000)
    url = results.show(read_photo(picture(8, 8)))
    file = app.data_dir / url
    assert reads(f"{app.url}{url}") <= {200, 206}
    assert httpx.get(f"{app.url}{url}").headers["cache-control"] in {f"private, max-age={left}" for left in range(7)}
    os.utime(file.parent, (time.time() - 7,) * 2)
    assert reads(f"{app.url}gradio_api/file={file}") == {404}
    assert reads(f"{app.url}{url}") == {404}


def test_the_clock_takes_away_what_nobody_reads(app):
    results = Results(app.data_dir / "results", 6 / 3600, 1000)
    file = app.data_dir / results.show(read_photo(picture(8, 8)))
    path = httpx.post(f"{app.url}gradio_api/upload", files={"files": ("photo.png", png(picture(7, 7)))}).json()[0]
    until = time.monotonic() + 30
    while (file.exists() or Path(path).exists()) and time.monotonic() < until:
        time.sleep(0.1)
    assert not file.exists()
    assert not Path(path).exists()
