"""Weights change places under load: no error, no photo of two networks, and each report names what made it."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import tiny
from demo_app import png, running_app

from deconvdemo.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.index import INDEX
from deconvdemo.checkpoints.promotion import promote, rollback
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.image.reading import read_photo
from deconvdemo.tasks import TASKS

CLIENTS, SWAPS = 8, 10


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


class QuickWeights(Weights):
    """Looks at its folder not every five seconds, but all the time."""

    def watch_in_background(self, on_ready, every=0.05):
        self.stopped = super().watch_in_background(on_ready, every)
        return self.stopped


def denoised(http: httpx.Client, photo: bytes) -> tuple[bytes, dict]:
    """The file and the report of the demo's /denoise, by plain HTTP: a client of Gradio's has more to do."""
    (path,) = http.post("upload", files={"files": ("photo.png", photo, "image/png")}).json()
    given = [{"path": path, "meta": {"_type": "gradio.FileData"}}, 20, 1.0, "standard", False]
    event = http.post("call/denoise", json={"data": given}).json()["event_id"]
    with http.stream("GET", f"call/denoise/{event}") as lines:
        told = [line for line in lines.iter_lines() if line]
    assert told[-2] == "event: complete", told
    file, report = json.loads(told[-1].removeprefix("data: "))
    return http.get(file["url"]).content, report


def restorer_of(weights: Weights) -> Restorer:
    return Restorer(weights, Compute("cpu", "fp32", "a test"), tile=32)  # several tiles: a swap may come between them


def test_eight_clients_of_the_demo_get_whole_results_while_weights_change_places_ten_times(served, tmp_path):
    """Over HTTP, from the demo as it is launched; but it looks at its weights' folder more often."""
    folder, candidate = served
    photo, expected = png(tiny.picture(48, 48)), {}
    for file in (next(folder.glob("*.safetensors")), candidate):
        done = restorer_of(Weights(spec=str(file))).restore("denoise", photo, sigma=20)
        expected[done.checkpoint["sha256"]] = done.photo.pixels
    over, made = threading.Event(), []

    def client(url: str) -> None:
        with httpx.Client(base_url=f"{url.rstrip('/')}/gradio_api/", timeout=60) as http:
            while not over.is_set():
                file, report = denoised(http, photo)
                sha256 = report["checkpoint"]["sha256"]
                assert np.array_equal(read_photo(file).pixels, expected[sha256]), sha256
                made.append(sha256)

    def taken_over(sha256: str) -> None:
        """Wait until these weights serve, and some more results are there."""
        wait_for(lambda: weights.load("denoise").sha256 == sha256)
        before = len(made)
        wait_for(lambda: len(made) > before + 3 or any(one.done() for one in clients))

    weights = QuickWeights(folder)
    with running_app(weights, tmp_path / "data", tile=32) as app, ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, app.url) for _ in range(CLIENTS)]
        try:
            taken_over(weights.load("denoise").sha256)
            for number in range(SWAPS):
                taken_over((promote(candidate, folder, {}) if number % 2 == 0 else rollback(folder, "denoise")).sha256)
        finally:
            over.set()
            weights.stopped.set()
        for one in clients:
            one.result()
    assert all(made.count(sha256) > SWAPS / 2 for sha256 in expected)


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
