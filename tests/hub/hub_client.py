"""What the tests do in a process of its own: the Hub's client reads HF_* once, when it is imported."""

from __future__ import annotations

import errno
import os
import threading
import time
from dataclasses import dataclass
from unittest import mock

from deconvdemo.weights import Weights

_seen: list[str] = []  # sha256 of each denoise that a watch handed over


@dataclass(frozen=True)
class Served:
    source: str
    sha256: str
    status: str


def become(environment: dict[str, str]) -> None:
    """The first thing a client process does."""
    os.environ.update(environment)


def _served(weights: Weights, name: str) -> Served:
    checkpoint = weights.load(name)
    return Served(checkpoint.source, checkpoint.sha256, weights.status(name))


def chosen(spec: str, name: str = "denoise", bundled: str = "/nowhere") -> Served:
    """What `--weights spec` serves."""
    return _served(Weights(bundled, spec), name)


def chosen_with_full_disk(spec: str) -> Served:
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with mock.patch("huggingface_hub.file_download.http_get", full):
        return chosen(spec)


def background(bundled: str, repo: str, name: str = "denoise") -> tuple[Served, Served, dict[str, str]]:
    """What serves at once, what serves once the background fetch has ended, and what it handed over.

    The fetch cannot end before the first is read: whoever waited for it would wait a minute.
    """
    weights, ready, looked = Weights(bundled, repo=repo), {}, threading.Event()

    def on_ready(checkpoints):
        looked.wait(60)
        ready.update(checkpoints)

    thread = weights.fetch_in_background(on_ready)
    at_once = _served(weights, name)
    looked.set()
    if thread:
        thread.join(60)
        assert not thread.is_alive()
    return at_once, _served(weights, name), {key: value.sha256 for key, value in ready.items()}


def watch(bundled: str, repo: str, count: int) -> list[str]:
    """Looks at the repository again and again from now on; what came, once `count` did."""
    Weights(bundled, repo=repo).fetch_in_background(lambda ready: _seen.append(ready["denoise"].sha256), every=0.3)
    return watched(count)


def watched(count: int) -> list[str]:
    deadline = time.monotonic() + 60
    while len(_seen) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return _seen
