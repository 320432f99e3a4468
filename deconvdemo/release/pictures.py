"""What weights do, to look at: a bundled photo as it was damaged, as they restore it, and as it is.

The photos are the duels', from scikit-image's samples (`evaluation/contenders.py` names their authors).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deconvdemo.checkpoints.checkpoint import Checkpoint, Header
from deconvdemo.degradations import BicubicDownscale, CameraNoise, GaussianNoise, Jpeg
from deconvdemo.degradations.holes import scratches
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError
from deconvdemo.evaluation.photo_protocols import CAMERA_QUALITY, USUAL
from deconvdemo.image import PHOTOS
from deconvdemo.image.lossless import lossless
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import as_images, eight_bits
from deconvdemo.image.reading import read_photo
from deconvdemo.tasks import STANDARD, TASKS

SIDE = 156  # pixels of a tile, of which 2, 3 and 4 are divisors: three tiles, losslessly, stay below 150 KB
GAP = 6  # white pixels between tiles
SIGMA, ISO, QUALITY = 25.0, 1600, 75
# the same for everybody, so that the same weights give the same picture
COMPUTE = Compute("cpu", "fp32", "pictures are the same everywhere")


@dataclass(frozen=True)
class Scene:
    """A tile of a photo, (SIDE, SIDE, 3) uint8, and how it was damaged."""

    clean: np.ndarray
    observed: np.ndarray
    controls: dict[str, Any]
    mask: np.ndarray | None = None


# which photo, where its tile begins, and whom it is from
_TILES = {
    "denoise": ("astronaut", 20, 90, "NASA, public domain"),
    "upscale": ("cat", 50, 70, "Stéfan van der Walt, CC0"),
    "inpaint": ("coffee", 80, 80, "Rachel Michetti, CC0"),
}


def caption(header: Header) -> str:
    """What the picture shows; "" for weights that no task offers, of which there is none."""
    if not _offered(header):
        return ""
    camera = header.variant == "photo"
    damage = {
        "denoise": f"a camera's noise at ISO {ISO} and its JPEG" if camera else f"noise of sigma {SIGMA:g}",
        "upscale": f"made {header.scale} times smaller" + (f", JPEG of quality {QUALITY}" if camera else ""),
        "inpaint": "scratched",
    }[header.task]
    return f"{damage}; restored; the original (photo: {_TILES[header.task][3]})"


def picture(checkpoint: Checkpoint) -> bytes:
    """The three tiles side by side, as a lossless WebP file. ControlError for weights that no task offers."""
    header = checkpoint.header
    if not _offered(header):
        raise ControlError(f"no task offers {header.name}: there is nothing to draw")
    scene = _scene(header)
    restorer = Restorer.of(checkpoint, COMPUTE)
    variant = header.variant or STANDARD
    done = restorer.restore(header.task, scene.observed, scene.mask, variant=variant, **scene.controls)
    shown = scene.observed.repeat(header.scale, axis=0).repeat(header.scale, axis=1)
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    strip = np.concatenate([shown, gap, done.photo.pixels, gap, scene.clean], axis=1)
    return lossless(Photo(np.ascontiguousarray(strip)))


def _offered(header: Header) -> bool:
    return any(TASKS[header.task].weights(choices) == header.name for choices in TASKS[header.task].combinations())


def _scene(header: Header) -> Scene:
    name, top, left, _ = _TILES[header.task]
    clean = read_photo(PHOTOS / f"{name}.webp").pixels[top : top + SIDE, left : left + SIDE]
    images, rng = as_images(clean), torch.Generator().manual_seed(0)
    camera = header.variant == "photo"
    if header.task == "denoise":
        seen = CameraNoise.at_iso(ISO, **USUAL)(images, rng) if camera else GaussianNoise(SIGMA)(images, rng)
        observed = Jpeg(CAMERA_QUALITY)(seen) if camera else seen
        return Scene(clean, eight_bits(observed), {} if camera else {"sigma": SIGMA})
    if header.task == "upscale":
        smaller = BicubicDownscale(header.scale)(images)
        observed = Jpeg(QUALITY)(smaller) if camera else smaller
        return Scene(clean, eight_bits(observed), {"scale": header.scale})
    mask = scratches(np.random.default_rng(2), SIDE).astype(bool)
    return Scene(clean, np.where(mask[..., None], 0, clean).astype(np.uint8), {}, mask)
