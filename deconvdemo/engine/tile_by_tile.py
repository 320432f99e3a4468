"""One work under way, tile by tile: progress after each, and smaller tiles where memory runs short."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from functools import partial

import torch

from deconvdemo.engine.admission import leaving, still_wanted
from deconvdemo.engine.restoration import Progress
from deconvdemo.engine.tiles import Tile, plan
from deconvdemo.engine.work import Work
from deconvdemo.engine.worker import Share, compute
from deconvdemo.errors import DeviceError

LARGEST_TILE = 1024  # pixels a side of the result: about a second's work, and under 1 GB, on two cores
SMALLEST_TILE = 32
SHORTAGES = (torch.OutOfMemoryError, MemoryError, RuntimeError)  # what may be one of memory: `halved` says


def tile_by_tile(work: Work, tile: str | int) -> Generator[Progress, None, int]:
    """Fills the work's result, in tiles of this side in pixels, or "auto"; returns how many there were.

    Yields Progress before the first and after each; closing it stops the work at the next.
    """
    height, width = work.photo.height, work.photo.width
    size = (LARGEST_TILE // work.scale) if tile == "auto" else int(tile)
    radius = int(work.network.radius) + work.task.reach  # type: ignore[arg-type]
    stride = math.lcm(int(work.network.stride), work.task.grid)  # type: ignore[arg-type]

    def tiles(area: Tile | None = None) -> list[Tile]:
        return plan(height, width, size, radius, stride, area, work.wraps)

    started, done, waiting, share = time.monotonic(), 0, tiles(), Share(leaving())
    yield Progress(0, len(waiting))
    while waiting:
        still_wanted()
        one = waiting.pop(0)
        try:
            compute(partial(work.run, one), share)
        except SHORTAGES as error:
            size = halved(one, error, SMALLEST_TILE, "tiles")
            waiting = tiles(one) + waiting
            work.note(f"memory ran short: went on with tiles of {size} pixels")
            continue
        done += 1
        yield Progress(done, done + len(waiting), (time.monotonic() - started) / done * len(waiting))
    return done


def halved(tile: Tile, error: BaseException, smallest: int, what: str) -> int:
    """Half the side of one that did not fit into memory. Raises what is not about memory, or cannot be helped."""
    text = str(error).lower()
    # the CPU's allocator has no error of its own; other subclasses of RuntimeError are not about memory either
    about_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "memory" in text or "alloc" in text
    if not about_memory:
        raise error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    side = max(tile.core_rows.stop - tile.core_rows.start, tile.core_columns.stop - tile.core_columns.start)
    if side // 2 < smallest:
        raise DeviceError(
            f"out of memory even with {what} of {side} pixels: close other programs or use a smaller photo"
        ) from error
    return side // 2
