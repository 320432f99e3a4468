"""The memory in which a child's answer travels: a new block for each large one, and one that is kept for the small.

Writing to pages that a system has yet to find and to clear takes longer than copying what is in them.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator

import numpy as np

SMALL_ANSWER = 16 << 20  # bytes: eight megapixels of grey, five of colour
_CAN_SEAL = hasattr(os, "memfd_create") and hasattr(fcntl, "F_ADD_SEALS")


@contextlib.contextmanager
def block_of_memory() -> Iterator[int]:
    """An open file in memory, or on the disk where a system has none: to hand on, or to get an answer in."""
    if _CAN_SEAL:
        block = os.memfd_create("photo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            yield block
        finally:
            os.close(block)
    else:
        with tempfile.TemporaryFile() as file:
            yield file.fileno()


class KeptBlock:
    """A block for all small answers of one child, which cannot make it shorter or longer."""

    def __init__(self) -> None:
        self._file = os.memfd_create("photos", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._closing = weakref.finalize(self, os.close, self._file)
        os.ftruncate(self._file, SMALL_ANSWER)
        fcntl.fcntl(self._file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self.seen = np.frombuffer(mmap.mmap(self._file, SMALL_ANSWER, mmap.MAP_SHARED, mmap.PROT_READ), np.uint8)

    @classmethod
    def where_it_can_be_sealed(cls) -> KeptBlock | None:
        return cls() if _CAN_SEAL else None

    def fileno(self) -> int:
        return self._file

    def close(self) -> None:
        self._closing()


def room_in(block: int) -> np.ndarray | None:
    """All of a `KeptBlock` in the memory of who writes to it, for good; None for a block that is not kept."""
    if not _CAN_SEAL or os.fstat(block).st_size != SMALL_ANSWER:
        return None
    import ctypes

    map_memory = ctypes.CDLL(None).mmap  # Python's own would keep the file open beside it
    map_memory.restype = ctypes.c_void_p
    map_memory.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *3 * [ctypes.c_int], ctypes.c_long]
    address = map_memory(None, SMALL_ANSWER, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, block, 0)
    if address == ctypes.c_void_p(-1).value:
        return None
    return np.ctypeslib.as_array((ctypes.c_uint8 * SMALL_ANSWER).from_address(address))


def contents(kept: KeptBlock | None, block: int, size: object) -> np.ndarray:
    """(size,) uint8 that the child cannot change any more: mapped, not copied, where it is much and can be sealed."""
    if type(size) is not int or size <= 0:
        raise ValueError("an answer without a length")
    if kept and size <= SMALL_ANSWER:
        return kept.seen[:size].copy()
    if size > os.fstat(block).st_size:
        raise ValueError("an answer of another length than it says")
    if _CAN_SEAL and _sealed(block):
        return np.frombuffer(mmap.mmap(block, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE), np.uint8)
    data = np.empty(size, np.uint8)
    with open(block, "rb", closefd=False) as file:
        file.seek(0)
        if file.readinto(data) != size:  # type: ignore[arg-type]
            raise ValueError("an answer that was cut off")
    return data


def _sealed(block: int) -> bool:
    """False where somebody can write into it still, were it only the system, which may hold a page for a moment."""
    try:
        fcntl.fcntl(
            block, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        )
    except OSError:
        return False
    return True
