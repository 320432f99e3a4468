"""Reading files of others in a process of its own: it has so much memory and time, and is killed where it takes more.

What reads them is written in C++, and a damaged file may stop the program that reads it: then a sentence is left of it.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any, ClassVar

from deconvdemo.address_space import limit_address_space
from deconvdemo.bounded import in_bytes
from deconvdemo.errors import DatasetError, DeconvdemoError

MEMORY = 2_000_000_000  # bytes that reading may take beyond what the program itself does
PATIENCE = 60.0  # seconds for one item; the first waits for imports and, on the Hub, for the network
LARGEST_ITEM = 600_000_000  # bytes
_PROGRAM = "import sys; sys.path[:] = {path!r}; from deconvdemo.hub.rows_apart import serve; serve()"


def rows_apart(
    name: str,
    work: Callable[..., Iterator[Any]],
    *arguments: Any,
    memory: int = MEMORY,
    patience: float = PATIENCE,
) -> Iterator[Any]:
    """What `work(*arguments)` yields, made in a process that ends with this iterator.

    `work` is a module's function. Raises its DeconvdemoError, and DatasetError, with `name`, where it takes too much
    memory or time, or fails otherwise.
    """
    program = _PROGRAM.format(path=[path for path in sys.path if path] or sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):  # it ended already: what it has to say is read below
            pickle.dump((work, arguments, memory), process.stdin)
            process.stdin.close()
        while True:
            what, value = _told(process.stdout, name, patience, memory)
            if what == "end":
                return
            if what == "error":
                raise value
            if what == "failed":
                raise DatasetError(f"{name} cannot be read ({value})")
            yield value
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _told(pipe: IO[bytes], name: str, patience: float, memory: int) -> tuple[str, Any]:
    """The next thing that the process says."""
    length = int.from_bytes(_exactly(pipe, 8, name, patience, memory), "little")
    if length > LARGEST_ITEM:
        raise DatasetError(f"{name} cannot be read (a row of it has {in_bytes(length)})")
    return _Plain(io.BytesIO(_exactly(pipe, length, name, patience, memory))).load()


class _Plain(pickle.Unpickler):
    """What a row may hold, and nothing else: what has read a hostile file is believed no more than the file."""

    KNOWN: ClassVar[set[tuple[str, str]]] = {
        ("datetime", "datetime"), ("datetime", "timedelta"), ("datetime", "timezone"), ("pathlib", "PosixPath"),
        ("pathlib", "WindowsPath"), ("pathlib._local", "PosixPath"), ("pathlib._local", "WindowsPath"),
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self.KNOWN or (module == "deconvdemo.errors" and name.endswith("Error")):
            return super().find_class(module, name)
        raise DatasetError(f"a row holds a {module}.{name}, which no dataset has")


def _exactly(pipe: IO[bytes], count: int, name: str, patience: float, memory: int) -> bytes:
    data = bytearray()
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        while len(data) < count:
            if not waiting.select(patience):
                raise DatasetError(f"{name} cannot be read (it takes more than {patience:.0f} s for one piece of it)")
            piece = os.read(pipe.fileno(), min(1 << 20, count - len(data)))
            if not piece:
                raise DatasetError(
                    f"{name} cannot be read (it stops the program that reads it, or takes more than {in_bytes(memory)})"
                )
            data += piece
    return bytes(data)


# ---- in the process


def serve() -> None:
    """Reads what is to be done from stdin, and writes what it yields to stdout."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    work, arguments, memory = pickle.load(sys.stdin.buffer)
    limit_address_space(memory, for_good=True)
    try:
        for item in work(*arguments):
            _say(out, "item", item)
        _say(out, "end", None)
    except BrokenPipeError:  # nobody listens any more
        os._exit(0)
    except DeconvdemoError as error:
        _say(out, "error", error)
    except Exception as error:  # noqa: BLE001 - libraries raise anything on odd files; a sentence is made of it
        _say(out, "failed", why(error, memory))
    out.flush()
    os._exit(0)  # threads of libraries may wait for what does not come


def why(error: BaseException, memory: int = MEMORY) -> str:
    """A library's exception in a few words."""
    if isinstance(error, MemoryError):
        return f"it takes more than {in_bytes(memory)} of memory"
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)[:200]


def _say(out: IO[bytes], what: str, value: Any) -> None:
    data = pickle.dumps((what, value))
    if len(data) > LARGEST_ITEM:
        raise DatasetError(f"a row has {in_bytes(len(data))}, but at most {in_bytes(LARGEST_ITEM)} are read at once")
    out.write(len(data).to_bytes(8, "little"))
    out.write(data)
    out.flush()
