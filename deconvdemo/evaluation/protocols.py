"""The literature's protocols: which degraded images a method is given, and how its results are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconvdemo.degradations import BicubicDownscale, GaussianNoise
from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.hub.datasets import SUFFIXES
from deconvdemo.image.mask_reading import open_mask
from deconvdemo.image.metrics import SSIM_WINDOW, psnr, psnr_inside, ssim
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import as_images, as_pixels, eight_bit_rgb, eight_bits
from deconvdemo.image.reading import read_photo
from deconvdemo.tasks.upscale import SCALES

SIGMAS = (15.0, 25.0, 50.0)


@dataclass(frozen=True)
class Case:
    """One degraded image: what is given to a method and how its result is judged."""

    image: str
    setting: str  # such as "sigma 25" or "×2"
    observed: np.ndarray  # (H, W, 3) uint8, or float32 in [0, 1] where the protocol does not round
    controls: Mapping[str, Any]
    score: Callable[[np.ndarray], dict[str, float]]  # of the restored uint8 image
    mask: np.ndarray | None = None


def denoising(folder: Path, sigmas: Sequence[float] = SIGMAS) -> Iterator[Case]:
    """White noise on the 8-bit image, not clipped; PSNR and SSIM over RGB after rounding to 8 bits.

    The noise of an image depends on its place in the folder and on sigma alone.
    """
    for number, file in enumerate(_images(folder)):
        clean = _rgb(file)
        for sigma in sigmas:
            generator = torch.Generator().manual_seed(number)
            observed = as_pixels(GaussianNoise(sigma)(as_images(clean), generator))
            yield Case(file.stem, f"sigma {sigma:g}", observed, {"sigma": sigma}, _judged(file, clean))


def real_denoising(folder: Path) -> Iterator[Case]:
    """Photographs `*_noisy` with a clean twin `*_clean`; sigma is estimated."""
    for file in _images(folder):
        if file.stem.endswith("_noisy"):
            clean = _rgb(_twin(file, "_noisy", "_clean"))
            yield Case(file.stem, "real noise", _rgb(file), {}, _judged(file, clean))


def upscaling(folder: Path, scales: Sequence[int] = SCALES) -> Iterator[Case]:
    """The image shrunk by MATLAB-like bicubic and rounded; PSNR and SSIM over luma, a border of `scale` pixels cut."""
    for file in _images(folder):
        full = as_images(_rgb(file))
        for scale in scales:
            shrink = BicubicDownscale(scale)
            clean = eight_bits(shrink.crop(full))
            score = _judged(file, clean, scale, on_luma=True)
            observed = eight_bits(shrink(full))
            yield Case(file.stem, f"×{scale}", observed, {"scale": scale}, score)


def inpainting(folder: Path) -> Iterator[Case]:
    """Images with a `_mask` beside them, white where pixels are lost; PSNR in the holes, PSNR and SSIM of the whole."""
    for file in _images(folder):
        if file.stem.endswith("_mask"):
            continue
        clean = _rgb(file)
        mask = open_mask(_twin(file, "", "_mask"), clean.shape[0], clean.shape[1], observed=Photo(clean))
        observed = clean.copy()
        observed[mask] = 0

        whole = _judged(file, clean)

        def score(restored: np.ndarray, clean=clean, mask=mask, whole=whole) -> dict[str, float]:
            return {"PSNR in holes": psnr_inside(restored, clean, mask), **whole(restored)}

        yield Case(file.stem, "holes", observed, {}, score, mask)


def each_case(task: str, folder: Path, sigmas: Sequence[float], scales: Sequence[int]) -> Iterator[Case]:
    """The cases of `task` over the images of `folder`, one after another. Raises TrainingError where there are none."""
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder: --images takes a folder of clean images")
    if task == "denoise":
        real = any(file.stem.endswith("_noisy") for file in _images(folder))
        found = real_denoising(folder) if real else denoising(folder, sigmas)
    elif task == "upscale":
        found = upscaling(folder, scales)
    elif task == "inpaint":
        found = inpainting(folder)
    else:
        raise ControlError(f"there is no protocol for {task!r}: evaluate denoise, upscale or inpaint")
    count = 0
    for count, case in enumerate(found, 1):  # noqa: B007
        yield case
    if not count:
        raise TrainingError(f"no images in {folder}: expected {', '.join(sorted(SUFFIXES))} files")


def cases(task: str, folder: Path, sigmas: Sequence[float] = SIGMAS, scales: Sequence[int] = SCALES) -> list[Case]:
    """All cases at once, for several methods; a folder of large images takes gigabytes (noisy ones are floats)."""
    return list(each_case(task, folder, sigmas, scales))


# ---- the sets that the literature measures on, by the names their folders have -----------------------------

SETS = {
    "cbsd68": ("denoise",),
    "kodak24": ("denoise",),
    "mcmaster": ("denoise",),
    "polyu": ("denoise",),
    "set5": ("upscale",),
    "set14": ("upscale",),
    "bsd100": ("upscale",),
    "urban100": ("denoise", "upscale"),
    "inpaint": ("inpaint",),
}
DEVELOPMENT = ("cbsd68", "polyu", "set5", "inpaint")  # those that this project watches while it trains


def sets_in(folder: Path, say: Callable[[str], None]) -> dict[str, list[Path]]:
    """task → the sets under `folder` it is measured on, in SETS' order; development sets that are not there are said.

    Raises TrainingError if there is none.
    """
    if not folder.is_dir():
        raise TrainingError(
            f"{folder} is not a folder: --images takes a folder of sets such as {', '.join(DEVELOPMENT)}"
        )
    there = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir() and _images(path)}
    missing = [name for name in DEVELOPMENT if name not in there]
    if not any(name in SETS for name in there):
        raise TrainingError(f"{folder} has none of the folders {', '.join(SETS)} with images: nothing to measure on")
    if missing:
        say(f"{folder} has no images in {', '.join(missing)}: left out")
    found: dict[str, list[Path]] = {}
    for name, tasks in SETS.items():
        for task in tasks if name in there else ():
            found.setdefault(task, []).append(there[name])
    return found


def _images(folder: Path) -> list[Path]:
    # by name, not by path: paths sort differently on Windows, and the noise goes by the place in this order
    return sorted((file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES), key=lambda file: file.name)


def _twin(file: Path, ending: str, other: str) -> Path:
    stem = file.stem.removesuffix(ending) + other
    for twin in _images(file.parent):
        if twin.stem == stem:
            return twin
    raise TrainingError(f"{file.name} has no {stem} beside it in {file.parent}")


def _rgb(file: Path) -> np.ndarray:
    return eight_bit_rgb(read_photo(file).pixels)


def _judged(file: Path, clean: np.ndarray, border: int = 0, on_luma: bool = False):
    """What scores a restored image. Raises TrainingError if `clean` is too small for it."""
    height, width = clean.shape[:2]
    if min(height, width) < SSIM_WINDOW + 2 * border:
        raise TrainingError(
            f"{file.name} is {width}×{height} pixels, too small to be judged by SSIM, which needs {SSIM_WINDOW}×"
            f"{SSIM_WINDOW}" + (f" inside a border of {border}" if border else "") + ": take it out of the folder"
        )

    def score(restored: np.ndarray) -> dict[str, float]:
        return {
            "PSNR": psnr(restored, clean, border, on_luma),
            "SSIM": ssim(restored, clean, border, on_luma),
        }

    return score
