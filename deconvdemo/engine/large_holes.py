"""What is to be done about holes deeper than a network can continue, and what the user is told of it.

The network fills a small copy, whose holes are shallow: that gives the structure. Where it is fog beside what surrounds
it, texture comes from elsewhere in the photo (`exemplars`); then the network fills a narrow seam at full size. A smooth
sky, or a photo of which too little is known, is filled by the network alone, from coarse to fine.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import pairwise

import cv2
import numpy as np

from deconvdemo.engine.admission import leaving, still_wanted
from deconvdemo.engine.coarse_to_fine import depth_of, levels, show_middle, with_middle
from deconvdemo.engine.exemplars import exemplar_fill
from deconvdemo.engine.restoration import Progress
from deconvdemo.engine.tile_by_tile import tile_by_tile
from deconvdemo.engine.work import Work
from deconvdemo.engine.worker import Share, compute
from deconvdemo.image.fog import gradient_energy, gradient_ratio
from deconvdemo.image.pixels import to_depth
from deconvdemo.tasks.inpaint import CONTINUED

SEAM = 4  # pixels between what is known and what is copied, which the network joins
MARGIN = 6  # pixels of a hole's margin that each smaller copy fills anew, for the guide
AROUND = 64  # pixels around a hole, at least, that are copied from: as many as the hole is long, if that is more
FOG = 0.3  # share of the surroundings' gradient energy, below which a filling is smoother than they are
GAIN = 2.0  # so many times as much must have what is copied, and at most as much as 1 / FOG of theirs
PLAIN = 1.0  # squared grey levels: surroundings of less gradient energy are smooth themselves
GROUPS = 8  # holes that are filled one by one; of more, all at once
SEED = 0  # the same photo gives the same filling

Box = tuple[slice, slice]  # rows and columns


def middle_filled(work: Work, tile: str | int) -> Iterator[Progress]:
    """Fills the middle of what is too deep for the network: texture from the photo, or from coarse to fine."""
    if work.weight is None or not work.task.strength(work.controls):
        return
    holes = work.weight > 0
    depth = depth_of(holes)
    if depth.max() > CONTINUED:
        deepest = f"holes reach {depth.max():.0f} pixels from what is known, and the network continues {CONTINUED}"
        if work.task.textures(work.controls) and (yield from _textured(work, _beyond(holes, depth))):
            work.note(f"{deepest}: what is farther in was copied from elsewhere in the photo, and is invented")
            return
        work.note(f"{deepest}: what is farther in is smooth")
    for smaller, larger in pairwise(levels(work)):
        yield from tile_by_tile(smaller, tile)
        show_middle(smaller, larger)


def _textured(work: Work, deep: np.ndarray) -> Generator[Progress, None, bool]:
    """Shows texture in `deep` holes, but for their seam; False, and nothing is shown, where it would be no better."""
    guiding = levels(work, CONTINUED, MARGIN)
    for smaller, larger in pairwise(guiding):
        # tiles of the usual size, whatever was asked for: one level more or less in a guide may choose another patch
        yield from tile_by_tile(smaller, "auto")
        if larger is not work:
            show_middle(smaller, larger)
    work.middle = None
    if len(guiding) < 2:  # nothing is known in a copy of half the size
        return False
    assert work.weight is not None
    holes, share, textured = work.weight > 0, Share(leaving()), False
    usable, depth = ~holes if work.seen is None else ~holes & work.seen, depth_of(holes)
    shown, middle = work.colours.copy(), np.zeros_like(deep)
    for box, group in _groups(deep):
        filled = _guide(work.colours, holes, guiding[-2].result, box)
        around = _around(group, usable[box])
        copied = None
        likeness = _likeness(filled, group, around)
        if gradient_energy(filled, around) >= PLAIN and likeness < FOG:
            copied = yield from _in_turns(exemplar_fill(filled, group, usable[box], SEED), share)
        better = copied is not None
        if copied is not None:
            smooth, filled[group] = filled[group], copied
            if not (better := GAIN * likeness <= _likeness(filled, group, around) <= 1 / FOG):
                filled[group] = smooth
        textured |= better
        inner = group & (depth[box] > (SEAM if better else MARGIN))
        shown[box][inner] = to_depth(filled[inner], shown.dtype)
        middle[box] |= inner
    if textured:
        work.shown, work.middle = shown, middle
    return textured


def _beyond(holes: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Where holes are too deep, and their margin there; scratches that run into them are left to the network."""
    return holes & (depth_of(depth <= CONTINUED) <= 1.5 * CONTINUED)


def _guide(colours: np.ndarray, holes: np.ndarray, smaller: np.ndarray, box: Box) -> np.ndarray:
    """A float32 copy of this part of the photo, whose holes are as the copy of half the size has them."""
    rows, columns = box  # which begin at even places
    half = smaller[rows.start // 2 : (rows.stop + 1) // 2, columns.start // 2 : (columns.stop + 1) // 2]
    return with_middle(to_depth(colours[box], np.float32), holes[box], half)


def _groups(deep: np.ndarray) -> Iterator[tuple[Box, np.ndarray]]:
    """Each hole with as much around it as it is long, as (rows, columns) and the hole within them."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(deep.astype(np.uint8))
    found = [(boxes[number], labels == number) for number in range(1, count)] if count - 1 <= GROUPS else []
    for (left, top, width, height, _), hole in found or [((0, 0, deep.shape[1], deep.shape[0], 0), deep)]:
        around = max(AROUND, width, height)
        rows, columns = _even(top - around, top + height + around), _even(left - around, left + width + around)
        box = slice(rows.start, min(rows.stop, deep.shape[0])), slice(columns.start, min(columns.stop, deep.shape[1]))
        yield box, hole[box]


def _even(start: int, stop: int) -> slice:
    return slice(max(0, start) // 2 * 2, stop)


def _around(hole: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """What lies as near to the hole as the hole is deep."""
    return usable & (depth_of(~hole) <= max(float(depth_of(hole).max()), CONTINUED))


def _likeness(image: np.ndarray, hole: np.ndarray, around: np.ndarray) -> float:
    """The gradient energy of the filling, where the network cannot continue, over that around: 1 is as much."""
    return gradient_ratio(image, depth_of(hole) > CONTINUED, around)


def _in_turns(
    steps: Generator[None, None, np.ndarray | None], share: Share
) -> Generator[Progress, None, np.ndarray | None]:
    """What the generator returns, a step at a time on the compute thread, for as long as somebody waits for it."""
    done = 0

    def step() -> tuple[bool, np.ndarray | None]:
        try:
            next(steps)
        except StopIteration as end:
            return True, end.value
        return False, None

    while True:
        still_wanted()
        ended, result = compute(step, share)
        done += 1
        if ended:
            return result
        yield Progress(done, done + 1)
