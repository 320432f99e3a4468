"""A folder as people have it: nothing is overwritten, nothing passed over in silence, and no odd file ends the run."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from deconvdemo.cli import main
from deconvdemo.cli.console import Lasting, lasting_console, shown
from deconvdemo.cli.photos import find
from deconvdemo.cli.targets import targets
from deconvdemo.errors import PhotoError
from deconvdemo.image.apart import Pool
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import write_photo


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def denoise(tiny_weights, capsys):
    """`denoise(input, …)` with strength 0, which changes no pixel → (status, lines of stdout, lines of stderr)."""

    def denoise_(*words):
        engine = ["--weights", tiny_weights, "--device", "cpu", "--precision", "fp32", "--strength", "0"]
        status = main(["denoise", *map(str, words), *map(str, engine)])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err.splitlines()

    return denoise_


def shade(path: Path, grey: int = 50) -> Path:
    """A grey photo, told from others by its grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 6), (grey,) * 3).save(path, format="JPEG" if path.suffix in (".jfif", "") else None)
    return path


def grey_of(path: Path) -> int:
    return int(np.asarray(Image.open(path))[0, 0, 0])


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ---- what is there stays -----------------------------------------------------------------------------------


def test_no_file_that_is_there_is_replaced_unless_it_is_said(denoise, tmp_path):
    original, edited = shade(tmp_path / "holiday/1.png", 10), shade(tmp_path / "holiday/edited/1.png", 90)
    shade(tmp_path / "holiday/edited/2.png", 90)
    asked = (edited.parent, "-o", original.parent)
    status, _, err = denoise(*asked)
    assert (status, grey_of(original)) == (1, 10)
    assert "1 done, 1 skipped (1 there already: 1.png; --skip-existing" in err[-1]
    status, out, err = denoise(*asked, "--skip-existing")
    assert (status, err, grey_of(original)) == (0, [], 10)
    assert out == ["0 done, 2 skipped (2 there already: 1.png, 2.png), 0 failed"]
    status, *_ = denoise(*asked, "--overwrite")
    assert (status, grey_of(original)) == (0, 90)


def test_one_photo_does_not_replace_a_file_unasked_either(denoise, tmp_path):
    photo, there = shade(tmp_path / "new.png", 90), shade(tmp_path / "old.png", 10)
    status, out, err = denoise(photo, "-o", there)
    assert (status, out, len(err), grey_of(there)) == (1, [], 1, 10)
    assert "old.png is there already and stays as it is" in err[0]
    status, out, err = denoise(photo, "-o", there, "--skip-existing")
    assert (status, len(out), err, grey_of(there)) == (0, 1, [], 10)
    assert denoise(photo, "-o", there, "--overwrite")[0] == 0
    assert grey_of(there) == 90


def test_a_name_that_is_known_only_after_the_work_is_kept_too(denoise, tmp_path):
    photo, there = tmp_path / "wide.jpg", shade(tmp_path / "out/wide.png", 10)
    Image.new("L", (65_000, 1)).save(photo)
    too_wide_for_jpeg = ["upscale", str(photo), "-o", str(tmp_path / "out"), "--scale", "2"]
    assert main(too_wide_for_jpeg) == 1
    assert grey_of(there) == 10


def test_photos_that_are_given_are_never_replaced(denoise, tmp_path):
    one, two = shade(tmp_path / "a/1.png", 10), shade(tmp_path / "b/2.png", 90)
    link = tmp_path / "link.png"
    link.symlink_to(one)
    for inputs, output in (([one], one), ([one], link), ([one, two], one.parent), ([link], one)):
        status, _, err = denoise(*inputs, "-o", output, "--overwrite")
        assert status in (1, 2)
        assert "is the photo itself: name another -o" in err[0]
        assert (grey_of(one), grey_of(two)) == (10, 90)
    mask = shade(tmp_path / "mask.png", 255)
    assert main(["inpaint", str(one), "--mask", str(mask), "-o", str(mask), "--overwrite"]) == 2
    assert grey_of(mask) == 255


def test_a_folder_in_the_place_of_a_result_is_told(denoise, tmp_path):
    photos, taken = shade(tmp_path / "photos/1.png").parent, tmp_path / "out/1.png"
    shade(photos / "2.png")
    taken.mkdir(parents=True)
    status, out, err = denoise(photos, "-o", taken.parent, "--overwrite")
    assert (status, len(out)) == (1, 1)
    assert "1.png is a folder" in err[0]


@pytest.mark.parametrize(
    "names",
    [
        ["IMG.jpg", "img.JPG"],
        ["Straße.png", "STRASSE.png"],
        ["caf\u00e9.png", "cafe\u0301.png"],  # composed and decomposed
        ["A/x.png", "a/x.png"],
        ["a.png", "a.jpg", "A-png.png", "a"],
    ],
)
def test_no_two_results_are_one_file_on_any_disk(tmp_path, names):
    photos = [(tmp_path / name, Path(name)) for name in names]
    found = [target.named(".jpg") for _, target in targets(photos, tmp_path / "out", False)]
    assert len({unicodedata.normalize("NFC", str(path)).casefold() for path in found}) == len(names)


# ---- what is a photo ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a.JPG", "b.jfif", "c.jpe", "d.TIF", "e.dib", "f.apng", "no-suffix", "by-its-bytes.dat", "g.jif", "h.WebP"]
)
def test_every_name_of_a_format_that_is_read_is_taken(denoise, tmp_path, name):
    form = {".tif": "TIFF", ".dib": "BMP", ".apng": "PNG", ".webp": "WEBP"}.get(Path(name).suffix.lower(), "JPEG")
    (tmp_path / "in").mkdir()
    Image.new("RGB", (6, 6), (50,) * 3).save(tmp_path / "in" / name, format=form)
    status, out, _ = denoise(tmp_path / "in", "-o", tmp_path / "out")
    assert (status, out[-1]) == (0, "1 done, 0 skipped, 0 failed")


@pytest.mark.parametrize("name", [".jpe", ".jfif", ".jif", ".JPEG", ".tiff", ".webp"])
def test_a_result_is_written_under_every_name_of_its_format(denoise, tmp_path, name):
    target = tmp_path / f"out{name}"
    assert denoise(shade(tmp_path / "a.png"), "-o", target)[0] == 0
    assert Image.open(target).format == {".tiff": "TIFF", ".webp": "WEBP"}.get(name, "JPEG")


@pytest.mark.parametrize(
    "name",
    [
        "._1.jpg", ".hidden.jpg", ".thumbnails/1.jpg", "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "Thumbs.db", ".DS_Store",
        "#recycle/1.jpg", ".Trashes/1.jpg", "lost+found/1.jpg", ".@__thumb/1.jpg", "__MACOSX/._1.jpg",
        "$RECYCLE.BIN/1.jpg", "System Volume Information/1.jpg", "1.THM", "1.jpg~", "desktop.ini",
    ],
)  # fmt: skip
def test_what_systems_put_beside_photos_is_none(tmp_path, name):
    photo, other = shade(tmp_path / "in/1.jpg"), tmp_path / "in" / name
    other.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(photo, other)
    found = find([tmp_path / "in"], tmp_path / "out")
    assert [source for source, _ in found.photos] == [photo]
    assert [why for _, why in found.passed] == ["hidden or the system's own"]


def test_what_is_left_out_is_told_with_the_reason(denoise, tmp_path):
    folder = shade(tmp_path / "in/1.jpg").parent
    (folder / "notes.txt").write_text("BM is how a bitmap begins, and this text")
    (folder / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
    (folder / "raw.NEF").write_bytes(b"II*\0 a preview comes first")
    (folder / "drawing.svg").write_text("<svg/>")
    (folder / "nowhere.jpg").symlink_to(folder / "gone.jpg")
    (folder / "circle.jpg").symlink_to(folder / "circle.jpg")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.jpg")
    status, out, err = denoise(folder, "-o", tmp_path / "out")
    assert (status, err) == (0, [])
    assert out[-1] == (
        "1 done, 8 skipped (1 links to folders: up; 2 links to nothing: circle.jpg, nowhere.jpg; 2 not photos: "
        "clip.mp4, notes.txt; 1 pictures of a kind that is not read: drawing.svg; 1 neither files nor folders: "
        "pipe.jpg; 1 camera raw, to be developed first: raw.NEF), 0 failed"
    )
    assert files_of(tmp_path / "out") == ["1.jpg"]


def test_a_photos_name_on_what_is_none_is_a_failure_that_stops_nothing(denoise, tmp_path):
    folder = shade(tmp_path / "in/9.jpg").parent
    (folder / "1 empty.jpg").write_bytes(b"")
    (folder / "2 text.jpg").write_text("text")
    (folder / "3 line\nbreak\x1b[2J.jpg").write_text("text")
    status, out, err = denoise(folder, "-o", tmp_path / "out")
    assert (status, len(out), len(err)) == (1, 1, 4)
    assert all(f"{folder}/{number} " in line for number, line in enumerate(err[:3], 1))
    assert f"1 done, 0 skipped, 3 failed ({folder}/1 empty.jpg is empty" in err[-1]
    assert "\x1b" not in "".join(err)


def test_folders_that_cannot_be_read_and_photos_that_vanish_are_told(denoise, tmp_path, monkeypatch):
    folder = shade(tmp_path / "in/1.jpg").parent
    (folder / "closed").mkdir()
    vanishing, listed = shade(folder / "0.jpg"), os.scandir

    def scandir(place):
        if str(place).endswith("closed"):
            vanishing.unlink()
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return listed(place)

    monkeypatch.setattr(os, "scandir", scandir)
    status, out, err = denoise(folder, "-o", tmp_path / "out")
    assert (status, len(out), len(err)) == (1, 1, 3)
    assert "closed cannot be read (Permission denied)" in err[0]
    assert "there is no file" in err[1]
    assert err[2].startswith("deconvdemo: 1 done, 0 skipped, 2 failed")


def test_a_photo_given_twice_is_restored_once(denoise, tmp_path):
    photo = shade(tmp_path / "in/b.jpg")
    (photo.parent / "a.jpg").symlink_to(photo)
    status, out, _ = denoise(photo.parent, photo, photo.parent / ".." / "in", "-o", tmp_path / "out")
    assert (status, files_of(tmp_path / "out")) == (0, ["b.jpg"])
    assert out[-1].startswith("1 done, 4 skipped (")


def test_a_folder_without_photos_is_told_beside_others(denoise, tmp_path):
    (tmp_path / "empty").mkdir()
    status, out, _ = denoise(tmp_path / "empty", shade(tmp_path / "a.jpg"), "-o", tmp_path / "out")
    assert (status, out[-1]) == (0, "1 done, 1 skipped (1 folders without photos: empty), 0 failed")


# ---- stopping and going on ---------------------------------------------------------------------------------


def test_a_stopped_run_says_how_to_go_on_and_goes_on(denoise, tmp_path, monkeypatch):
    folder = shade(tmp_path / "in/1.jpg").parent
    shade(folder / "2.jpg")
    shade(folder / "3.jpg")
    synced, times = os.fsync, iter(range(9))

    def fsync(file):  # between a file's last byte and its name: the worst moment to be stopped at
        if next(times) == 1:
            raise KeyboardInterrupt
        synced(file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        status, _, err = denoise(folder, "-o", tmp_path / "out")
    told = "deconvdemo: stopped, 1 of 3 photos are done: the same command with --skip-existing goes on"
    assert (status, err) == (130, [told])
    assert files_of(tmp_path / "out") == ["1.jpg"]
    first = (tmp_path / "out/1.jpg").stat().st_mtime_ns
    status, out, _ = denoise(folder, "-o", tmp_path / "out", "--skip-existing")
    assert (status, out[-1]) == (0, "2 done, 1 skipped (1 there already: 1.jpg), 0 failed")
    assert (tmp_path / "out/1.jpg").stat().st_mtime_ns == first


def test_a_full_disk_ends_the_run_at_once(denoise, tmp_path, monkeypatch):
    folder = shade(tmp_path / "in/1.jpg").parent
    shade(folder / "2.jpg")

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, out, err = denoise(folder, "-o", tmp_path / "out")
    assert (status, out, len(err)) == (1, [], 2)
    assert "stopped, the disk is full: make room" in err[1]
    assert files_of(tmp_path / "out") == []


def test_no_work_is_spent_on_a_folder_that_is_read_only(denoise, tmp_path, monkeypatch):
    folder = shade(tmp_path / "in/1.jpg").parent
    shade(folder / "2.jpg")
    monkeypatch.setattr(os, "access", lambda place, how: False)
    monkeypatch.setattr("deconvdemo.cli.restore.restorer", lambda *given: pytest.fail("it was loaded"))
    status, _, err = denoise(folder, "-o", tmp_path / "out")
    assert (status, len(err)) == (1, 3)
    assert "is read-only: name another -o" in err[0]


def test_a_mistake_of_ours_costs_one_photo(denoise, tmp_path, monkeypatch):
    folder = shade(tmp_path / "in/1.jpg").parent
    shade(folder / "2.jpg")
    opened = Pool.open

    def open_(self, source, *given):
        if str(source).endswith("1.jpg"):
            raise ZeroDivisionError("a mistake")
        return opened(self, source, *given)

    monkeypatch.setattr(Pool, "open", open_)
    status, _, err = denoise(folder, "-o", tmp_path / "out")
    assert (status, files_of(tmp_path / "out")) == (1, ["2.jpg"])
    assert f"{folder}/1.jpg: unexpected ZeroDivisionError: a mistake" in err[0]


def test_stopping_leaves_no_half_of_a_file(tmp_path, monkeypatch):
    def stop(file):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_photo(read_photo(tiny.picture(8, 8)), tmp_path / "a.png")
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(PhotoError):
        write_photo(read_photo(tiny.picture(8, 8)), tmp_path / "a.png")
    assert files_of(tmp_path) == []


# ---- names and consoles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_no_name_and_no_console_stop_a_run(denoise, tmp_path, monkeypatch, encoding):
    folder = tmp_path / "in"
    names = [b"caf\xe9.jpg", "日本 →.jpg".encode(), "e\u0301.jpg".encode(), b"plain.jpg", b"bad\xff.jpg"]
    for name in names:
        shade(tmp_path / "a.jpg").rename(folder / os.fsdecode(name)) if folder.is_dir() else folder.mkdir()
    shade(folder / "a.jpg")
    console, errors = (io.TextIOWrapper(io.BytesIO(), encoding, errors="strict") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr(sys, "stderr", errors)
    status, *_ = denoise(folder, "-o", tmp_path / "out")
    assert status == 0
    assert len(files_of(tmp_path / "out")) == len(names)
    assert b"5 done, 0 skipped, 0 failed" in console.buffer.getvalue()


def test_a_reader_that_goes_away_stops_nothing_and_is_no_error(denoise, tmp_path, monkeypatch):
    folder = shade(tmp_path / "in/1.jpg").parent
    shade(folder / "2.jpg")
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(sys, "stdout", open(writing, "w", buffering=1))  # noqa: SIM115
    status, _, err = denoise(folder, "-o", tmp_path / "out")
    assert (status, err) == (0, [])
    assert files_of(tmp_path / "out") == ["1.jpg", "2.jpg"]
    assert main(["weights", "list"]) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_list_that_could_not_be_written_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", open("/dev/full", "w"))  # noqa: SIM115
    assert main(["weights", "list"]) == 1
    assert "cannot be written (No space left on device)" in capsys.readouterr().err


def test_a_console_that_is_closed_is_none_to_fail_on(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with lasting_console() as (out, _):
        print("nobody hears this")
        assert isinstance(sys.stdout, Lasting)
        assert not out.isatty()
    assert sys.stdout is None


def test_a_name_is_shown_on_one_line_and_commands_no_terminal():
    assert shown("a\nb\x1b[2J\u202etxt.exe") == r"a\nb\x1b[2J\u202etxt.exe"
    assert shown("Ünï 日本 👩\u200d🚀 → 9.41\u202fAM") == "Ünï 日本 👩\u200d🚀 → 9.41\u202fAM"
    assert shown(os.fsdecode(b"caf\xe9")) == r"caf\udce9"
