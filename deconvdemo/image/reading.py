"""Photos in: a path, a file's bytes, a Pillow image or an array → a `Photo`, in this process.

What somebody else brought is opened by `apart`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from deconvdemo.errors import PhotoError
from deconvdemo.image import decoding
from deconvdemo.image.formats.decoded import refuse_if_too_large
from deconvdemo.image.photo import Photo

Source = str | os.PathLike | bytes | Image.Image | np.ndarray | Photo


def read_photo(source: Source, max_pixels: int | None = None) -> Photo:
    """A photo from a path, a file's bytes, a Pillow image or an array: (H, W) or (H, W, 1…4), alpha last.

    A float array is in [0, 1]. Raises PhotoError for anything that cannot be taken; more pixels than
    `max_pixels` are refused by the file's header, before it is decoded.
    """
    if isinstance(source, Photo):
        refuse_if_too_large("the photo", source.width, source.height, max_pixels)
        return source
    if isinstance(source, np.ndarray):
        photo = _of_array(source)
        refuse_if_too_large("the photo", photo.width, photo.height, max_pixels)
    elif isinstance(source, Image.Image):
        refuse_if_too_large("the photo", *source.size, max_pixels)
        photo = _own(decoding.read_pillow(source, "the photo"))
    elif isinstance(source, bytes | bytearray | memoryview):
        photo = _own(decoding.read_file(io.BytesIO(source), "the photo", max_pixels))
    elif isinstance(source, str | os.PathLike):
        with opened(source) as (stream, name):
            photo = _own(decoding.read_file(stream, name, max_pixels))
    else:
        raise PhotoError(f"a photo is given as {type(source).__name__}: give a path, bytes, an array or a Pillow image")
    return photo.in_range()


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[tuple[BinaryIO, str]]:
    """A photo's file, open, and its name. Raises PhotoError for a path that leads to no file that can be read."""
    path = Path(path)
    try:
        if path.is_dir():
            raise PhotoError(f"{path} is a folder, but a photo is one file: name a file in it")
        if path.exists() and not path.is_file():
            raise PhotoError(f"{path} is not a regular file: name a photo's file")
        with path.open("rb") as stream:
            yield stream, path.name
    except FileNotFoundError as error:
        raise PhotoError(f"there is no file {path}: check its name") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise PhotoError(f"{path} cannot be read ({reason}): check its name and permissions") from error


def _of_array(array: np.ndarray) -> Photo:
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
        return Photo(samples)
    return Photo(samples[..., :-1], samples[..., -1])


def _own(photo: Photo) -> Photo:
    """With pixels that can be written to."""
    return photo if photo.pixels.flags.writeable else dataclasses.replace(photo, pixels=photo.pixels.copy())
