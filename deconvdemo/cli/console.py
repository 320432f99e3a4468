"""The console that a command prints to: no name and no closed pipe may stop the command's work."""

from __future__ import annotations

import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

_CLOSED = (errno.EPIPE, errno.EINVAL)  # the reader of a pipe went away: on Unix, on Windows


class Lasting:
    """A stream whose end is not its writer's end: what cannot be written any more is dropped.

    `lost` is why, unless it is that nobody reads any more, as in `deconvdemo … | head`.
    """

    def __init__(self, stream):
        self._stream = stream
        self.lost: OSError | None = None
        if isinstance(stream, io.TextIOWrapper):  # names are bytes, and a console has its own few characters
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def _drop(self, error: OSError) -> None:
        if error.errno not in _CLOSED:
            self.lost = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:  # below the stream, for it still has a buffer, which is flushed again at the program's end
            os.dup2(nowhere, self._stream.fileno())
        finally:
            os.close(nowhere)


@contextmanager
def lasting_console() -> Iterator[tuple[Lasting, Lasting]]:
    """Standard output and error for the time of a command. One that is closed is opened to nowhere: else the next
    file that is opened would get its number, and what a library prints."""
    before = sys.stdout, sys.stderr
    out, err = (Lasting(stream or open(os.devnull, "w")) for stream in before)  # noqa: SIM115 - as long as we live
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def shown(name: object) -> str:
    """A file's name or a sentence as one line: a name may hold line breaks, a terminal's commands, and bytes that are
    no letters."""
    return "".join(
        letter.encode("unicode_escape", "surrogatepass").decode() if _is_unseen(letter) else letter
        for letter in str(name)
    )


def _is_unseen(letter: str) -> bool:
    # controls, halves of letters, line breaks, and what turns the direction of the words around it
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _TURNING


_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
