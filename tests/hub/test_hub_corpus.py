"""A dataset on the Hub as a corpus: streamed once, at one commit, with its licence; then the Hub is not needed."""

import io

import numpy as np
import pytest
import tiny
from PIL import Image

from deconvdemo.errors import DatasetError

pytestmark = pytest.mark.timeout(180)


def opened(place: str, cache: str) -> tuple[list, dict, list[str], int]:
    """Runs in a client process: the shapes, what the source says of itself, what was said, the pixels' sum."""
    from deconvdemo.training.data.corpus import Corpus

    said: list[str] = []
    corpus = Corpus.open([place], cache_path(cache), said.append)
    total = sum(int(corpus.image(number).sum()) for number in range(len(corpus)))
    return corpus.shapes.tolist(), dict(corpus.data), said, total


def cache_path(cache: str):
    from pathlib import Path

    return Path(cache)


def png(side: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(tiny.picture(side, side)).save(file, "PNG")
    return file.getvalue()


def parquet(*sides: int) -> bytes:
    from datasets import Dataset, Features
    from datasets import Image as ImageColumn

    rows = {"image": [{"bytes": png(side), "path": f"{side}.png"} for side in sides]}
    file = io.BytesIO()
    Dataset.from_dict(rows, features=Features(image=ImageColumn())).to_parquet(file)
    return file.getvalue()


def total(*sides: int) -> int:
    return sum(int(tiny.picture(side, side).astype(np.int64).sum()) for side in sides)


def test_a_dataset_is_streamed_once_at_its_commit(hub, client, tmp_path):
    card = b"---\nlicense: cc0-1.0\n---\nphotos"
    files = {
        "README.md": card,
        "data/train-00000-of-00001.parquet": parquet(20, 30),
        "data/test-00000-of-00001.parquet": parquet(9),
    }
    commit = hub.publish("some/photos", files, kind="datasets")
    place, cache = "hf://datasets/some/photos", str(tmp_path)
    shapes, data, said, pixels = client(opened, place, cache)
    assert shapes == [[20, 20], [30, 30]]
    assert (said, pixels) == ([], total(20, 30))
    [[says]] = data.values()
    assert says.startswith(f"hf://datasets/some/photos@{commit} (")
    hub.publish("some/photos", {"data/train-00000-of-00001.parquet": parquet(40)}, kind="datasets")
    hub.log.clear()
    assert client(opened, place, cache)[0] == shapes
    assert hub.requests() == []
    assert client(opened, f"{place}@{commit}:test:image", cache)[0] == [[9, 9]]
    assert client(opened, f"{place}@main", cache)[0] == [[40, 40]]


def test_a_dataset_of_image_files_is_read_file_by_file(hub, client, tmp_path):
    hub.publish("some/files", {"train/a.png": png(12), "train/b.png": png(24)}, kind="datasets")
    shapes, _, said, pixels = client(opened, "hf://datasets/some/files", str(tmp_path))
    assert sorted(shapes) == [[12, 12], [24, 24]]
    assert (said, pixels) == ([], total(12, 24))


def test_what_is_not_there_is_said(hub, client, tmp_path):
    hub.publish("some/one", {"data/train.parquet": parquet(9)}, kind="datasets")
    for place, says in (
        ("hf://datasets/some/none", "hf://datasets/some/none cannot be read ("),
        ("hf://datasets/some/one@v9", "hf://datasets/some/one@v9 cannot be read ("),
        ("hf://datasets/some/one:test", "hf://datasets/some/one:test has no split 'test': name one of train"),
    ):
        with pytest.raises(DatasetError) as error:
            client(opened, place, str(tmp_path))
        assert str(error.value).startswith(says)
        assert "\n" not in str(error.value)


def test_an_unreachable_hub_is_said(lonely_client, tmp_path):
    with pytest.raises(DatasetError, match=r"hf://datasets/some/photos cannot be read \("):
        lonely_client(opened, "hf://datasets/some/photos", str(tmp_path))
