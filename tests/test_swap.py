"""Weights change places under load: no error, no photo of two networks, and each report names what made it."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny

from deconvdemo.checkpoints import load_checkpoint, save_checkpoint
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.promotion import promote, rollback
from deconvdemo.tasks import TASKS
from deconvdemo.weights import Weights
from deconvdemo.weights_index import INDEX

CLIENTS, SWAPS = 8, 20


@pytest.fixture
def served(tmp_path):
    """(folder of weights that serve, a candidate's file)."""
    folder = tmp_path / "weights"
    folder.mkdir()
    tiny.weights_file(folder, TASKS["denoise"], {"variant": "standard"})
    found = load_checkpoint(next(folder.glob("*.safetensors")))
    tensors = {name: value.float() * 1.1 for name, value in found.tensors.items()}
    candidate = tmp_path / "candidate.safetensors"
    save_checkpoint(candidate, found.header, tensors)
    return folder, candidate


def restorer_of(weights: Weights) -> Restorer:
    return Restorer(weights, Compute("cpu", "fp32", "a test"), tile=32)  # several tiles: a swap may come between them


def test_eight_clients_restore_while_weights_change_places_twenty_times(served):
    folder, candidate = served
    photo = tiny.picture(64, 64)
    expected = {}
    for file in (next(folder.glob("*.safetensors")), candidate):
        alone = restorer_of(Weights(spec=str(file)))
        expected[load_checkpoint(file).sha256] = alone.restore("denoise", photo, sigma=20).photo.pixels
    assert len(expected) == 2
    weights = Weights(folder)
    restorer = restorer_of(weights)
    stop_watching = weights.watch_in_background(restorer.swap, every=0.02)
    over, made = threading.Event(), []

    def client() -> None:
        while not over.is_set():
            done = restorer.restore("denoise", photo, sigma=20)
            assert np.array_equal(done.photo.pixels, expected[done.checkpoint["sha256"]])
            made.append(done.checkpoint["sha256"])

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client) for _ in range(CLIENTS)]
        for number in range(SWAPS):
            now = promote(candidate, folder, {}).sha256 if number % 2 == 0 else rollback(folder, "denoise").sha256
            wait_for(lambda now=now: weights.load("denoise").sha256 == now)
            before = len(made)
            wait_for(lambda before=before: len(made) > before + CLIENTS)
        over.set()
        for one in clients:
            one.result()
    stop_watching.set()
    assert set(made) == set(expected)
    changes = sum(a != b for a, b in itertools.pairwise(made))
    assert changes >= SWAPS - 1


def test_weights_that_cannot_be_used_change_nothing(served, caplog):
    folder, candidate = served
    weights = Weights(folder)
    restorer = restorer_of(weights)
    before = restorer.restore("denoise", tiny.picture(32, 32), sigma=20).checkpoint["sha256"]
    stop_watching = weights.watch_in_background(restorer.swap, every=0.02)
    index = (folder / INDEX).read_text()
    for damaged in ("{", index.replace(before, "f" * 64)):
        (folder / INDEX).write_text(damaged)
        time.sleep(0.3)
        assert restorer.restore("denoise", tiny.picture(32, 32), sigma=20).checkpoint["sha256"] == before
    assert "what serves goes on serving" in caplog.text
    (folder / INDEX).write_text(index)
    now = promote(candidate, folder, {}).sha256
    wait_for(lambda: restorer.restore("denoise", tiny.picture(32, 32), sigma=20).checkpoint["sha256"] == now)
    stop_watching.set()


def test_what_the_user_chose_is_not_replaced_by_what_was_bundled(served, tmp_path):
    folder, candidate = served
    chosen = Weights(folder, spec=str(next(folder.glob("*.safetensors"))))
    restorer = restorer_of(chosen)
    before = restorer.restore("denoise", tiny.picture(32, 32), sigma=20).checkpoint["sha256"]
    stop_watching = chosen.watch_in_background(restorer.swap, every=0.02)
    promote(candidate, folder, {})
    time.sleep(0.3)
    assert restorer.restore("denoise", tiny.picture(32, 32), sigma=20).checkpoint["sha256"] == before
    stop_watching.set()


def wait_for(there, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)
