"""A packed corpus: crops of photographs in one file that is small enough, lossless, and says what it holds."""

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from deconvdemo.cli import main
from deconvdemo.errors import TrainingError
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.pack import detail, pack

PATCH = 32


def corpus_of(tmp_path: Path, *images: np.ndarray) -> Corpus:
    folder = tmp_path / "photos"
    folder.mkdir(exist_ok=True)
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return opened(folder, tmp_path)


def opened(place: Path, tmp_path: Path) -> Corpus:
    return Corpus.open([place], tmp_path / "cache", say=lambda text: None)


def packed(corpus: Corpus, out: Path, megabytes: float = 10, **options) -> Path:
    pack(corpus, out, megabytes, **{"patch": PATCH, "say": lambda text: None, **options})
    return out


def test_all_of_it_is_packed_where_there_is_room_once_and_without_loss(tmp_path):
    picture = tiny.picture(4 * PATCH, 3 * PATCH)
    crops = opened(packed(corpus_of(tmp_path, picture), tmp_path / "all.safetensors"), tmp_path)
    assert crops.shapes.tolist() == [[PATCH, PATCH]] * len(crops)
    cells = {
        np.ascontiguousarray(picture[y : y + PATCH, x : x + PATCH]).tobytes(): (y, x)
        for y in range(0, 4 * PATCH, PATCH)
        for x in range(0, 3 * PATCH, PATCH)
    }
    found = [cells.pop(crops.image(number).tobytes()) for number in range(len(crops))]
    assert len(found) > 6  # of 12: the flatter half by chance


def test_the_file_is_as_large_as_it_may_be_and_no_larger(tmp_path):
    corpus = corpus_of(tmp_path, tiny.picture(512, 512))
    whole = packed(corpus, tmp_path / "whole.safetensors").stat().st_size / 1e6
    for megabytes in (whole / 2, whole / 3):
        size = packed(corpus, tmp_path / "part.safetensors", megabytes).stat().st_size / 1e6
        assert megabytes - 0.01 < size <= megabytes


def test_the_seed_names_the_crops(tmp_path):
    corpus = corpus_of(tmp_path, tiny.picture(300, 333))
    one, again, other = (
        packed(corpus, tmp_path / f"{number}.safetensors", 0.03, seed=seed).read_bytes()
        for number, seed in enumerate((1, 1, 2))
    )
    assert one == again
    assert one != other


def test_every_place_is_as_likely_but_flat_ones_are_rarer_and_blank_ones_never_there(tmp_path):
    rng = np.random.default_rng(0)
    noise = lambda height, width, sigma: np.clip(rng.normal(128, sigma, (height, width, 3)), 0, 255).astype(np.uint8)
    large, small = noise(640, 640, 20), noise(320, 320, 21)
    flat, blank = noise(448, 448, 4), np.full((320, 320, 3), 128, np.uint8)
    corpus = corpus_of(tmp_path, large, small, flat, blank)
    crops = opened(packed(corpus, tmp_path / "crops.safetensors", 0.4), tmp_path)
    spreads = np.array([crops.image(number).std() for number in range(len(crops))])
    of_large, of_small = ((spreads > 19) & (spreads < 20.6)).sum(), (spreads > 20.6).sum()
    of_flat, of_blank = ((spreads > 1) & (spreads < 10)).sum(), (spreads < 1).sum()
    assert of_blank == 0
    assert of_large > 2 * of_small > 0  # four times the area
    assert 0 < of_flat < 0.3 * of_large  # half the area


def test_fine_jpegs_take_less_room_and_differ_little(tmp_path):
    # of photographs, whose grain nothing predicts
    grainy = np.random.default_rng(0).normal(tiny.picture(128, 128), 4).clip(0, 255).astype(np.uint8)
    corpus = corpus_of(tmp_path, grainy)
    files = [packed(corpus, tmp_path / f"{quality}.safetensors", quality=quality) for quality in (None, 95)]
    lossless, fine = (opened(file, tmp_path) for file in files)
    assert files[1].stat().st_size < 0.8 * files[0].stat().st_size
    assert len(fine) == len(lossless)
    for number in range(len(fine)):
        far = fine.image(number).astype(int) - lossless.image(number).astype(int)
        assert 0 < np.sqrt((far**2).mean()) < 6  # harder to predict than any photo


def test_coarse_jpegs_are_no_crops(tmp_path, capsys):
    corpus_of(tmp_path, tiny.picture(64, 64))
    words = ["corpus", "pack", "--images", str(tmp_path / "photos"), "--out", str(tmp_path / "a.safetensors")]
    assert main([*words, "--quality", "92"]) == 2
    assert "--quality is 92, but crops are JPEG of 93 to 100, or without loss" in capsys.readouterr().err


def test_detail_is_that_of_neighbours():
    assert detail(np.full((8, 8, 3), 7, np.uint8)) == 0
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[::2] = 10
    assert detail(stripes) == 10


def test_what_the_images_are_travels_into_the_pack_and_into_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "data"))
    corpus_of(tmp_path, tiny.picture(64, 64))
    first, second, out = (tmp_path / f"{name}.safetensors" for name in ("first", "second", "weights"))
    words = ["corpus", "pack", "--megabytes", "1", "--patch", "32", "--images"]
    assert main([*words, str(tmp_path / "photos"), "--data", "drawings (CC0)", "--out", str(first)]) == 0
    assert main([*words, str(first), "--out", str(second)]) == 0
    with safe_open(second, framework="numpy") as file:
        assert json.loads(file.metadata()["deconvdemo.corpus"])["data"] == ["drawings (CC0)"]
    train = ["train", "upscale", "--images", str(second), "--out", str(out), "--steps", "1", "--batch", "1"]
    assert main([*train, "--patch", "8", "--precision", "fp32", "--data", "more (CC0)"]) == 0
    with safe_open(out, framework="numpy") as file:
        assert json.loads(file.metadata()["deconvdemo.data"]) == ["more (CC0)", "drawings (CC0)"]


def test_what_cannot_be_packed_is_said(tmp_path):
    corpus, out = corpus_of(tmp_path, tiny.picture(64, 64)), tmp_path / "out.safetensors"
    with pytest.raises(TrainingError, match=r"no crop of 32×32 pixels fits into 0.002 MB: allow more --megabytes"):
        packed(corpus, out, 0.002)
    with pytest.raises(TrainingError, match="all 1 images are smaller than the 65×65 patches"):
        packed(corpus, out, patch=65)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot be written \(.*make room, or name another --out"):
        packed(corpus, tmp_path / "file" / "out.safetensors")
    assert not out.exists()


def test_what_is_no_packed_corpus_is_refused(tmp_path):
    whole = packed(corpus_of(tmp_path, tiny.picture(64, 64)), tmp_path / "whole.safetensors")
    half, weights = tmp_path / "half.safetensors", tmp_path / "weights.safetensors"
    half.write_bytes(whole.read_bytes()[:-20])
    save_file({"head.weight": np.zeros(3)}, weights)
    for place, says in (
        (half, r"half.safetensors cannot be read as a packed corpus \(.*copy it again"),
        (tmp_path / "missing.safetensors", "missing.safetensors cannot be read as a packed corpus"),
        (weights, "weights.safetensors holds no packed corpus: make one with `deconvdemo corpus pack`"),
    ):
        with pytest.raises(TrainingError, match=says):
            opened(place, tmp_path)
