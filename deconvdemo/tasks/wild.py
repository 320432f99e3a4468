"""Photos as people's are, made of clean ones to measure on: noisy, soft, sharpened, resized by others, JPEG files.

The line of Zhang et al. (BSRGAN, ICCV 2021) and Wang et al. (Real-ESRGAN, ICCVW 2021). What is drawn for a photo goes
by its own pixels, so that it is the same on any machine, in any folder, under any name. Nothing is trained on this:
training draws wider, and otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from deconvdemo.tasks.declared import Degraded

if TYPE_CHECKING:  # the command line reads the tasks' tables, and must not pay for torch
    from torch import Tensor

    from deconvdemo.degradations import CameraNoise

Range = tuple[float, float]
T = TypeVar("T")
SUBSAMPLINGS = (0, 1, 2, 2)  # Pillow's: half of the files have 4:2:0
# one of ten programs shrinks without antialiasing, which no network can undo
KERNELS = (*4 * ("bicubic",), *3 * ("bilinear",), *2 * ("area",), "aliased")


@dataclass(frozen=True)
class Severity:
    """How much a photo went through: from where to where each part is drawn."""

    iso: Range  # of the sensor's noise, before the camera's noise reduction; each octave as likely
    softness: Range  # standard deviation of the lens's blur, in pixels
    sharpening: Range  # the amount of unsharp masking: 0.5 is usual, 1.5 is harsh
    quality: Range  # of the JPEG that came
    twice: float  # the share that had been a JPEG before, and was cropped since
    resized: float  # the share that some service resized there and back


SEVERITIES = {
    "mild": Severity((100, 800), (0.0, 0.4), (0.0, 0.5), (86, 96), twice=0.25, resized=0.15),
    "usual": Severity((300, 2400), (0.1, 0.6), (0.2, 1.0), (70, 92), twice=0.5, resized=0.3),
    "harsh": Severity((1200, 6400), (0.2, 0.8), (0.4, 1.4), (45, 80), twice=0.75, resized=0.45),
}


@dataclass(frozen=True)
class Drawn:
    """Numbers by name, of one photo: whatever else is drawn, before or after, they are the same.

    Not by a library's generator, whose numbers another version may change. A photo has the same luck at every severity,
    so that a harsher one is never kinder to it.
    """

    seed: int

    def between(self, name: str, low: float = 0.0, high: float = 1.0) -> float:
        digest = hashlib.sha256(f"{self.seed} {name}".encode()).digest()
        return low + (high - low) * int.from_bytes(digest[:6], "big") / 2**48

    def octaves(self, name: str, low: float, high: float) -> float:
        """Each octave as likely."""
        return low * (high / low) ** self.between(name)

    def happens(self, name: str, share: float) -> bool:
        return self.between(name) < share

    def one_of(self, name: str, what: Sequence[T]) -> T:
        return what[int(self.between(name, 0, len(what)))]


def seed_of(clean: np.ndarray) -> int:
    """The seed of (H, W, 3) uint8 pixels, 0 to 2⁶³ − 1: by what they are, and nothing else."""
    digest = hashlib.sha256(repr(clean.shape).encode() + np.ascontiguousarray(clean).tobytes()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def photographed(clean: np.ndarray, severity: str, seed: int) -> bytes:
    """(H, W, 3) uint8 → a JPEG file of the same size: to be denoised."""
    import torch

    from deconvdemo.degradations import GaussianBlur
    from deconvdemo.image.pixels import as_images

    much, drawn = SEVERITIES[severity], Drawn(seed)
    soft = GaussianBlur(drawn.between("softness", *much.softness))(as_images(clean))
    noisy = _camera(drawn, drawn.octaves("iso", *much.iso))(soft, torch.Generator().manual_seed(seed))
    return _sent_around(noisy, much, drawn)


def shrunk(clean: np.ndarray, scale: int, severity: str, seed: int) -> bytes:
    """(H, W, 3) uint8, both sides divisible by `scale` → a JPEG file that many times smaller: to be enlarged."""
    import torch

    from deconvdemo.degradations import ForeignDownscale, GaussianBlur
    from deconvdemo.image.pixels import as_images

    much, drawn = SEVERITIES[severity], Drawn(seed)
    # whoever shrinks a photo makes it sharper: half as soft, in pixels of the small one
    soft = GaussianBlur(drawn.between("softness", *much.softness) * scale / 2)(as_images(clean))
    small = ForeignDownscale(scale, drawn.one_of("kernel", KERNELS))(soft).clamp(0, 1)
    # and less noisy: a pixel is the mean of scale² of the sensor's
    iso = drawn.octaves("iso", *much.iso) / scale**2
    return _sent_around(_camera(drawn, iso, scale)(small, torch.Generator().manual_seed(seed)), much, drawn)


def seen_as(clean: np.ndarray, file: bytes, severity: str, scale: int = 1) -> Degraded:
    """What `file`, made of `clean`, shows."""
    from deconvdemo.degradations.jpeg import read_back

    setting = f"wild, {severity}" if scale == 1 else f"×{scale} wild, {severity}"
    smaller = "" if scale == 1 else f"made {scale} times smaller, and "
    return Degraded(
        clean,
        read_back(file),
        setting,
        f"{smaller}changed as people's photos are ({severity})",
        {} if scale == 1 else {"scale": scale},
        file=file,
    )


def _camera(drawn: Drawn, iso: float, scale: int = 1) -> CameraNoise:
    """One with noise reduction, as phones have it; what it smooths is `scale` times finer in a smaller photo."""
    from deconvdemo.degradations import CameraNoise

    return CameraNoise.at_iso(
        iso,
        red=drawn.between("red", 1.4, 2.4),
        blue=drawn.between("blue", 1.4, 2.4),
        contrast=drawn.between("contrast", 1.1, 1.9),
        lift=drawn.between("lift", 0.0, 1.0),
        saturation=drawn.between("saturation", 0.8, 1.5),
        chroma_blur=drawn.between("chroma blur", 0.5, 2.2) / scale,
        luma_blur=drawn.between("luma blur", 0.2, 1.4) / scale,
        grain=drawn.between("grain", 0.1, 0.7),
    )


def _sent_around(images: Tensor, much: Severity, drawn: Drawn) -> bytes:
    """Sharpened, perhaps kept as a JPEG, cropped and resized, and written as the JPEG that came."""
    from deconvdemo.degradations import Jpeg, ResizedThere, Sharpening
    from deconvdemo.degradations.jpeg import GRID, jpeg_file
    from deconvdemo.image.pixels import eight_bits

    amount, radius = drawn.between("sharpening", *much.sharpening), drawn.between("radius", 0.6, 1.6)
    images = Sharpening(amount, radius)(images)
    if drawn.happens("twice", much.twice):
        corner = drawn.one_of("down", range(GRID)), drawn.one_of("right", range(GRID))
        quality = round(drawn.between("first quality", *much.quality))
        images = Jpeg(quality, drawn.one_of("first subsampling", SUBSAMPLINGS), *corner)(images)
    if drawn.happens("resized", much.resized):
        there, back = drawn.one_of("there", KERNELS), drawn.one_of("back", KERNELS)
        images = ResizedThere(drawn.between("factor", 0.65, 1.5), there, back)(images)
    quality = round(drawn.between("quality", *much.quality))
    return jpeg_file(eight_bits(images), quality, drawn.one_of("subsampling", SUBSAMPLINGS))
