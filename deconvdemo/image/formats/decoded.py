"""What the readers of all formats share: the limit on size, and stored samples → an upright photo."""

from __future__ import annotations

from typing import Any

import numpy as np

from deconvdemo.errors import PhotoError
from deconvdemo.image.formats import exif
from deconvdemo.image.photo import Photo
from deconvdemo.image.resolution import Resolution

EXIF_DAMAGED = "its EXIF block is damaged and was left out"
_UPRIGHT = {  # EXIF orientation: how a stored (H, W, …) array is turned upright
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


def refuse_if_too_large(name: str, width: int, height: int, max_pixels: int | None) -> None:
    if max_pixels is not None and width * height > max_pixels:
        raise PhotoError(
            f"{name} is {width}×{height} = {width * height / 1e6:.1f} MP, "
            f"but at most {max_pixels / 1e6:.1f} MP are taken: resize it first"
        )


def as_uint16(samples: np.ndarray, name: str) -> np.ndarray:
    if samples.min() < 0 or samples.max() > 65535:
        found = f"integers from {samples.min()} to {samples.max()}"
        raise PhotoError(f"{name} has {found}, but 0 to 65535 are taken: export it as 16-bit")
    return samples.astype(np.uint16)


def upright(
    samples: np.ndarray,
    block: bytes | None,
    notes: list[str],
    xmp: bytes | str | None = None,
    resolution: Resolution | None = None,
    **others: Any,
) -> Photo:
    """(H, W) or (H, W, 1…4) samples as stored, and what came with them → an upright photo with these `others`.

    The EXIF block's word on orientation goes before XMP's, and a format's own word on resolution before EXIF's.
    ValueError for no samples.
    """
    if not samples.size:
        raise ValueError("a picture without pixels")
    orientation = exif.orientation_in_xmp(xmp)
    if block is not None:
        try:
            resolution = resolution or _resolution(block)
            block, orientation = exif.upright(block, orientation)
        except ValueError:
            block = None
            notes = [*notes, EXIF_DAMAGED]
    samples = samples[..., None] if samples.ndim == 2 else samples
    samples = np.ascontiguousarray(_UPRIGHT[orientation](samples))
    if resolution and orientation >= 5:
        resolution = resolution.turned()
    alpha = None
    if samples.shape[2] in (2, 4):
        samples, alpha = np.ascontiguousarray(samples[..., :-1]), np.ascontiguousarray(samples[..., -1])
    return Photo(samples, alpha, exif=block, resolution=resolution, notes=tuple(notes), **others)


def _resolution(block: bytes) -> Resolution | None:
    try:
        return exif.resolution(block)
    except ValueError:
        return None  # if all of the block is damaged, that is found when it is turned upright
