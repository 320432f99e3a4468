"""What spreads over a photo is undone by turns: a step about all of it at once, then the denoiser, tile by tile.

A photo that is larger than a block is undone block by block, each with surroundings of which nothing is kept; so is one
whose transforms do not fit into memory.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from deconvdemo.deconvolution.splitting import Turn, Turns, turned, turned_back
from deconvdemo.engine.admission import leaving, still_wanted
from deconvdemo.engine.restoration import Progress
from deconvdemo.engine.tile_by_tile import SHORTAGES, halved, tile_by_tile
from deconvdemo.engine.tiles import Tile, plan, window_of
from deconvdemo.engine.work import Work
from deconvdemo.engine.worker import Share, compute
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import as_images, as_pixels
from deconvdemo.tasks import STANDARD, TASKS
from deconvdemo.tasks.common_controls import WRAP

BLOCK = 1536  # pixels a side
SMALLEST_BLOCK = 384  # of less most would be surroundings
AROUND = 192  # pixels beside a block: what is farther away does not reach into it
LARGEST_BLOCK = 600_000_000  # bytes that the transforms of one take
TURNING = 3  # times the bytes of a photo and its result that its transforms take, where it is smaller

DENOISE = TASKS["denoise"]


def by_turns(work: Work, tile: str | int) -> Generator[Progress, None, int]:
    """Fills the work's result; the denoiser works in tiles of this side in pixels, or "auto". Returns how many.

    Yields Progress before the first and after each; closing it stops the work at the next.
    """
    height, width = work.photo.height, work.photo.width
    around = AROUND if max(height, width) > BLOCK else 0
    waiting = plan(height, width, BLOCK, around, 1, wrap=work.wraps)
    course, share, done = _Course(), Share(leaving()), 0
    yield Progress(0, len(waiting))
    while waiting:
        still_wanted()
        block = waiting.pop(0)
        course.waiting = len(waiting)
        try:
            estimate = None
            if work.task.strength(work.controls):
                estimate = yield from _estimated(work, block, tile, course, share)
            compute(partial(work.run, block, estimate), share)
        except SHORTAGES as error:
            side = halved(block, error, SMALLEST_BLOCK, "blocks")
            waiting = plan(height, width, side, AROUND, 1, block, work.wraps) + waiting
            work.note(f"memory ran short: went on with blocks of {side} pixels")
            continue
        done += 1
    return max(course.done, done)


@dataclass
class _Course:
    """How far all of it is: the blocks that wait will take as many turns and tiles as the one under way."""

    waiting: int = 0  # blocks
    done: int = 0  # tiles
    started: float = field(default_factory=time.monotonic)

    def after(self, turn: Turn, tiles: Progress) -> Progress:
        """One more tile of a turn, which is so far."""
        self.done += 1
        left = tiles.total * (turn.of - turn.number + self.waiting * turn.of) + tiles.total - tiles.done
        return Progress(self.done, self.done + left, (time.monotonic() - self.started) / self.done * left)


def _estimated(
    work: Work, block: Tile, tile: str | int, course: _Course, share: Share
) -> Generator[Progress, None, Tensor]:
    """What the task's turns make of a block's window, (1, C, h, w)."""
    height, width = work.colours.shape[:2]
    whole = (block.window_rows, block.window_columns) == (slice(0, height), slice(0, width))
    wraps = work.wraps and whole  # one block of several does not repeat
    controls = {**work.controls, WRAP.name: wraps}
    turns = work.task.turns(as_images(window_of(work.colours, block)), controls)
    answer: Tensor | None = None
    while True:
        turn, result = compute(partial(_next, turns, answer), share)
        if turn is None:
            return result
        asked = _asked(work, turned(turn.image, turn.number), turn.sigma, wraps)
        for tiles in tile_by_tile(asked, tile):
            if tiles.done:
                yield course.after(turn, tiles)
        for note in asked.notes:
            work.note(note)
        answer = turned_back(as_images(asked.result), turn.number)


def _asked(work: Work, image: Tensor, sigma: float, wraps: bool) -> Work:
    """The denoiser's, of what a turn shows it."""
    controls = {"sigma": sigma, "strength": 1.0, "variant": STANDARD, WRAP.name: wraps}
    shown = Photo(as_pixels(image))
    return Work(DENOISE, controls, shown, None, None, None, work.network, work.checkpoint, work.compute_on)


@torch.inference_mode()
def _next(turns: Turns, answer: Tensor | None) -> tuple[Turn | None, Any]:
    """The next turn, or none and the result: StopIteration cannot pass through another thread."""
    try:
        return (next(turns) if answer is None else turns.send(answer)), None
    except StopIteration as ended:
        return None, ended.value
