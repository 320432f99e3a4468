"""What the tests do in a process of its own: the Hub's client reads HF_* once, when it is imported."""

from __future__ import annotations

import errno
import io
import os
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from deconvdemo.checkpoints.serving import Weights
from deconvdemo.cli import main
from deconvdemo.hub.download import HubRef, fetch
from deconvdemo.hub.repository import HubRepo

_seen: dict[str, list[str]] = {}  # repository → sha256 of each denoise that its watch handed over


@dataclass(frozen=True)
class Served:
    source: str
    sha256: str
    status: str


def _served(weights: Weights, name: str) -> Served:
    checkpoint = weights.load(name)
    return Served(checkpoint.source, checkpoint.sha256, weights.status(name))


def chosen(spec: str, name: str = "denoise", bundled: str = "/nowhere") -> Served:
    """What `--weights spec` serves."""
    return _served(Weights(bundled, spec), name)


def impatiently_chosen(spec: str) -> Served:
    """Where each transfer fails: the Hub's client waits between its own tries."""
    with mock.patch("time.sleep"):
        return chosen(spec)


def chosen_with_full_disk(spec: str) -> Served:
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with mock.patch("huggingface_hub.file_download.http_get", full):
        return chosen(spec)


def background(
    bundled: str, repo: str, name: str = "denoise", spec: str | None = None
) -> tuple[Served, Served, dict[str, str]]:
    """What serves at once, what serves once the background fetch has ended, and what it handed over.

    The fetch cannot end before the first is read: whoever waited for it would wait a minute.
    """
    weights, ready, looked = Weights(bundled, spec, repo), {}, threading.Event()

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


def watch(bundled: str, repo: str, count: int, last: int) -> list[str]:
    """Looks at the repository again and again, until the `last` weights came; what came, once `count` did."""
    seen = _seen.setdefault(repo, [])

    def take(ready) -> None:
        seen.append(ready["denoise"].sha256)
        if len(seen) >= last:
            raise SystemExit  # the thread's end: the tests after this one count what the Hub is asked

    Weights(bundled, repo=repo).fetch_in_background(take, every=0.3)
    return watched(repo, count)


def watched(repo: str, count: int) -> list[str]:
    deadline = time.monotonic() + 60
    while len(_seen[repo]) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return _seen[repo]


@dataclass(frozen=True)
class Done:
    """What a command gave back."""

    status: int
    out: list[str]
    err: list[str]

    @property
    def uploaded(self) -> list[str]:
        """The paths that it lists."""
        return sorted(line.split()[0] for line in self.out if line.startswith("  "))

    @property
    def sentence(self) -> str:
        """The one line by which it refused."""
        [line] = [line for line in self.err if line.startswith("deconvdemo: ")]
        return line.removeprefix("deconvdemo: ")


def command(*words: str, environment: dict[str, str] | None = None) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with mock.patch.dict(os.environ, environment or {}), redirect_stdout(out), redirect_stderr(err):
        status = main(words)
    return Done(status, out.getvalue().splitlines(), err.getvalue().splitlines())


def command_as(environment: dict[str, str], *words: str) -> Done:
    return command(*words, environment=environment)


def impatient_command(*words: str) -> Done:
    """Where the Hub fails on purpose: its client waits between its own tries."""
    with mock.patch("huggingface_hub.utils._http.time.sleep"):
        return command(*words)


def command_beside(other: dict[str, bytes], *words: str) -> Done:
    """The command; somebody else commits `other` between its look at the Hub and its own commit."""
    real: Callable[..., str] = HubRepo.commit
    calls = []

    def commit(hub: HubRepo, *given, **options) -> str:
        calls.append(hub)
        if len(calls) == 1:
            real(hub, other, "somebody else's")
        return real(hub, *given, **options)

    with mock.patch.object(HubRepo, "commit", commit):
        return command(*words)


def candidates(spec: str) -> dict[str, str]:
    """name → sha256 of what stands in duels beside the weights of a repository."""
    return {found.name: found.load().sha256 for found in Weights("/nowhere", spec).candidates()}


def fetched(spec: str, most: int, seconds: float) -> str:
    """A file, with these bounds."""
    return str(fetch(HubRef.parse(spec), most=most, seconds=seconds).path)


def fetched_lie(spec: str, most: int) -> str:
    """The same of a Hub that does not say how large the file is."""
    from huggingface_hub import get_hf_file_metadata

    def untold(*given: Any, **options: Any) -> Any:
        return replace(get_hf_file_metadata(*given, **options), size=None)

    with mock.patch("huggingface_hub.get_hf_file_metadata", untold):
        return fetched(spec, most, 60.0)


_watching: dict[str, tuple[Weights, list[str]]] = {}


def looks(bundled: str, repo: str, count: int) -> tuple[dict[str, Any], list[str]]:
    """What one more look at the repository, by the same demo, came to, and the denoisers that it has taken."""
    weights, ready = _watching.setdefault(repo, (Weights(bundled, repo=repo), []))
    for _ in range(count):
        thread = weights.fetch_in_background(lambda found: ready.append(found["denoise"].sha256))
        assert thread is not None
        thread.join(60)
    return {place: look.facts() for place, look in weights.looks.places.items()}, ready
