"""Killed by `kill -9` at any of its writes, a command leaves whole weights serving, and can be given again."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import tiny
from feedback_flags import flag_of
from PIL import Image
from safetensors.torch import load_file
from tiny_training import photos
from writes import END, get_ready, killed

from deconvdemo.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.promotion import promote
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.cli import main
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.review.pairs import is_held_out
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.tasks import TASKS

CPU = ["--device", "cpu", "--precision", "fp32"]
SIDE = 48

Kill = Callable[..., tuple[list[str], int]]


@pytest.fixture(scope="module")
def quiet() -> Iterator[ProcessPoolExecutor]:
    """A process that has imported everything and computes nothing, so that it may be forked."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=get_ready) as pool:
        yield pool


@pytest.fixture
def kill(quiet, tmp_path) -> Kill:
    """kill(words, folder, at) is `killed` there."""
    return lambda *arguments: quiet.submit(killed, tmp_path / "data", *arguments).result(timeout=120)


# ---- weights that serve, better ones, and flags


def picture(number: int) -> np.ndarray:
    row, column = divmod(number, 8)
    return tiny.picture(512, 512)[64 * row : 64 * row + SIDE, 64 * column : 64 * column + SIDE]


def png(pixels: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def served(tmp_path, monkeypatch) -> Path:
    """A folder of weights that restore badly, which serve."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr("deconvdemo.checkpoints.serving.bundled_folder", lambda: folder)
    tiny.weights_file(folder, TASKS["denoise"], {"variant": "standard"})
    return folder


@pytest.fixture
def better(served, tmp_path) -> Path:
    """The same, but they change little: a candidate."""
    bad = load_checkpoint(served / "denoise.safetensors")
    tensors = {name: value * (0.02 if name == "tail.weight" else 1) for name, value in bad.tensors.items()}
    save_checkpoint(tmp_path / "better.safetensors", bad.header, tensors)
    return tmp_path / "better.safetensors"


@pytest.fixture
def flagged(tmp_path) -> None:
    """Accepted flags with targets, three of them held back."""
    store = FeedbackStore(tmp_path / "data", min_free_mb=0)
    names = [f"flag-{number}" for number in range(40)]
    held_back, others = ([name for name in names if is_held_out(name) == back] for back in (True, False))
    for number, flag_id in enumerate(held_back[:3] + others[:3]):
        clean = picture(number)
        noisy = np.clip(clean + np.random.default_rng(number).normal(0, 5, clean.shape), 0, 255).astype(np.uint8)
        images = {"observed": png(noisy), "restored": png(noisy), "clean": png(clean)}
        store.add(flag_of(number, flag_id=flag_id, **images))
        store.add(Verdict(flag_id=flag_id, reviewer="ada", decision="accept"))
    store.close()


def shown(file: Path | None = None) -> bytes:
    """What a photo becomes with the weights that serve, or with a file's."""
    restorer = Restorer(Weights(spec=str(file) if file else None), Compute("cpu", "fp32", "a test"))
    return restorer.restore("denoise", picture(30), sigma=20).photo.pixels.tobytes()


def at_each_write(kill: Kill, words: list[str], folder: Path, weights: Path) -> Iterator[str]:
    """Kills the command at its first write to `folder`, its second, …, and at its end, each time with the weights that
    there were at first; gives what it was about to write."""
    before = weights.with_name("before")
    shutil.copytree(weights, before)
    for at in count():
        shutil.rmtree(weights)
        shutil.copytree(before, weights)
        steps, status = kill(words, folder, at)
        assert status == -9, (steps, status)
        assert main(["weights", "list"]) == 0
        yield steps[-1]
        if steps[-1] == END:
            return


# ---- the laws


def test_a_killed_promotion_leaves_one_of_both_serving(kill, served, better, flagged, tmp_path):
    (tmp_path / "validation").mkdir()
    for number in (20, 21):
        Image.fromarray(picture(number)).save(tmp_path / "validation" / f"{number}.png")
    words = ["promote", str(better), "--dev", str(tmp_path / "validation"), "--into", str(served), *CPU]
    old, new, met = shown(), shown(better), []
    for step in at_each_write(kill, words, served, served):
        met.append(step)
        assert shown() == (new if step == END else old), step
        assert kill(words, served)[1] == (1 if step == END else 0)  # what serves is no candidate any more
        assert shown() == new
        assert main(["weights", "rollback", "denoise", "--into", str(served)]) == 0
        assert shown() == old
    assert met == [f"denoise-{load_checkpoint(better).sha256[:12]}.safetensors", "history.json", "index.json", END]


def test_a_killed_rollback_leaves_one_of_both_serving(kill, served, better):
    old, new, met = shown(), shown(better), []
    promote(better, served, {})
    words = ["weights", "rollback", "denoise", "--into", str(served)]
    for step in at_each_write(kill, words, served, served):
        met.append(step)
        assert shown() == (old if step == END else new), step
        assert kill(words, served)[1] == (1 if step == END else 0)  # nothing is left to go back to
        assert shown() == old
    assert met == ["history.json", "index.json", END]


def test_a_killed_fine_tuning_changes_nothing_that_serves_and_goes_on(kill, served, flagged, tmp_path):
    (tmp_path / "photos").mkdir()
    out = tmp_path / "candidate" / "denoise.safetensors"
    words = ["finetune", "denoise", "--images", str(photos(tmp_path / "photos")), "--out", str(out)]
    words += ["--weights", str(served), "--patch", "24", "--batch", "4", "--steps", "2", "--rate", "0.2", *CPU]
    assert kill(words, out.parent)[1] == 0
    undisturbed, state = load_file(out), out.with_suffix(".state.safetensors")
    old, resumed = shown(), set()
    shutil.rmtree(out.parent)
    for step in at_each_write(kill, words, out.parent, served):
        assert shown() == old
        if state.exists():
            resumed.add(step)
        assert kill([*words, *(["--resume", str(state)] if state.exists() else [])], out.parent)[1] == 0
        made = load_file(out)
        assert made.keys() == undisturbed.keys()
        assert all(bool((made[name] == undisturbed[name]).all()) for name in made), step
        shutil.rmtree(out.parent)
    assert resumed == {state.name, out.name, END}
