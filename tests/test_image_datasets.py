"""Hugging Face datasets on this disk are corpora like any folder; those on the Hub are in tests/hub."""

import io
import pickle

import numpy as np
import pytest
import tiny
from datasets import Dataset, DatasetDict, Features, Value
from datasets import Image as ImageColumn
from PIL import Image

from deconvdemo.errors import ControlError, DatasetError
from deconvdemo.hub import rows_apart
from deconvdemo.hub.datasets import HubDataset
from deconvdemo.training.data.corpus import Corpus, source
from deconvdemo.training.data.sources import ImageFolder, Pack


def png(side: int) -> dict:
    file = io.BytesIO()
    Image.fromarray(tiny.picture(side, side)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": f"{side}.png"}


def dataset(*sides: int, columns=("image",)) -> Dataset:
    rows = {name: [png(side + place) for side in sides] for place, name in enumerate(columns)}
    kinds = {name: ImageColumn() for name in columns} | {"label": Value("int32")}
    return Dataset.from_dict({**rows, "label": list(range(len(sides)))}, features=Features(kinds))


def opened(place, tmp_path, said=None) -> Corpus:
    return Corpus.open([str(place)], tmp_path / "cache", (said if said is not None else []).append)


@pytest.fixture
def places(tmp_path):
    """One dataset in every form it can have on a disk."""
    folder = tmp_path / "hub"
    (folder / "data").mkdir(parents=True)
    file = folder / "data" / "train-00000-of-00001.parquet"
    dataset(20, 30).to_parquet(file)
    dataset(20, 30).save_to_disk(tmp_path / "saved")
    DatasetDict(train=dataset(20, 30), test=dataset(10)).save_to_disk(tmp_path / "saved_splits")
    return folder, file, tmp_path / "saved", tmp_path / "saved_splits", f"{file}:train", f"{folder}:train:image"


@pytest.fixture
def read_here(monkeypatch):
    """Rows are read in this process, which has imported `datasets` already; as they come through the pipe."""

    def rows(name, work, *arguments):
        for item in work(*arguments):
            yield rows_apart._Plain(io.BytesIO(pickle.dumps(item))).load()

    monkeypatch.setattr("deconvdemo.hub.datasets.rows_apart", rows)


def test_every_form_gives_the_images(places, tmp_path, read_here):
    for place in places:
        corpus = opened(place, tmp_path)
        assert corpus.shapes.tolist() == [[20, 20], [30, 30]], place
        assert np.array_equal(corpus.image(1), tiny.picture(30, 30))


def test_split_and_column_are_chosen_or_asked_for(tmp_path, read_here):
    DatasetDict(low=dataset(20, columns=("clean", "noisy")), high=dataset(40, columns=("clean", "noisy"))).save_to_disk(
        place := tmp_path / "two"
    )
    assert opened(f"{place}:high:noisy", tmp_path).shapes.tolist() == [[41, 41]]
    assert opened(f"{place}:low:clean", tmp_path).shapes.tolist() == [[20, 20]]
    for wrong, says in (
        (place, "has no split 'train': name one of low, high"),
        (f"{place}:low", "two:low has no image column 'image': name one of clean, noisy"),
        (f"{place}:low:dirty", "has no image column 'dirty': name one of clean, noisy, label"),
    ):
        with pytest.raises(DatasetError, match=says):
            opened(wrong, tmp_path)
    Dataset.from_dict({"label": [1]}).save_to_disk(tmp_path / "none")
    with pytest.raises(DatasetError, match="has no image column 'image': it has none"):
        opened(tmp_path / "none", tmp_path)


def test_a_second_opening_reads_no_rows_and_a_changed_dataset_is_read_again(places, tmp_path, monkeypatch):
    _, file, *_ = places
    opened(file, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("datasets.load_dataset", lambda *arguments, **options: pytest.fail("read again"))
        assert len(opened(file, tmp_path)) == 2
    dataset(20, 30, 25).to_parquet(file)
    assert len(opened(file, tmp_path)) == 3


def test_rows_that_are_no_images_are_skipped_and_a_damaged_file_is_said(tmp_path):
    rows = {"image": [png(20), {"bytes": b"no image", "path": "x.png"}]}
    file, said = tmp_path / "some.parquet", []
    Dataset.from_dict(rows, features=Features(image=ImageColumn())).to_parquet(file)
    assert len(opened(file, tmp_path, said)) == 1
    assert "some.parquet row 1" in said[0]
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(DatasetError, match=r"some.parquet cannot be read \("):
        opened(file, tmp_path)


def test_places_are_told_apart(tmp_path):
    photos = tmp_path / "photos: mine"
    photos.mkdir()
    Image.fromarray(tiny.picture(8, 8)).save(photos / "a.png")
    dataset(8).to_parquet(photos / "index.parquet")  # a folder of photographs with a table beside them
    assert isinstance(source(photos), ImageFolder)
    assert isinstance(source("crops.safetensors"), Pack)
    assert source("hf://datasets/some/one") == HubDataset("some/one")
    assert source("hf://datasets/some/one@v1.0:train:clean image") == HubDataset(
        "some/one", "v1.0", "train", "clean image"
    )


@pytest.mark.parametrize("text", ["hf://some/one", "hf://datasets/one", "hf://datasets/some/one/two", "hf://"])
def test_what_is_no_dataset_on_the_hub_is_refused(text):
    with pytest.raises(ControlError, match="is no dataset on the Hub: write hf://datasets/owner/name"):
        source(text)


def test_a_hub_dataset_is_named_as_it_is_written():
    for text in ("hf://datasets/a/b", "hf://datasets/a/b@main:train:image", "hf://datasets/a/b::image"):
        assert HubDataset.parse(text).name == text
