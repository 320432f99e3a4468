"""A dataset on the Hub put on the bench: its first photos, and no more of it."""

from __future__ import annotations

import io

import pytest
from hub_client import command
from PIL import Image
from tiny import picture

pytestmark = pytest.mark.timeout(180)


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(32, 40 + number)).save(file, "PNG")
    return file.getvalue()


def parquet(*cells: bytes, column: str = "photo") -> bytes:
    from datasets import Dataset, Features
    from datasets import Image as ImageColumn

    rows = {column: [{"bytes": cell, "path": f"{number}.png"} for number, cell in enumerate(cells)]}
    file = io.BytesIO()
    Dataset.from_dict(rows, features=Features({column: ImageColumn()})).to_parquet(file)
    return file.getvalue()


@pytest.fixture
def report(hub, client, tiny_weights, tmp_path):
    """report(place, …) runs the command in a process that has the Hub's client; (what it said, the page)."""

    def run(place: str, *words: str):
        out = tmp_path / "report.html"
        given = ["-o", str(out), "--damage", "denoise sigma 25", "--weights", str(tiny_weights), "--device", "cpu"]
        done = client(command, "bench-report", f"hf://datasets/{place}", *given, *words)
        return done, out.read_text(encoding="utf-8") if out.exists() else ""

    return run


def test_image_files_are_put_on_the_bench(hub, report):
    hub.publish("some/files", {"train/a.png": png(0), "train/b.png": png(1)}, kind="datasets")
    done, page = report("some/files")
    assert (done.status, done.out[-1].rpartition(": ")[2]) == (0, "2 photos, 0 left out")
    assert "Means of 2 photos" in page
    assert "There were more" not in page + "".join(done.err)


def test_of_a_large_dataset_the_first_photos_are_taken_which_is_said(hub, report):
    cells = [b"no photo", *(png(number) for number in range(3))]
    hub.publish("some/rows", {"data/train-00000-of-00001.parquet": parquet(*cells)}, kind="datasets")
    done, page = report("some/rows", "--first", "2")
    assert (done.status, done.out[-1].rpartition(": ")[2]) == (0, "2 photos, 1 left out")
    assert "Means of 2 photos" in page
    assert "There were more photos" in page
    assert "There were more photos" in done.err[-1]


def test_of_rows_that_are_no_photos_a_bounded_number_is_looked_at(hub, report):
    hub.publish("some/junk", {"data/train.parquet": parquet(*[b"no photo"] * 300)}, kind="datasets")
    done, page = report("some/junk")
    assert (done.status, page) == (1, "")
    assert len(done.err) == 201
    assert done.err[-1].startswith("deconvdemo: there is no photo to put on the bench: hf://datasets/some/junk row 0")


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("some/none", "hf://datasets/some/none cannot be read ("),
        ("some/words", "hf://datasets/some/words has no image column 'image': it has none"),
        ("some/empty", "hf://datasets/some/empty cannot be read ("),
        ("some", "'hf://datasets/some' is no dataset on the Hub: write hf://datasets/owner/name"),
    ],
)
def test_what_has_no_photos_is_said_in_one_sentence(hub, report, place, says):
    hub.publish("some/words", {"train.csv": b"word,count\nhello,3\n"}, kind="datasets")
    hub.publish("some/empty", {"README.md": b"soon"}, kind="datasets")
    done, page = report(place)
    assert done.status != 0
    assert page == ""
    assert done.sentence.startswith(says)
