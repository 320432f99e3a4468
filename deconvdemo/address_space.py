"""What a process has reserved of memory, and a limit on it: for those that read strangers' files."""

from __future__ import annotations

import os
from contextlib import suppress


def address_space() -> int | None:
    """Bytes that this process has reserved; None where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def limit_address_space(more: int, for_good: bool = False) -> None:
    """So many more bytes from here on; `for_good`: not to be taken back. Nothing where a system knows no limits."""
    reserved = address_space()
    if reserved is None:
        return
    import resource  # which Windows has not

    with suppress(ValueError, OSError):
        most = reserved + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most if for_good else resource.getrlimit(resource.RLIMIT_AS)[1]))
