"""What spreads over a photo is undone by turns: a step about all of it at once, then the denoiser, tile by tile.

A photo that is larger than a block is undone block by block, each with surroundings of which nothing is kept.
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
from deconvdemo.engine.tile_by_tile import tile_by_tile
from deconvdemo.engine.tiles import Tile, plan, window_of
from deconvdemo.engine.work import Work
from deconvdemo.engine.worker import Share, compute
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import as_images, as_pixels
from deconvdemo.tasks import STANDARD, TASKS
from deconvdemo.tasks.common_controls import WRAP

BLOCK = 1536  # pixels a side
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
    blocks = plan(height, width, BLOCK, around, 1, wrap=work.wraps)
    course, share = _Course(len(blocks)), Share(leaving())
    yield Progress(0, len(blocks))
    for block in blocks:
        still_wanted()
        estimate = None
        if work.task.strength(work.controls):
            estimate = yield from _estimated(work, block, tile, course, share)
        compute(partial(work.run, block, estimate), share)
    return max(course.done, len(blocks))


@dataclass
class _Course:
    """How far all of it is: each block takes as many turns, and each of those as many tiles, as the first does."""

    blocks: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def after(self, tiles_a_block: int) -> Progress:
        total = max(self.blocks * tiles_a_block, self.done)
        left = (time.monotonic() - self.started) / self.done * (total - self.done) if self.done else None
        return Progress(self.done, total, left)


def _estimated(
    work: Work, block: Tile, tile: str | int, course: _Course, share: Share
) -> Generator[Progress, None, Tensor]:
    """What the task's turns make of a block's window, (1, C, h, w)."""
    wraps = work.wraps and course.blocks == 1  # one block of several does not repeat
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
                course.done += 1
                yield course.after(tiles.total * turn.of)
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
