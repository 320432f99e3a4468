"""The control that says what blurred a photo: in words, by a drawing or a file, or found out from the photo itself."""

from __future__ import annotations

import base64
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deconvdemo.deconvolution import FORMS, LARGEST
from deconvdemo.errors import ControlError, PhotoError
from deconvdemo.tasks.control import AUTO, Control

if TYPE_CHECKING:
    from torch import Tensor

NONE = "none"  # nothing blurred it
TAPS = "taps"  # "taps:15x9:…": rows of 16-bit weights, the largest of which is 65535, zlib's, in base64
KINDS = ("gaussian", "defocus", "motion", TAPS)
_TOP = 65535
_LONGEST = 90_000  # characters, which a flag's settings have room for


@dataclass(frozen=True)
class Kernel(Control):
    """Its values are words: "auto", "none", "gaussian:2", "defocus:4", "motion:15,30", or a kernel's own "taps:…".

    `checked` also takes (H, W) arrays, and files that are given as a `Path`; never a file's name in a text, which may
    be a stranger's: those who run the program themselves give it through `here`.
    """

    def checked(self, value: Any) -> str:
        if value is None:
            return AUTO
        if isinstance(value, os.PathLike):
            from deconvdemo.image.kernel_reading import read_kernel

            path = Path(value)
            # who drew a kernel, or took a picture of one, did not think of its middle; who saved an array did
            try:
                weights = read_kernel(path)
            except PhotoError as error:
                raise PhotoError(f"{error}; or give the kernel as {FORMS}") from error
            return _of_array(weights, centred=path.suffix.lower() != ".npy")
        if not isinstance(value, str):
            return _of_array(value)
        words = "".join(value.split())
        if words.startswith(f"{TAPS}:"):
            return _of_array(_decoded(words))
        words = words.lower()
        if words not in (AUTO, NONE):
            from deconvdemo.deconvolution.kernels import kernel_named

            kernel_named(words)
        return words

    def here(self, value: Any) -> Any:
        """What the user of this machine gave: a text that is none of a kernel's words names a file."""
        kind = value.strip().lower().partition(":")[0] if isinstance(value, str) else AUTO
        return value if kind in (AUTO, NONE, *KINDS) else Path(value)

    def expected(self) -> str:
        return f"{AUTO}, {NONE}, {FORMS}, or a picture or .npy file of the kernel"


def kernel_of(words: str) -> Tensor:
    """The kernel, (H, W) float64 with a sum of 1, of a checked control's value that is not to be found out."""
    from deconvdemo.deconvolution.kernels import from_array, kernel_named

    return from_array(_decoded(words)) if words.startswith(f"{TAPS}:") else kernel_named(words)


def _of_array(array: Any, centred: bool = False) -> str:
    from deconvdemo.deconvolution.kernels import from_array

    try:
        given = np.asarray(array)
    except (TypeError, ValueError, OverflowError):
        raise ControlError("the kernel is a list of rows that are not equally long: give an array (H, W)") from None
    kernel = from_array(given, centred).numpy()
    taps = np.rint(kernel / kernel.max() * _TOP).astype("<u2")
    text = base64.b64encode(zlib.compress(taps.tobytes(), 9)).decode("ascii")
    words = f"{TAPS}:{taps.shape[1]}x{taps.shape[0]}:{text}"
    if len(words) > _LONGEST:
        raise ControlError(
            f"the kernel is {taps.shape[1]}×{taps.shape[0]} pixels, too many to be kept with a result: crop it to "
            "where it is bright"
        )
    return words


def _decoded(words: str) -> np.ndarray:
    """(H, W) uint16 of "taps:…". ControlError for what no kernel is written as."""
    try:
        _, size, text = words.split(":")
        width, height = map(int, size.split("x"))
        if not (min(width, height) >= 1 and max(width, height) <= LARGEST and len(words) <= _LONGEST):
            raise ValueError("no kernel is so large")
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), 2 * width * height + 1)
        return np.frombuffer(data, "<u2").reshape(height, width)
    except (ValueError, zlib.error):
        raise ControlError("the kernel arrived damaged: draw it again, or give its file again") from None
