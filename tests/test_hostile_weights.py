"""Weights, indexes and histories that somebody else wrote are bounded before work, and refused in a sentence."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from test_checkpoints import SMALL, a_header, refusal, rewritten, the_tensors

from deconvdemo.bounded import BoundsError, parsed_json, read_file
from deconvdemo.checkpoints.checkpoint import Header, load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.index import read_index
from deconvdemo.checkpoints.promotion import history
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.checkpoints.sources import source_of
from deconvdemo.errors import CheckpointError
from deconvdemo.evaluation.lineage import of_old_lines
from deconvdemo.feedback.review.lineage import learned_from
from deconvdemo.networks import NETWORKS
from deconvdemo.networks.arguments import require_arguments
from deconvdemo.tasks import TASKS

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import hostile_weights

ENTRY = {"file": "x.safetensors", "sha256": "0" * 64}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "denoise.safetensors"
    save_checkpoint(path, a_header(), the_tensors())
    return path


def test_mutated_weights_are_refused_in_a_sentence_or_serve():
    """Two thousand of them: benchmarks/hostile_weights.py."""
    counted, wrong, _ = hostile_weights.attack(24, seed=13, minutes=2)
    assert not wrong
    assert counted["refused"] > 12


# ---- files


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "sparse", "loop"])
def test_what_is_no_file_of_weights_is_not_read(tmp_path, kind):
    place = tmp_path / "it.safetensors"
    hostile_weights.Case("", {}, {place.name: kind}).write(tmp_path)
    begin = time.monotonic()
    sentence = refusal(place)
    with pytest.raises(CheckpointError):
        source_of(str(place)).names()
    assert time.monotonic() - begin < 5
    words = {
        "pipe": "not a regular file",
        "device": "not a regular file",
        "sparse": "24,000.0 MB, but at most 256.0 MB",
    }
    assert words.get(kind, "") in sentence


def test_a_file_that_grows_while_it_is_read_is_not_followed(tmp_path, monkeypatch):
    file = tmp_path / "it"
    file.write_bytes(b"x" * 100)
    real = os.fstat

    def smaller(descriptor):
        status = list(real(descriptor))
        status[6] = 10
        return os.stat_result(status)

    monkeypatch.setattr("deconvdemo.bounded.os.fstat", smaller)
    with pytest.raises(BoundsError, match="more than"):
        read_file(file, 50)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "[" * 20 + "]" * 20, '{"a":' * 20 + "1" + "}" * 20, "[1e400]", "[NaN]", "[-Infinity]",
        '{"a": 1, "a": 2}', '"\\ud800"', '{"\\ud800": 1}', "[" + "0," * 200_000 + "0]", "1" * 5000, "1" * 100, "{",
    ],
)  # fmt: skip
def test_json_has_bounds(text):
    with pytest.raises(ValueError, match=r"."):
        parsed_json(text)


def test_json_within_the_bounds_is_json():
    value = {"a": [1, 2.5, True, None, "ü"], "b": {"c": [[[]]]}}
    assert parsed_json(json.dumps(value)) == value


# ---- networks


def test_every_network_names_its_arguments_with_bounds():
    network: Any
    for name, network in NETWORKS.items():
        require_arguments(network, tiny.SIZES.get(name, {}))
        with pytest.raises(ValueError, match="is no argument"):
            require_arguments(network, {"anything": 1})
        for argument in network.ARGUMENTS:
            for wrong in (10**9, -1, "1", None, 1.5, True, [10**9], [[1]], [1] * 1000, {}):
                given = {**tiny.SIZES.get(name, {}), argument: wrong}
                if wrong == {} and isinstance(SMALL[name].get(argument), dict):
                    continue  # all of an inner network's arguments left out
                with pytest.raises(ValueError, match=argument):
                    require_arguments(network, given)


LARGE = {
    "blocks": {"widths": [8, 16], "blocks": 10**9},
    "many blocks": {"widths": [1] * 7, "blocks": [10**6] * 7},
    "levels": {"widths": [1] * 40, "blocks": 0},
    "widths": {"widths": [80000, 160000], "blocks": 1},
    "parameters": {"widths": [1024] * 4, "blocks": 32},
    "radius": {"widths": [1] * 7, "blocks": 32},
}


@pytest.mark.parametrize("what", LARGE)
def test_a_network_that_is_too_large_is_refused_before_it_is_built(saved, what, monkeypatch):
    rewritten(saved, config=json.dumps(LARGE[what]))
    monkeypatch.setattr("safetensors.torch.load", lambda data: pytest.fail("tensors were made"))
    begin = time.monotonic()
    sentence = refusal(saved)
    assert time.monotonic() - begin < 10
    assert "cannot be built" in sentence or "at most 64,000,000" in sentence


@pytest.mark.parametrize("network", ["Unknown", "GatedExpert", "[]", ""])
def test_a_network_in_a_network_of_an_unknown_kind_is_refused(tmp_path, network):
    file = tmp_path / "gated.safetensors"
    config = SMALL["GatedExpert"]
    save_checkpoint(file, Header("GatedExpert", config, "denoise"), NETWORKS["GatedExpert"](**config).state_dict())
    rewritten(file, config=json.dumps({**config, "network": network}))
    assert "cannot be built (network is" in refusal(file)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**SMALL["DeconvUNet"], "side_channels": 2}, "3 image and 2 side channels"),
        ({**SMALL["DeconvUNet"], "image_channels": 1}, "1 image and 1 side channels"),
    ],
)
def test_a_network_that_its_task_could_not_feed_is_not_served(tmp_path, config, words):
    with pytest.raises(CheckpointError, match=words):
        save_checkpoint(
            tmp_path / "it.safetensors", a_header(config=config), NETWORKS["DeconvUNet"](**config).state_dict()
        )


def test_tensors_of_other_kinds_of_numbers_are_refused_before_they_are_made(saved, monkeypatch):
    tensors = load_checkpoint(saved).tensors
    name = min(tensors)
    for kind, words in ((torch.int32, "another kind of numbers"), (torch.float8_e4m3fn, "of the type F8_E4M3")):
        save_checkpoint(saved, a_header(), tensors)
        rewritten(saved, tensors={**tensors, name: tensors[name].to(kind)})
        with monkeypatch.context() as patched:
            patched.setattr("safetensors.torch.load", lambda data: pytest.fail("tensors were made"))
            assert words in refusal(saved)


# ---- indexes and histories


@pytest.mark.parametrize(
    "weights",
    [
        {"denoise": {**ENTRY, "revision": {"a": 1}}},
        {"denoise": {**ENTRY, "revision": "../../x"}},
        {"denoise": {**ENTRY, "repo": "../x"}},
        {"denoise": {**ENTRY, "repo": "https://elsewhere/x"}},
        {"denoise": {**ENTRY, "file": "a\\..\\x.safetensors"}},
        {"denoise": {**ENTRY, "file": "/etc/x.safetensors"}},
        {"denoise": {**ENTRY, "file": "..%2fx.safetensors"}},
        {"denoise": {**ENTRY, "file": "x" * 300 + ".safetensors"}},
        {"denoise": {**ENTRY, "file": "x.safetensors\n"}},
        {"../denoise": ENTRY},
        {"Denoise": ENTRY},
        {"d" * 100: ENTRY},
        {"": ENTRY},
        {f"denoise-{number}": ENTRY for number in range(100)},
    ],
)
def test_an_index_that_leads_elsewhere_or_names_too_much_is_refused(tmp_path, weights):
    (tmp_path / "index.json").write_text(json.dumps({"version": 1, "weights": weights}))
    with pytest.raises(CheckpointError, match=r"index\.json is not an index of weights"):
        read_index(tmp_path / "index.json")


def test_a_nested_a_large_and_an_endless_index_are_refused(tmp_path):
    for name, text in (("deep", "[" * 100_000), ("large", " " * 1_000_000)):
        (tmp_path / name).write_text(text)
        with pytest.raises(CheckpointError, match="is not an index of weights"):
            read_index(tmp_path / name)
    os.mkfifo(tmp_path / "index.json")
    with pytest.raises(CheckpointError, match="is not a regular file"):
        Weights(tmp_path).names()


@pytest.mark.parametrize(
    "line",
    [1, {}, {"what": "promoted"}, {"what": 1, "name": "a", "sha256": "b"},
     {"what": "promoted", "name": "a", "sha256": "b", "before": {"file": "../x"}},
     {"what": "promoted", "name": "a", "sha256": "b", "learned": 3},
     {"what": "promoted", "name": "a", "sha256": "b", "learned": [[1]]}],
)  # fmt: skip
def test_a_history_of_other_things_is_refused(tmp_path, line):
    (tmp_path / "history.json").write_text(json.dumps([line]))
    with pytest.raises(CheckpointError, match="is not a history of weights"):
        history(tmp_path)


def test_a_long_history_is_followed_to_its_end():
    lines = [
        {"what": "promoted", "name": "a", "sha256": str(n), "flags": {"from": "x"}, "learned": [f"f{n}"],
         "before": {"sha256": str(n - 1)}}
        for n in range(3000)
    ]  # fmt: skip
    assert learned_from(of_old_lines(lines), "2999") == {f"f{n}" for n in range(3000)}


# ---- the looks for newer weights


def test_a_bad_index_is_told_and_does_not_end_the_looks_at_a_folder(tmp_path):
    name = tiny.weights_file(tmp_path, TASKS["denoise"], {"variant": "standard"})
    good = (tmp_path / "index.json").read_bytes()
    weights, ready, looked = Weights(tmp_path), [], threading.Event()
    weights.names()

    def take(checkpoints) -> None:
        ready.append(sorted(checkpoints))
        looked.set()

    stop = weights.watch_in_background(take, every=0.01)
    try:
        for bad in (b"[" * 100_000, b"{}", good.replace(name.encode(), b"x" * 200)):
            (tmp_path / "index.json").write_bytes(bad)
            told = becomes(lambda: weights.looks.places.get("bundled folder"), lambda look: look and look.error)
            assert "index.json is not an index of weights" in told.error
            assert told.last_error_at <= told.last_look
            assert "newer weights were not taken at" in weights.looks.words()[0]
            (tmp_path / "index.json").write_bytes(good)
            told = becomes(lambda: weights.looks.places["bundled folder"], lambda look: not look.error)
            assert told.last_error, "what failed last is told when all is well again"
            assert weights.looks.words() == []
        tiny.weights_file(tmp_path, TASKS["upscale"], {"scale": 2, "variant": "standard"})
        assert looked.wait(20)
    finally:
        stop.set()
    assert ready == [["upscale-x2"]]


def becomes(value, expected, seconds=20.0):
    end = time.monotonic() + seconds
    while not expected(found := value()) and time.monotonic() < end:
        time.sleep(0.01)
    assert expected(found), found
    return found


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_whatever_goes_wrong_in_a_look_is_told_and_the_next_one_is_made(tmp_path, monkeypatch):
    weights, looks = Weights(tmp_path, repo="lab/nets"), []

    class Broken:
        def names(self):
            looks.append(1)
            raise MemoryError if len(looks) < 3 else SystemExit  # the thread's end

    monkeypatch.setattr("deconvdemo.checkpoints.serving.on_hub", lambda repo: Broken())
    thread = weights.fetch_in_background(lambda ready: None, every=0.01)
    thread.join(20)
    assert len(looks) == 3
    assert weights.looks.places["repository"].error == "looking for newer weights failed (MemoryError: )"


def test_weights_that_are_too_much_together_are_not_loaded(tmp_path, monkeypatch):
    for scale in (2, 3):
        tiny.weights_file(tmp_path, TASKS["upscale"], {"scale": scale, "variant": "standard"})
    size = (tmp_path / "upscale-x2.safetensors").stat().st_size
    monkeypatch.setattr("deconvdemo.checkpoints.serving.LARGEST_RELEASE", size + 10)
    weights = Weights(tmp_path / "none", repo="lab/nets")
    monkeypatch.setattr("deconvdemo.checkpoints.serving.on_hub", lambda repo: source_of(str(tmp_path)))
    weights.fetch_in_background(lambda ready: pytest.fail("they were taken")).join(20)
    assert "together" in weights.looks.places["repository"].error
