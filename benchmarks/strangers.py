"""What strangers can do to a demo, for a while: its memory, and how long another visitor's small photo takes meanwhile.

    python benchmarks/strangers.py --seconds 90

Starts a demo of its own and throws at it, one kind after another: bodies without a length, large pictures on every way
in, jobs whose clients leave, half-sent requests, and Stop tickets. Prints a table; exit status 1 where the demo's
resident memory passes 4 GB, or a small photo takes more than 10 s.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

MOST_MB, MOST_SECONDS = 4000, 10.0
LARGE = 7000  # pixels a side: 49 MP
THREADS = 8

Photo = dict[str, Any]  # one that was uploaded, as Gradio's endpoints take it


class Demo:
    """A demo in a process of its own, and what is asked of it."""

    def __init__(self, folder: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")},
            "DECONVDEMO_DATA_DIR": str(folder / "data"),
        }
        self._log = (folder / "log.txt").open("wb")
        self.log = folder / "log.txt"

    def start(self) -> None:
        command = [sys.executable, "-m", "deconvdemo", "serve", "--port", str(self.port), "--device", "cpu"]
        self.process = subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log)
        until = time.monotonic() + 120
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}healthz", timeout=5).is_success:
                    info = httpx.get(f"{self.url}gradio_api/info", timeout=30).json()["named_endpoints"]["/denoise"]
                    self.defaults = [one.get("parameter_default") for one in info["parameters"]][1:]
                    return
            time.sleep(0.3)
        raise SystemExit(f"the demo did not start: {self.log.read_text()[-2000:]}")

    def memory(self) -> float:
        """Resident, in MB, of the process and its children."""
        pids = [self.process.pid]
        for pid in pids:
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids += map(int, (task / "children").read_text().split())
        total = 0
        for pid in pids:
            with suppress(OSError, ValueError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                total += next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
        return total / 1e3

    def uploaded(self, photo: bytes) -> Photo:
        reply = httpx.post(f"{self.url}gradio_api/upload", files={"files": ("photo.png", photo)}, timeout=60)
        reply.raise_for_status()
        return {"path": reply.json()[0], "meta": {"_type": "gradio.FileData"}}

    def called(self, photo: Photo) -> str:
        """Where the answer of a job that denoises `photo` is fetched."""
        data = [photo, *self.defaults]
        reply = httpx.post(f"{self.url}gradio_api/call/denoise", json={"data": data}, timeout=30)
        reply.raise_for_status()
        return f"{self.url}gradio_api/call/denoise/{reply.json()['event_id']}"


def png(side: int) -> bytes:
    rng = np.random.default_rng(side)
    small = Image.fromarray(rng.integers(0, 256, (max(1, side // 16), max(1, side // 16), 3), np.uint8))
    file = io.BytesIO()
    small.resize((side, side), Image.Resampling.BILINEAR).save(file, "PNG", compress_level=1)
    return file.getvalue()


def endless() -> Iterator[bytes]:
    for _ in range(20_000):
        yield b" " * 65536


def nobody(demo: Demo, large: Photo) -> None:
    """What a small photo takes here when nothing is thrown, to compare with."""
    time.sleep(0.5)


def bodies(demo: Demo, large: Photo) -> None:
    """Bodies without a length, files where none are taken, and whole ones that are too large."""
    kind = {"Content-Type": "application/json", "x-deconvdemo": "1"}
    for path in ("duel/new", "gradio_api/queue/join", "gradio_api/run/denoise", "gradio_api/call/denoise", "login"):
        httpx.post(f"{demo.url}{path}", content=endless(), headers=kind, timeout=20)
    httpx.post(f"{demo.url}erase/{'0' * 32}", files={"a": b"x" * 50_000_000}, timeout=20)


def pictures(demo: Demo, large: Photo) -> None:
    """The largest pictures that are taken, on every way in."""
    data = {"data": [large, None, 1.0, "standard", False]}
    httpx.post(f"{demo.url}gradio_api/run/denoise", json=data, timeout=60)
    httpx.get(demo.called(large), timeout=60)


def left(demo: Demo, large: Photo) -> None:
    """Jobs that nobody fetches, or whose clients leave."""
    demo.called(large)
    with httpx.stream("GET", demo.called(large), timeout=20) as reply:
        next(reply.iter_raw(), None)


def half(demo: Demo, large: Photo) -> None:
    """Requests that do not end."""
    connections = []
    for i in range(60):
        connection = socket.create_connection(("127.0.0.1", demo.port), timeout=5)
        starts = b"", b"GET / HTTP/1.1\r\nHo", b"POST /duel/new HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n{"
        connection.sendall(starts[i % 3])
        connections.append(connection)
    time.sleep(3)
    for connection in connections:
        connection.close()


def tickets(demo: Demo, large: Photo) -> None:
    """Stop tickets of a megabyte, and uploads without end."""
    config = httpx.get(f"{demo.url}config", timeout=30).json()
    stop = next(one for one in config["dependencies"] if one["api_name"] == "stopped")
    for i in range(20):
        said = {"data": [f"{i}" * 1_000_000], "fn_index": stop["id"], "session_hash": f"s{i}"}
        httpx.post(f"{demo.url}gradio_api/queue/join", json=said, timeout=20)
    httpx.post(f"{demo.url}gradio_api/upload", files={"files": os.urandom(50_000_000)}, timeout=60)


KINDS: dict[str, Callable[[Demo, Photo], None]] = {
    "nobody": nobody, "bodies": bodies, "pictures": pictures, "left": left, "half": half, "tickets": tickets,
}  # fmt: skip


@contextmanager
def thrown(kind: Callable[[Demo, Photo], None], demo: Demo, large: Photo, seconds: float) -> Iterator[float]:
    """Throws one kind from many threads; gives when it is over."""
    until = time.monotonic() + seconds

    def throw() -> None:
        while time.monotonic() < until:
            with suppress(httpx.HTTPError, OSError):
                kind(demo, large)

    threads = [threading.Thread(target=throw, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    yield until


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90.0, help="of all kinds together")
    parser.add_argument("--kinds", default=",".join(KINDS), help="with commas between")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    small, rows = png(256), []
    with tempfile.TemporaryDirectory(prefix="deconvdemo-strangers-") as folder:
        demo = Demo(Path(folder))
        demo.start()
        try:
            httpx.get(demo.called(demo.uploaded(small)), timeout=60)
            large = demo.uploaded(png(LARGE))
            for name in kinds:
                rows.append({"kind": name, **row(demo, KINDS[name], small, large, options.seconds / len(kinds))})
                if not options.json:
                    print("{kind:10} {memory:6.0f} MB at most, small photos: {small} in {slowest:5.1f} s at most, "
                          "{unanswered} unanswered".format(**rows[-1]), flush=True)  # fmt: skip
        finally:
            demo.process.terminate()
            demo.process.wait(30)
    if options.json:
        print(json.dumps(rows))
    good = all(one["memory"] <= MOST_MB and one["slowest"] <= MOST_SECONDS and not one["unanswered"] for one in rows)
    return 0 if good else 1


def row(demo: Demo, kind: Callable[[Demo, Photo], None], small: bytes, large: Photo, seconds: float) -> dict[str, Any]:
    memory, times, unanswered = [demo.memory()], [], 0
    with thrown(kind, demo, large, seconds) as until:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.1):
                memory.append(demo.memory())

        watching = threading.Thread(target=watch)
        watching.start()
        while time.monotonic() < until or not times:
            begun = time.monotonic()
            try:
                answered = "event: complete" in httpx.get(demo.called(demo.uploaded(small)), timeout=60).text
            except httpx.HTTPError:
                answered = False
            times.append(time.monotonic() - begun)
            unanswered += not answered
        ended.set()
        watching.join()
    return {"memory": max(memory), "small": len(times), "slowest": max(times), "unanswered": unanswered}


if __name__ == "__main__":
    sys.exit(main())
