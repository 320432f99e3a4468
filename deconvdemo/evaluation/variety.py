"""Whether validation images are many and various enough to say that a candidate harms hardly any photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from deconvdemo.evaluation.protocols import MASK, image_files
from deconvdemo.feedback.review.likeness import DIFFERENT_BITS, hash_of
from deconvdemo.image.pixels import eight_bit_rgb
from deconvdemo.image.reading import read_photo

FEWEST_IMAGES = 29  # if one photo in ten were harmed, none of 29 would be with a chance of 0.9**29 < 5 %
SMALLEST = 64  # pixels a side of an image that tells something


def too_few(folders: Sequence[Path]) -> str:
    """Why the images of the folders cannot tell, or "". Copies of one picture, resized or not, are one."""
    known: list[int] = []
    for file in (file for folder in folders if folder.is_dir() for file in image_files(folder)):
        if len(known) >= FEWEST_IMAGES:
            return ""
        pixels = eight_bit_rgb(read_photo(file).pixels)
        if file.stem.endswith(MASK) or min(pixels.shape[:2]) < SMALLEST:
            continue
        found = hash_of(Image.fromarray(pixels))
        if all((found ^ one).bit_count() > DIFFERENT_BITS for one in known):
            known.append(found)
    if len(known) >= FEWEST_IMAGES:
        return ""
    return (
        f"{len(known)} different validation images cannot tell whether single photos are harmed: {FEWEST_IMAGES} of "
        f"{SMALLEST}×{SMALLEST} pixels or more are needed, so give --dev {FEWEST_IMAGES - len(known)} more"
    )
