"""Photo: a picture with what came with it (alpha, ICC profile, EXIF, bit depth). Readers make it, writers take it.

What came in goes out: 16-bit stays 16-bit, grey stays grey, transparency and colours are kept.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from deconvdemo.errors import PhotoError
from deconvdemo.image.alpha import enlarged
from deconvdemo.image.pixels import to_depth
from deconvdemo.image.resolution import Resolution

Chunk = tuple[bytes, bytes]  # PNG's: type, data
_LARGEST_FLOAT = 16.0  # noise may leave [0, 1]; values far outside are a 0…255 scale by mistake


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as it is seen: its EXIF orientation is applied already (and its tag reset to 1).

    `pixels` are (H, W, C) with C = 1 (grey) or 3 (RGB): uint8, uint16 (0…65535), or float32 in [0, 1], which
    may exceed it. `alpha` is (H, W) of the same dtype, and colours are not multiplied by it. `format` is what came
    in, by Pillow's name; `lossless` tells whether that file kept every bit. `colour` are PNG's own chunks about
    colours (gAMA, cHRM, sRGB, cICP, …) and `texts` its texts, each as (type, data). `notes` are what a person should
    be told, such as "animated GIF: only its first frame is used". `quality`, 1 to 100, is the one of libjpeg's that the
    file's own compression is as strong as; None where the pixels are no JPEG file's.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    format: str = "PNG"
    lossless: bool = True
    notes: tuple[str, ...] = ()
    resolution: Resolution | None = None
    colour: tuple[Chunk, ...] = ()
    texts: tuple[Chunk, ...] = ()
    quality: int | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape or dtype not in (np.uint8, np.uint16, np.float32):
            raise PhotoError(
                f"pixels are {dtype} of shape {shape}, but a photo has uint8, uint16 or float32 pixels "
                "of shape (H, W, 1) or (H, W, 3): convert them"
            )
        if self.alpha is not None and (self.alpha.shape != shape[:2] or self.alpha.dtype != dtype):
            raise PhotoError(
                f"alpha is {self.alpha.dtype} of shape {self.alpha.shape} but the pixels are {dtype} of "
                f"shape {shape}: give alpha the pixels' height, width and dtype"
            )
        planes = (self.pixels,) if self.alpha is None else (self.pixels, self.alpha)
        if dtype == np.float32 and not all(np.isfinite(plane).all() for plane in planes):
            raise PhotoError("pixels hold NaN or infinity, but a photo's are finite: look at what made them")

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def megapixels(self) -> float:
        return self.width * self.height / 1e6

    @property
    def bit_depth(self) -> int:
        """8, 16, or 32 (float)."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def is_grey(self) -> bool:
        return self.pixels.shape[2] == 1

    def in_range(self) -> Photo:
        """Itself. Raises PhotoError for floats on another scale than [0, 1]."""
        if self.pixels.dtype == np.float32 and np.abs(self.pixels).max() > _LARGEST_FLOAT:
            largest = np.abs(self.pixels).max()
            raise PhotoError(f"float pixels reach {largest:g}, but they are in [0, 1] here: rescale them")
        return self

    def with_pixels(self, pixels: np.ndarray, wrap: bool = False) -> Photo:
        """The same photo with other pixels; alpha follows their depth, and their size if a whole multiple.

        The resolution stays what it was (an enlarged scan of 300 dpi is one of 300 dpi, on larger paper), and
        where EXIF states the picture's size, that is set when the photo is written.

        With `wrap` the picture repeats at its borders.
        """
        height, width, channels = pixels.shape
        alpha = self.alpha
        if alpha is not None and alpha.shape != (height, width):
            scale = height // self.height
            if (height, width) != (scale * self.height, scale * self.width):
                raise PhotoError(
                    f"pixels are {width}×{height} but photo and alpha are {self.width}×{self.height}: "
                    "give pixels of that size or of a whole multiple of it"
                )
            alpha = to_depth(enlarged(to_depth(alpha, np.float32), scale, wrap), alpha.dtype)
        if alpha is not None:
            alpha = to_depth(alpha, pixels.dtype)
        icc = self.icc
        if icc and channels != self.pixels.shape[2] and icc[16:20] != {1: b"GRAY", 3: b"RGB "}.get(channels):
            icc = None  # a profile of grey levels says nothing about colours, and the other way round
        return dataclasses.replace(self, pixels=pixels, alpha=alpha, icc=icc, quality=None)
