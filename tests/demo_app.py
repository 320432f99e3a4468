"""The real demo on a free port of this machine, with small untrained weights; a test may slow its tiles down."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.feedback.events.records import StoredFlag
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.settings import Settings
from deconvdemo.web.demo import launch

MAX_PIXELS = 1_000_000


class PausingRestorer(Restorer):
    """Waits `pause` seconds after each step, and counts them."""

    pause = 0.0
    taken = 0

    def steps(self, *given: Any, **controls: Any) -> Iterator[Any]:
        for step in super().steps(*given, **controls):
            self.taken += 1
            yield step
            time.sleep(self.pause)


@dataclass(frozen=True)
class App:
    url: str
    restorer: PausingRestorer
    data_dir: Path
    review_link: str

    def review(self, query: str = "") -> str:
        """The printed link, which goes on to `/review?query`."""
        return f"{self.url}{self.review_link}{'&' if query else ''}{query}"

    def flags(self) -> list[StoredFlag]:
        return list(FeedbackStore(self.data_dir).flags())


@contextmanager
def running_app(weights: Path | Weights, data_dir: Path, tile: int | str = "auto", **settings: Any) -> Iterator[App]:
    chosen = weights if isinstance(weights, Weights) else Weights(weights)
    restorer = PausingRestorer(chosen, Compute("cpu", "fp32", "a test"), tile, max_pixels=MAX_PIXELS)
    given = Settings(port=free_port(), data_dir=data_dir, max_pixels=MAX_PIXELS, **settings)
    app, url, _ = launch(given, restorer, block=False)
    try:
        yield App(url, restorer, data_dir, app.state.review_link)
    finally:
        app.get_blocks().close(verbose=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def png(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG", **options)
    return file.getvalue()


def bomb(side: int = 12_000) -> bytes:
    """A small PNG file of far more pixels than the demo takes."""
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, "PNG")
    return file.getvalue()


@contextmanager
def running_door(
    weights: Path | None, data_dir: Path, hub: Any, repo: str, **environment: str
) -> Iterator[tuple[str, Any]]:
    """(URL, process) of `deconvdemo serve`, which publishes its flags to a dataset on this Hub.

    `weights` is what `--weights` names; None: nothing.
    """
    port = free_port()
    variables = {
        **os.environ,
        **hub.env(data_dir / "home"),
        "DECONVDEMO_DATA_DIR": str(data_dir),
        "DECONVDEMO_FEEDBACK_REPO": repo,
        "DECONVDEMO_PUBLISH_EVERY": "1",
        "DECONVDEMO_MODERATE": "off",
        "GRADIO_ANALYTICS_ENABLED": "False",
        **environment,
    }
    command = [sys.executable, "-m", "deconvdemo", "serve", "--port", str(port), "--device", "cpu"]
    chosen = ["--weights", str(weights)] if weights else []
    process = subprocess.Popen([*command, *chosen], env=variables, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{url}/healthz", timeout=5):
                break
            time.sleep(0.3)
        yield url, process
    finally:
        process.kill()
        process.wait()


def asked(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=20) as reply:
        return json.load(reply)


def becomes(url: str, expected: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
    """The JSON there, once it is as expected; or as it is when the time is over."""
    deadline = time.monotonic() + seconds
    while not expected(facts := asked(url)) and time.monotonic() < deadline:
        time.sleep(0.3)
    return facts
