"""What weights do, to look at: a bundled photo as it was damaged, as they restore it, and as it is.

The photos are the duels', from scikit-image's samples (`evaluation/contenders.py` names their authors).
"""

from __future__ import annotations

import numpy as np

from deconvdemo.checkpoints.checkpoint import Checkpoint, Header
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError
from deconvdemo.image import PHOTOS
from deconvdemo.image.lossless import lossless
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import to_depth
from deconvdemo.image.reading import read_photo
from deconvdemo.tasks import STANDARD, TASKS
from deconvdemo.tasks.declared import Degraded

SIDE = 156  # pixels of a tile, of which 2, 3 and 4 are divisors: three tiles, losslessly, stay below 150 KB
GAP = 6  # white pixels between tiles
# the same for everybody, so that the same weights give the same picture
COMPUTE = Compute("cpu", "fp32", "pictures are the same everywhere")


def caption(header: Header) -> str:
    """What the picture shows; "" for weights that no task offers, of which there is none."""
    if not _offered(header):
        return ""
    return f"{_scene(header).damage}; restored; the original (photo: {TASKS[header.task].tile.credit})"


def picture(checkpoint: Checkpoint) -> bytes:
    """The three tiles side by side, as a lossless WebP file. ControlError for weights that no task offers."""
    header = checkpoint.header
    if not _offered(header):
        raise ControlError(f"no task offers {header.name}: there is nothing to draw")
    scene = _scene(header)
    restorer = Restorer.of(checkpoint, COMPUTE)
    variant = header.variant or STANDARD
    observed = to_depth(scene.observed, np.uint8)
    done = restorer.restore(header.task, observed, scene.mask, variant=variant, **scene.controls)
    shown = observed.repeat(header.scale, axis=0).repeat(header.scale, axis=1)
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    strip = np.concatenate([shown, gap, done.photo.pixels, gap, scene.clean], axis=1)
    return lossless(Photo(np.ascontiguousarray(strip)))


def _offered(header: Header) -> bool:
    task = TASKS.get(header.task)
    return task is not None and any(task.weights(choices) == header.name for choices in task.combinations())


def _scene(header: Header) -> Degraded:
    """The task's tile, in the middle case of what this variant is measured on."""
    task, tile = TASKS[header.task], TASKS[header.task].tile
    rows, columns = slice(tile.top, tile.top + SIDE), slice(tile.left, tile.left + SIDE)
    clean = read_photo(PHOTOS / f"{tile.photo}.webp").pixels[rows, columns]
    setting = {name: axis.values[(len(axis.values) - 1) // 2] for name, axis in task.axes(header.variant).items()}
    return task.degraded(clean, {**setting, **task.made_for(header.scale, "")}, tile.seed)
