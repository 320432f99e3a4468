"""Photo: a decoded picture with what came with it (alpha, ICC profile, EXIF, bit depth), and back to a file.

What came in goes out: 16-bit stays 16-bit, grey stays grey, transparency and colours are kept.
"""

from __future__ import annotations

import dataclasses
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from deconvdemo.atomic import write_atomically
from deconvdemo.errors import PhotoError, WriteError
from deconvdemo.image import mask_reading
from deconvdemo.image import reading as photo_reading
from deconvdemo.image import writing as photo_writing
from deconvdemo.image.alpha import enlarged
from deconvdemo.image.formats import decoded
from deconvdemo.image.formats.png_chunks import Chunk
from deconvdemo.image.formats.resolution import Resolution
from deconvdemo.image.writing import to_depth

__all__ = ["Photo", "Source", "open_mask", "read_mask", "to_depth"]

_LARGEST_FLOAT = 16.0  # noise may leave [0, 1]; values far outside are a 0…255 scale by mistake


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as it is seen: its EXIF orientation is applied already (and its tag reset to 1).

    `pixels` are (H, W, C) with C = 1 (grey) or 3 (RGB): uint8, uint16 (0…65535), or float32 in [0, 1], which
    may exceed it. `alpha` is (H, W) of the same dtype, and colours are not multiplied by it. `format` is what came
    in, by Pillow's name; `lossless` tells whether that file kept every bit. `colour` are PNG's own chunks about
    colours (gAMA, cHRM, sRGB, cICP, …) and `texts` its texts, each as (type, data). `notes` are what a person should
    be told, such as "animated GIF: only its first frame is used".
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

    @classmethod
    def open(cls, source: Source, max_pixels: int | None = None) -> Photo:
        """A photo from a path, a file's bytes, a Pillow image or an array: (H, W) or (H, W, 1…4), alpha last.

        A float array is in [0, 1]. Raises PhotoError for anything that cannot be taken; more pixels than
        `max_pixels` are refused by the file's header, before it is decoded.
        """
        if isinstance(source, Photo):
            decoded.refuse_if_too_large("the photo", source.width, source.height, max_pixels)
            return source
        if isinstance(source, np.ndarray):
            photo = cls(**_fields_of_array(source))
            decoded.refuse_if_too_large("the photo", photo.width, photo.height, max_pixels)
        elif isinstance(source, Image.Image):
            decoded.refuse_if_too_large("the photo", *source.size, max_pixels)
            photo = cls(**_own(photo_reading.read_pillow(source, "the photo")))
        elif isinstance(source, bytes | bytearray | memoryview):
            photo = cls(**_own(photo_reading.read_file(io.BytesIO(source), "the photo", max_pixels)))
        elif isinstance(source, str | os.PathLike):
            with photo_reading.opened(source) as (stream, name):
                photo = cls(**_own(photo_reading.read_file(stream, name, max_pixels)))
        else:
            raise PhotoError(
                f"a photo is given as {type(source).__name__}: give a path, bytes, an array or a Pillow image"
            )
        return photo.in_range()

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
        return dataclasses.replace(self, pixels=pixels, alpha=alpha, icc=icc)

    def image(self) -> Image.Image:
        """An 8-bit view for showing: L, RGB, LA or RGBA, with its ICC profile in `info`."""
        image = photo_writing.to_pillow(self.pixels, self.alpha)
        if self.icc:
            image.info["icc_profile"] = self.icc
        return image

    def download_format(self) -> str:
        """The format that gives back what came in: PNG, JPEG, WEBP and TIFF stay, BMP and GIF become PNG.

        HEIC and AVIF become JPEG: they were lossy already, and a photo should open everywhere, not grow tenfold.
        A photo that its format cannot hold (transparency in JPEG, sides too long, HDR) becomes PNG.
        """
        form = {"HEIF": "JPEG", "AVIF": "JPEG"}.get(self.format, self.format)
        too_long = max(self.height, self.width) > photo_writing.LONGEST_SIDE.get(form, 1 << 31)
        coloured = photo_writing.needs_png(self.colour, self.icc)
        if form not in photo_writing.SUFFIXES or too_long or coloured or (form == "JPEG" and self.alpha is not None):
            return "PNG"
        return form

    @property
    def suffix(self) -> str:
        """The file name's ending for `download_format`, such as ".png"."""
        return photo_writing.SUFFIXES[self.download_format()][0]

    def encode(
        self,
        format: str | None = None,
        quality: int = 95,
        metadata: bool = True,
        lossless: bool | None = None,
    ) -> bytes:
        """The bytes of a PNG, JPEG, WEBP or TIFF file; by default of `download_format`.

        PNG and TIFF are lossless: 8-bit stays 8-bit, 16-bit stays 16-bit, and float is clipped to [0, 1] and
        written as 16-bit. JPEG and WebP are 8-bit. JPEG has no transparency: the photo is laid on white.
        `quality` (0…100) is for JPEG and lossy WebP. `lossless` is for WebP, which then takes its fastest
        setting; None: lossless unless the photo came from a lossy file. `metadata=False` leaves out the EXIF
        (place, time, camera) and PNG's texts, but keeps the resolution and what describes the colours (the ICC
        profile, PNG's chunks), without which they would be wrong. PNG's texts are written into a PNG alone; no
        XMP and no comment is ever written, and no EXIF over 64 KB into a JPEG, which cannot hold it.
        Raises PhotoError for HDR (PQ, HLG) in another format than PNG.
        """
        return photo_writing.encode(
            format or self.download_format(),
            self.pixels,
            self.alpha,
            self._beside() if metadata else dataclasses.replace(self._beside(), exif=None, texts=()),
            quality=quality,
            lossless=self.lossless if lossless is None else lossless,
        )

    def lost_in(self, format: str) -> tuple[str, ...]:
        """Notes on what a file of this format, or with this suffix, does not hold of the photo."""
        form = photo_writing.FORMATS.get(format.lower(), format)
        return tuple(photo_writing.lost(form, self.pixels, self.alpha, self._beside()))

    def _beside(self) -> photo_writing.Beside:
        return photo_writing.Beside(self.icc, self.exif, self.resolution, self.colour, self.texts)

    def save(self, path: str | Path, quality: int = 95) -> Path:
        """Writes the file whole or not at all, in its suffix's format, EXIF included; returns its path."""
        path = Path(path)
        if (form := photo_writing.FORMATS.get(path.suffix.lower())) is None:
            suffixes = ", ".join(photo_writing.FORMATS)
            raise PhotoError(f"{path} does not end in a format that is written: use one of {suffixes}")
        if not path.parent.is_dir():
            raise PhotoError(f"{path} cannot be written, there is no folder {path.parent}: create it first")
        data = self.encode(form, quality=quality)
        try:
            write_atomically(path, data)
        except WriteError as error:
            raise PhotoError(f"{error}: free some space or choose another place") from error.__cause__
        return path


Source = str | os.PathLike | bytes | Image.Image | np.ndarray | Photo


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
    mask = Photo.open(source, max_pixels)
    if (mask.height, mask.width) != (height, width):
        raise PhotoError(
            f"mask is {mask.width}×{mask.height} but the photo is {width}×{height}: "
            f"draw it on the photo, or resize it to {width}×{height}"
        )
    photo = (None, None) if observed is None else (observed.pixels, observed.alpha)
    return mask_reading.holes_of(mask.pixels, mask.alpha, *photo)


def _fields_of_array(array: np.ndarray) -> dict:
    samples = array.astype(np.float32) if array.dtype.kind == "f" else array
    samples = samples[..., None] if samples.ndim == 2 else samples
    if (
        samples.ndim != 3
        or samples.shape[2] not in (1, 2, 3, 4)
        or samples.dtype not in (np.uint8, np.uint16, np.float32)
    ):
        raise PhotoError(
            f"an array of {array.dtype} and shape {array.shape} is not a photo: "
            "give uint8, uint16 or float in [0, 1], of shape (H, W) or (H, W, 1…4)"
        )
    if samples.shape[2] in (1, 3):
        return {"pixels": samples}
    return {"pixels": samples[..., :-1], "alpha": samples[..., -1]}


def _own(fields: dict) -> dict:
    """With pixels that can be written to."""
    pixels = fields["pixels"]
    return fields if pixels.flags.writeable else {**fields, "pixels": pixels.copy()}
