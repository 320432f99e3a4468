"""One child process and what is said to it; whatever goes wrong with it is one sentence about the file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, BinaryIO

from deconvdemo.errors import PhotoError, PhotoMemoryError
from deconvdemo.image.apart.answer import received, send, unpacked
from deconvdemo.image.apart.blocks import KeptBlock, block_of_memory, contents
from deconvdemo.image.photo import Photo

# what Python, its libraries and nothing else need; no variable that may hold a secret
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TMPDIR")
_ALWAYS = {
    "OMP_NUM_THREADS": "1",  # threads reserve memory of their own, which counts
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    # glibc would give a small photo's memory back to the system after each one, and fetch it for the next
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # asks for large pages, which are found with fewer steps
}
_TO_START = 60.0  # seconds: a cold disk
_LOOK_EVERY = 0.25  # seconds, at the memory of a child that cannot limit it itself
_MOST_KEPT = 256_000_000  # bytes that a child may hold while it waits for the next photo


@dataclass(frozen=True)
class Allowance:
    """What reading one file may use: bytes beside what the child has anyway, and seconds of the processor."""

    memory: int
    seconds: float

    @property
    def deadline(self) -> float:
        """Seconds by the clock, on a machine that has much else to do."""
        return 5 + 4 * self.seconds


class GoneError(Exception):
    """The child had ended before it was asked."""


class Child:
    """Safe to use from one thread at a time. Killed by whatever is not a plain answer."""

    def __init__(self) -> None:
        self._kept = KeptBlock.where_it_can_be_sealed()
        self._connection, theirs = socket.socketpair()
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "deconvdemo.image.apart.child"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=_environment(),
                    cwd="/",
                )
        except OSError as error:
            self._connection.close()
            raise PhotoError(
                f"the process that reads photos cannot be started ({error.strerror}): try again"
            ) from error
        try:
            self.limits_memory = bool(received(self._connection, seconds=_TO_START).get("limits_memory"))
        except (OSError, EOFError, ValueError) as error:
            self.kill()
            raise PhotoError(
                "the process that reads photos does not start: `python -m deconvdemo.image.apart.child` says why"
            ) from error
        except BaseException:
            self.kill()
            raise

    @property
    def usable(self) -> bool:
        """Whether it can be asked again: it lives, and holds little memory."""
        return self.process.poll() is None and (_resident(self.process.pid) or 0) < _MOST_KEPT

    def kill(self) -> None:
        self._connection.close()
        if self._kept:
            self._kept.close()
        self.process.kill()
        self.process.wait()

    def photo(self, file: BinaryIO, name: str, form: str, max_pixels: int | None, allowed: Allowance) -> Photo:
        """The photo of an open file. PhotoError, or GoneError where the file has no part in it."""
        with block_of_memory() as block:
            asked: dict[str, Any] = {"name": name, "form": form, "max_pixels": max_pixels}
            asked |= {"memory": allowed.memory, "seconds": allowed.seconds}
            try:
                return self._asked(asked, file, block, allowed)
            except PhotoError:
                raise
            except BaseException:
                self.kill()
                raise

    def _asked(self, asked: dict[str, Any], file: BinaryIO, block: int, allowed: Allowance) -> Photo:
        name = asked["name"]
        try:
            self._connection.settimeout(allowed.deadline)
            small = self._kept.fileno() if self._kept else block
            send(self._connection, asked, (file.fileno(), small, block))
        except OSError as error:
            raise GoneError from error
        try:
            answer = self._answer(allowed)
            if sentence := answer.get("error"):
                raise PhotoError(str(sentence)[:1000])
            if answer.get("failed") == "memory":
                raise _too_much_memory(name)
            return unpacked(answer, contents(self._kept, block, answer["size"]))
        except TimeoutError as error:
            self.kill()
            raise _too_long(name) from error
        except ConnectionResetError as error:
            raise GoneError from error  # it had not read the question
        except EOFError as error:
            raise self._died(name) from error
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            self.kill()
            raise PhotoError(f"{name} is damaged so that its decoder fell over: export it again") from error

    def _answer(self, allowed: Allowance) -> dict[str, Any]:
        if self.limits_memory:
            return received(self._connection, seconds=allowed.deadline)
        ends = time.monotonic() + allowed.deadline
        before = _resident(self.process.pid) or 0
        while time.monotonic() < ends:
            self._connection.settimeout(_LOOK_EVERY)
            try:
                begun = self._connection.recv(4)
            except TimeoutError:
                if (_resident(self.process.pid) or 0) > before + allowed.memory:
                    self.kill()
                    return {"failed": "memory"}
                continue
            if not begun:
                raise EOFError("the child has gone")
            return received(self._connection, begun, allowed.deadline)
        raise TimeoutError

    def _died(self, name: str) -> PhotoError:
        """What to say of a child that has ended while it read."""
        self._connection.close()
        try:
            ended = self.process.wait(5)
        except subprocess.TimeoutExpired:  # it has closed its end, and lives
            self.process.kill()
            ended = self.process.wait()
        if ended == -signal.SIGXCPU:
            return _too_long(name)
        if ended == -signal.SIGKILL:  # the system's own way out of a lack of memory
            return _too_much_memory(name)
        return PhotoError(f"{name} is damaged so that its decoder fell over: export it again, as PNG or JPEG")


def _too_long(name: str) -> PhotoError:
    return PhotoError(
        f"{name} needs more time than a photo of its size should: export it again, as a usual JPEG or PNG"
    )


def _too_much_memory(name: str) -> PhotoError:
    return PhotoMemoryError(
        f"{name} needs more memory than a photo of its size should: export it as a usual JPEG or PNG, or resize it"
    )


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # the package is found as it is here, whatever the folder
    places = os.pathsep.join(os.path.abspath(place) for place in sys.path)
    return {**kept, **_ALWAYS, "PYTHONPATH": places}


def _resident(pid: int) -> int | None:
    """Bytes of memory that a process holds; None where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        pass
    try:
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, timeout=5)
        return int(told.stdout) * 1024
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
