"""Protocols for the photo variants: the literature's sets, degraded as people's photos are, by fixed seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from deconvdemo.degradations import CameraNoise, Jpeg
from deconvdemo.errors import ControlError
from deconvdemo.evaluation.protocols import Case, each_case
from deconvdemo.image.pixels import as_images, eight_bits
from deconvdemo.tasks.upscale import SCALES

ISOS = (400, 1600, 6400)
CAMERA_QUALITY = 92  # of the JPEG that the camera writes, with halved chroma
QUALITIES = (75, 40)  # of the JPEG that is to be enlarged: the web's, and a poor one
# a camera's usual curve and noise reduction: the middle of what training draws
USUAL = {"contrast": 1.6, "lift": 0.6, "saturation": 1.2, "chroma_blur": 1.5, "luma_blur": 1.2, "grain": 0.3}


def photo_cases(task: str, folder: Path, scales: Sequence[int] = SCALES) -> Iterator[Case]:
    """The cases of `task` over `folder`, clean images, as photos.

    Denoising: a camera's noise at each of ISOS and its JPEG, sigma unknown; pairs of real photos are taken as they are.
    Super-resolution: the shrunk image as a JPEG of each of QUALITIES, judged as ever. Raises what `each_case` raises.
    """
    if task not in PHOTO:
        raise ControlError(f"there is no photo protocol for {task!r}: evaluate {' or '.join(PHOTO)} by it")
    for number, case in enumerate(each_case(task, folder, (0.0,), scales)):
        yield from PHOTO[task](case, number)


def variant_cases(
    variant: str, task: str, folder: Path, sigmas: Sequence[float], scales: Sequence[int]
) -> Iterator[Case]:
    """What a network of this variant is measured on: photos for the photo variant, else what `each_case` gives."""
    if variant == "photo" and task in PHOTO:
        return photo_cases(task, folder, scales)
    return each_case(task, folder, sigmas, scales)


def _camera(case: Case, number: int) -> Iterator[Case]:
    if "sigma" not in case.controls:  # a real pair
        yield case
        return
    for iso in ISOS:
        rng = torch.Generator().manual_seed(number)  # by the image's place in its folder
        seen = CameraNoise.at_iso(iso, **USUAL)(as_images(case.observed), rng)
        yield replace(case, setting=f"camera ISO {iso}", observed=eight_bits(Jpeg(CAMERA_QUALITY)(seen)), controls={})


def _jpeg(case: Case, number: int) -> Iterator[Case]:
    for quality in QUALITIES:
        observed = eight_bits(Jpeg(quality)(as_images(case.observed)))
        yield replace(case, setting=f"{case.setting} jpeg {quality}", observed=observed)


PHOTO: dict[str, Callable[[Case, int], Iterator[Case]]] = {"denoise": _camera, "upscale": _jpeg}
