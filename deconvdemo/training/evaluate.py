"""Measuring restorations by the literature's protocols, networks and classical methods alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconvdemo.classical import CLASSICAL
from deconvdemo.degradations import BicubicDownscale, GaussianNoise, quantised
from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.metrics import GREY_LEVELS, SSIM_WINDOW, psnr, psnr_inside, ssim
from deconvdemo.photo import Photo, open_mask, to_depth
from deconvdemo.training.corpus import SUFFIXES

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
            observed = _array(GaussianNoise(sigma)(_tensor(clean), generator))
            yield Case(file.stem, f"sigma {sigma:g}", observed, {"sigma": sigma}, _judged(file, clean))


def real_denoising(folder: Path) -> Iterator[Case]:
    """Photographs `*_noisy` with a clean twin `*_clean`; sigma is estimated."""
    for file in _images(folder):
        if file.stem.endswith("_noisy"):
            clean = _rgb(_twin(file, "_noisy", "_clean"))
            yield Case(file.stem, "real noise", _rgb(file), {}, _judged(file, clean))


def upscaling(folder: Path, scales: Sequence[int] = (2, 3, 4)) -> Iterator[Case]:
    """The image shrunk by MATLAB-like bicubic and rounded; PSNR and SSIM over luma, a border of `scale` pixels cut."""
    for file in _images(folder):
        full = _tensor(_rgb(file))
        for scale in scales:
            shrink = BicubicDownscale(scale)
            clean = to_depth(_array(shrink.crop(full)), np.uint8)
            score = _judged(file, clean, scale, on_luma=True)
            observed = to_depth(_array(quantised(shrink(full))), np.uint8)
            yield Case(file.stem, f"×{scale}", observed, {"scale": scale}, score)


def inpainting(folder: Path) -> Iterator[Case]:
    """Images with a `_mask` beside them, white where pixels are lost; PSNR in the holes, PSNR and SSIM of the whole."""
    for file in _images(folder):
        if file.stem.endswith("_mask"):
            continue
        clean = _rgb(file)
        mask = open_mask(_twin(file, "", "_mask"), *clean.shape[:2])
        observed = clean.copy()
        observed[mask] = 0

        whole = _judged(file, clean)

        def score(restored: np.ndarray, clean=clean, mask=mask, whole=whole) -> dict[str, float]:
            return {"PSNR in holes": psnr_inside(restored, clean, mask), **whole(restored)}

        yield Case(file.stem, "holes", observed, {}, score, mask)


def cases(task: str, folder: Path, sigmas: Sequence[float], scales: Sequence[int]) -> list[Case]:
    """The cases of `task` over the images of `folder`. Raises TrainingError for a folder that has none."""
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder: --images takes a folder of clean images")
    if task == "denoise":
        real = any(file.stem.endswith("_noisy") for file in _images(folder))
        found = list(real_denoising(folder) if real else denoising(folder, sigmas))
    elif task == "upscale":
        found = list(upscaling(folder, scales))
    elif task == "inpaint":
        found = list(inpainting(folder))
    else:
        raise ControlError(f"there is no protocol for {task!r}: evaluate denoise, upscale or inpaint")
    if not found:
        raise TrainingError(f"no images in {folder}: expected {', '.join(sorted(SUFFIXES))} files")
    return found


@dataclass(frozen=True)
class Score:
    """The mean over a folder, for one setting of one method."""

    method: str
    setting: str
    images: int
    measured: dict[str, float]
    seconds_per_megapixel: float  # of the result, one after another, as measured in this run


def evaluate(method: str, restore: Callable[[Case], np.ndarray], found: Sequence[Case]) -> list[Score]:
    """Runs `restore` on every case; results are rounded to 8 bits before they are judged."""
    from tqdm import tqdm

    rows: dict[str, list[dict[str, float]]] = {}
    seconds: dict[str, float] = {}
    pixels: dict[str, int] = {}
    for case in tqdm(found, desc=method, unit="image", disable=None, leave=False):
        started = time.perf_counter()
        restored = restore(case)
        seconds[case.setting] = seconds.get(case.setting, 0.0) + time.perf_counter() - started
        pixels[case.setting] = pixels.get(case.setting, 0) + restored.shape[0] * restored.shape[1]
        rows.setdefault(case.setting, []).append(case.score(to_depth(restored, np.uint8)))
    return [
        Score(
            method,
            setting,
            len(scores),
            {name: float(np.mean([score[name] for score in scores])) for name in scores[0]},
            seconds[setting] / pixels[setting] * 1e6,
        )
        for setting, scores in rows.items()
    ]


def network_method(task: str, restorer) -> Callable[[Case], np.ndarray]:
    """A Restorer's results for `task`."""
    return lambda case: restorer.restore(task, case.observed, case.mask, **case.controls).photo.pixels


def classical_method(task: str, name: str) -> Callable[[Case], np.ndarray]:
    """The classical method `name` of `task`. Raises ControlError, with the names there are, for another."""
    if name not in CLASSICAL[task]:
        raise ControlError(f"{task} has no classical method {name!r}: choose {', '.join(CLASSICAL[task])}")
    function = CLASSICAL[task][name]

    def restore(case: Case) -> np.ndarray:
        observed = to_depth(case.observed, np.uint8)
        if case.mask is not None:
            return function(observed, case.mask)
        if task == "denoise" and "sigma" not in case.controls:
            from deconvdemo.noise import estimate_sigma

            return function(observed, estimate_sigma(observed))
        return function(observed, *case.controls.values())

    return restore


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)


def _twin(file: Path, ending: str, other: str) -> Path:
    stem = file.stem.removesuffix(ending) + other
    for twin in _images(file.parent):
        if twin.stem == stem:
            return twin
    raise TrainingError(f"{file.name} has no {stem} beside it in {file.parent}")


def _rgb(file: Path) -> np.ndarray:
    return np.asarray(Photo.open(file).image().convert("RGB"))


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] / GREY_LEVELS


def _array(images: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(images[0].permute(1, 2, 0).numpy())


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
