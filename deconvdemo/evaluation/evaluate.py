"""Measuring restorations by the protocols of `protocols.py`, networks and classical methods alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from deconvdemo.evaluation.protocols import Case
from deconvdemo.image.perceptual import GMSD
from deconvdemo.image.pixels import eight_bit_rgb, to_depth
from deconvdemo.tasks import TASKS


@dataclass(frozen=True)
class Score:
    """The mean over a folder, for one setting of one method, to four decimals: the digits that a header keeps, too."""

    method: str
    setting: str
    images: int
    measured: dict[str, float]  # PSNR in dB, infinite for a perfect result; SSIM
    seconds_per_megapixel: float  # of the result, one after another, as measured in this run


def evaluate(method: str, restore: Callable[[Case], np.ndarray], found: Iterable[Case]) -> list[Score]:
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
            {name: round(float(np.mean([score[name] for score in scores])), 4) for name in scores[0]},
            round(seconds[setting] / pixels[setting] * 1e6, 4),
        )
        for setting, scores in rows.items()
    ]


def network_method(task: str, restorer, **chosen: str) -> Callable[[Case], np.ndarray]:
    """A Restorer's results for `task`; `chosen` are controls that no protocol sets, such as the variant."""
    return lambda case: result(restorer.restore(task, case.brought, case.mask, **case.controls, **chosen), case)


def result(restoration, case: Case) -> np.ndarray:
    """The restored pixels; of a file as RGB, in which it is judged."""
    pixels = restoration.photo.pixels
    return pixels if case.file is None else eight_bit_rgb(pixels)


def classical_method(task: str, name: str) -> Callable[[Case], np.ndarray]:
    """The classical method `name` of `task`. Raises ControlError, with the names there are, for another."""
    chosen, method = TASKS[task], TASKS[task].baseline(name)

    def restore(case: Case) -> np.ndarray:
        observed = to_depth(case.observed, np.uint8)
        return method.restore(observed, *chosen.told(observed, case.controls, case.mask))

    return restore


def printed(measure: str, value: float) -> str:
    """A figure as it is printed: PSNR to hundredths of a dB, SSIM and GMSD to four decimals, F1 to three."""
    if "F1" in measure:
        return f"{value:.3f}"
    return f"{value:.4f}" if "SSIM" in measure or measure == GMSD else f"{value:.2f}"
