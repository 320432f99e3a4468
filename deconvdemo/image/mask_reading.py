"""What a mask image means: black and white, a layer with paint on it, or the photo itself with a hole erased.

Only what is certain is taken; a picture given by mistake, or transparency that may mean either, is refused.
"""

from __future__ import annotations

import numpy as np

from deconvdemo.errors import PhotoError
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import to_depth
from deconvdemo.image.reading import Source, read_photo
from deconvdemo.units import LUMA

EXPECTED = (
    "give an image that is white where the photo is to be filled in and black elsewhere, "
    "a transparent layer with paint there, or the photo itself with that part erased"
)
BLACK, WHITE = 0.1, 0.9  # luma: what lies between is grey
PICTURE = 0.5  # share of grey or colourful pixels, above which an opaque mask of more than a FEW levels is a picture
SHOWING = 0.2  # the same share, above which it is, if it is like the photo
FEW = 8
GREY = 0.05  # share of grey pixels, from which on the user is told what becomes of them
ALIKE = 0.8  # correlation with the photo's luma, from which on pixels show the photo
FLAT = 0.01  # standard deviation of luma, below which there is nothing to compare
COLOURFUL = 0.15  # the largest less the smallest channel of a pixel
LARGE = 0.5  # share of the photo, above which the user is told how much the mask covers
_JUDGED = 250_000  # pixels, of which a mask's meaning is judged

Array = np.ndarray


def open_mask(
    source: Source, height: int, width: int, max_pixels: int | None = None, observed: Photo | None = None
) -> np.ndarray:
    """(H, W) bool of a photo's size, True where a hole is to be filled; what `read_mask` has to tell is left out."""
    return read_mask(source, height, width, max_pixels, observed)[0]


def read_mask(
    source: Source, height: int, width: int, max_pixels: int | None = None, observed: Photo | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(H, W) bool of a photo's size, True where a hole is to be filled, and what the user should be told of it.

    White (from half of the full range on) is a hole. If the mask has transparency, whatever is painted at all on a
    mostly transparent layer is one: so do painting programs' layers look. If it is the `observed` photo with something
    erased, that is the hole. A bool array is a mask already.
    Raises PhotoError for a mask of another size, and for one that may mean either, or is a picture.
    """
    if isinstance(source, np.ndarray) and source.dtype == bool:
        source = source.astype(np.uint8) * 255
    mask = read_photo(source, max_pixels)
    if (mask.height, mask.width) != (height, width):
        raise PhotoError(
            f"mask is {mask.width}×{mask.height} but the photo is {width}×{height}: "
            f"draw it on the photo, or resize it to {width}×{height}"
        )
    return _holes_of(mask, observed)


def _holes_of(mask: Photo, photo: Photo | None) -> tuple[Array, tuple[str, ...]]:
    """Of a mask, and of the photo it is laid on."""
    opacity = None if mask.alpha is None else to_depth(mask.alpha, np.float32)
    if opacity is not None and (opacity < 1).any():
        return _of_transparency(mask, opacity, photo)
    luma = _luma(mask)
    few = _fewer(luma)
    grey = (few > BLACK) & (few < WHITE)
    colourful = np.ptp(_fewer(to_depth(mask.pixels, np.float32)), axis=2) > COLOURFUL
    pictured = (grey | colourful).mean()
    # a mask of black and white may well look like the photo: of bright letters, say
    if pictured > SHOWING and photo is not None and _alike(few, _fewer(_luma(photo))):
        raise PhotoError(f"the mask is the photo itself, or shows it: {EXPECTED}")
    if pictured > PICTURE and len(np.unique(few.round(2))) > FEW:
        raise PhotoError(f"the mask is a picture, {_percent(pictured)} of it is neither black nor white: {EXPECTED}")
    notes: tuple[str, ...] = ()
    if grey.mean() >= GREY:
        notes = (f"{_percent(grey.mean())} of the mask is grey: what is lighter than the middle was filled in",)
    return luma >= 0.5, notes


def _of_transparency(mask: Photo, opacity: Array, photo: Photo | None) -> tuple[Array, tuple[str, ...]]:
    few = _fewer(opacity)
    clear, opaque = (few == 0).mean(), (few == 1).mean()
    shows_photo = photo is not None and _alike(_fewer(_luma(mask)), _fewer(_luma(photo)), few > 0.5)
    if clear >= opaque and not shows_photo:
        return opacity > 0, ()
    if photo is not None and shows_photo and opaque > clear:
        kept = np.float32(1) if photo.alpha is None else to_depth(photo.alpha, np.float32)
        return opacity < kept, ("the mask shows the photo: what is erased in it was filled in",)
    what = "shows the photo" if shows_photo else "is opaque"
    raise PhotoError(
        f"the mask {what} in {_percent((few > 0.5).mean())} of its area and is transparent in {_percent(clear)}, which "
        f"does not tell what to fill in: {EXPECTED}"
    )


def coverage(holes: Array) -> tuple[str, ...]:
    """What to tell of a mask that covers so much that it may be meant the other way round."""
    share = holes.mean()
    if share <= LARGE or share == 1:
        return ()
    return (f"the mask covers {_percent(share)} of the photo: invert it if the rest was meant",)


def _alike(luma: Array, photo: Array, where: Array | None = None) -> bool:
    """Whether both show one picture, where it has anything to show; also as a JPEG, or in other colours."""
    one, other = (image[where] if where is not None else image.ravel() for image in (luma, photo))
    if one.size < 2 or min(one.std(), other.std()) < FLAT:
        return False
    return bool(np.corrcoef(one, other)[0, 1] >= ALIKE)


def _fewer(image: Array) -> Array:
    step = max(1, round((image.shape[0] * image.shape[1] / _JUDGED) ** 0.5))
    return image[::step, ::step]


def _luma(photo: Photo) -> Array:
    """(H, W) in [0, 1]."""
    unit = to_depth(photo.pixels, np.float32)
    return unit[..., 0] if unit.shape[2] == 1 else unit @ np.array(LUMA, np.float32)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if 0.01 <= share <= 0.99 else f"{100 * share:.2g} %"
