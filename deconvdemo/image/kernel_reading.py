"""The weights of a blur kernel in a file: numpy's .npy, or a picture; and a kernel as a picture, to look at.

What is read is bounded, but it is no kernel yet: `deconvolution.kernels.from_array` takes it, or says what is wrong.
"""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from deconvdemo.bounded import BoundsError, in_bytes, read_file
from deconvdemo.errors import PhotoError
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import as_unit, to_depth
from deconvdemo.image.reading import Source, read_photo

LARGEST_SIDE = 1024  # pixels, empty margins included
MOST_PIXELS = LARGEST_SIDE**2
MOST_BYTES = 8 * 3 * MOST_PIXELS + 4096  # three channels of 64 bits, and a header
EXPECTED = "give a .npy file or a picture of the kernel, bright where a point of light is spread to"
_VERSIONS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# what numpy's reader of headers, which has Python parse them, ends in
_DAMAGED = (
    ValueError,
    EOFError,
    OverflowError,
    TypeError,
    SyntaxError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
)

Opener = Callable[[Source, int], Photo]


def read_kernel(source: Source, opener: Opener = read_photo) -> np.ndarray:
    """(H, W) or (H, W, 1 or 3) of numbers: a .npy file's, or in [0, 1] a picture's, whose transparency is black.

    `source` is a path, a file's bytes, or what else `read_photo` takes; an array is what it is. `opener` opens
    pictures: strangers' with `STRANGERS.open` of `image.apart.pool`. Raises PhotoError for a file that is neither, or
    has more than LARGEST_SIDE pixels a side.
    """
    if isinstance(source, np.ndarray):
        return source
    name, start = _named(source)
    if start == npy.MAGIC_PREFIX:
        return _of_npy(_bytes(source, name), name)
    photo = opener(source, MOST_PIXELS)
    if max(photo.height, photo.width) > LARGEST_SIDE:
        raise PhotoError(_too_large(name, (photo.height, photo.width)))
    weights = as_unit(photo.pixels)
    return weights if photo.alpha is None else weights * as_unit(photo.alpha)[..., None]


def kernel_picture(weights: np.ndarray, scale: int = 1) -> Photo:
    """(H, W), 0 or more → a grey picture of 8 bits, its peak white, each weight a square of `scale` pixels a side."""
    weights = np.asarray(weights, np.float64)
    bright = to_depth(weights / max(weights.max(), np.finfo(float).tiny), np.uint8)
    return Photo(bright.repeat(scale, 0).repeat(scale, 1)[..., None])


def _named(source: Source) -> tuple[str, bytes]:
    """What to call it, and how its file begins: nothing, if it is none."""
    length = len(npy.MAGIC_PREFIX)
    if isinstance(source, bytes | bytearray | memoryview):
        return "the kernel", bytes(source[:length])
    if not isinstance(source, str | os.PathLike):
        return "the kernel", b""
    path = Path(source)
    try:
        if not path.is_file():  # a pipe is not waited for
            return path.name, b""
        with path.open("rb") as file:
            return path.name, file.read(length)
    except (OSError, ValueError):
        return path.name, b""  # whoever opens it as a picture says why it cannot be


def _bytes(source: Source, name: str) -> bytes:
    try:
        if isinstance(source, str | os.PathLike):
            return read_file(Path(source), MOST_BYTES)
    except BoundsError as error:
        raise PhotoError(f"{name} {error}: crop the kernel to where it is bright") from error
    except OSError as error:
        raise PhotoError(f"{name} cannot be read ({error.strerror}): check its name and permissions") from error
    if len(source) > MOST_BYTES:  # type: ignore[arg-type]
        raise PhotoError(f"{name} has more than {in_bytes(MOST_BYTES)}: crop the kernel to where it is bright")
    return bytes(source)  # type: ignore[arg-type]


def _of_npy(data: bytes, name: str) -> np.ndarray:
    """The header is judged before anything is made of it: it may announce any size, and objects of Python's."""
    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        if version not in _VERSIONS:
            raise PhotoError(f"{name} is a .npy file of version {version}: save the kernel with numpy.save")
        shape, _, dtype = _VERSIONS[version](stream)
        if dtype.hasobject or dtype.kind not in "biuf":
            raise PhotoError(f"{name} holds {dtype}, but a kernel is of numbers: save it as float64")
        if len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)) or 0 in shape:
            raise PhotoError(f"{name} has the shape {shape}, but a kernel has (H, W): save one kernel alone")
        if max(shape[:2]) > LARGEST_SIDE:
            raise PhotoError(_too_large(name, shape))
        return np.load(io.BytesIO(data), allow_pickle=False)
    except _DAMAGED as error:
        raise PhotoError(f"{name} is a damaged .npy file: {EXPECTED}") from error


def _too_large(name: str, shape: tuple[int, ...]) -> str:
    return (
        f"{name} is {shape[1]}×{shape[0]} pixels, but a kernel's file has at most {LARGEST_SIDE} a side: "
        "crop it to where it is bright"
    )
