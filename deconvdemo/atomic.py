"""Files that are there whole or not at all, whatever is killed and whenever."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


class WriteError(OSError):
    """A file that could not be written: a sentence without its end, which is what to do about it."""


def write_atomically(path: Path, data: bytes) -> None:
    """Temporary file, fsync, rename: a reader sees the old file or the new one, also after a power cut.

    The folder is made if there is none. Raises WriteError, caused by the OSError; what was there before is intact.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")  # a name beside the longest names
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise WriteError(f"{path} cannot be written ({error.strerror or error})") from error
    finally:  # also when a person stops it
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
