"""What a training batch is: what each task makes of a clean patch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from deconvdemo.degradations import (
    BicubicDownscale,
    CameraNoise,
    GaussianBlur,
    GaussianNoise,
    Holes,
    Jpeg,
    ResizedNoise,
    quantised,
)
from deconvdemo.degradations.camera import read_noise
from deconvdemo.metrics import GREY_LEVELS
from deconvdemo.networks.coarse_fill import coarse_fill
from deconvdemo.tasks.denoise import MAX_SIGMA, UNKNOWN_SIGMA
from deconvdemo.training.masks import random_masks


@dataclass(frozen=True)
class Sample:
    """One training batch: what the network sees, what it should give, and where the loss counts (None: everywhere).

    `flagged`, (N,) of 0 and 1, tells which patches are of flags; None where none are drawn.
    """

    inputs: Tensor
    target: Tensor
    weight: Tensor | None = None
    flagged: Tensor | None = None


def noisy(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Noise of a sigma between 0 and 75 a patch, smaller ones more often, and sigma / 255 as a fourth channel."""
    sigmas = MAX_SIGMA * rng.uniform(size=len(clean)) ** 1.3
    sigma = torch.tensor(sigmas, dtype=clean.dtype, device=clean.device).view(-1, 1, 1, 1)
    level = (sigma / GREY_LEVELS).expand_as(clean[:, :1])
    return Sample(torch.cat([GaussianNoise(sigma)(clean, generator), level], dim=1), clean)


def downscaled(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Bicubic downscaling, rounded to 8 bits as the files are that people upscale."""
    return Sample(quantised(BicubicDownscale(scale)(clean)), clean)


def holed(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Random holes, filled with a first guess, and the mask as a fourth channel; only the holes count."""
    masks = torch.from_numpy(random_masks(rng, len(clean), clean.shape[-1]))
    mask = masks[:, None].to(clean.device, clean.dtype)
    return Sample(torch.cat([coarse_fill(Holes(mask)(clean), mask), mask], dim=1), clean, mask)


SHARP = 0.4  # pixels: a patch blurred by less is to be restored sharp; a softer one is a soft photo, and stays so


def photographed(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Patches as people's photos are: noise of a camera, JPEG, now and then a slight blur; rounded as a file is.

    The fourth channel is the RMS difference of observed and target, in grey levels / 255, for half of the patches,
    and UNKNOWN_SIGMA / 255 for the others.
    """
    count = len(clean)
    seen, target = clean.clone(), clean.clone()
    blurred = rng.uniform(size=count) < 0.2
    sigma = _uniform(rng, 0.2, 0.7, int(blurred.sum()), clean)
    _degrade(seen, blurred, GaussianBlur(sigma), generator)
    target[blurred] = torch.where(sigma > SHARP, seen[blurred], clean[blurred])

    _degrade(seen, rng.uniform(size=count) < 0.1, partial(_jpeg, rng, 60), generator)
    kinds = rng.choice(len(NOISES), size=count, p=list(NOISES.values()))
    for number, noise in enumerate(NOISES):
        _degrade(seen, kinds == number, partial(noise, rng), generator)
    _degrade(seen, rng.uniform(size=count) < 0.75, partial(_jpeg, rng, 40), generator)
    observed = quantised(seen)

    rms = (observed - target).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    known = torch.from_numpy(rng.uniform(size=(count, 1, 1, 1)) < 0.5).to(clean.device)
    level = torch.where(known, rms, UNKNOWN_SIGMA / GREY_LEVELS).expand_as(clean[:, :1])
    return Sample(torch.cat([observed, level], dim=1), target)


def downscaled_jpeg(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Small photos as the web has them: bicubic downscaling, most of them a JPEG, some a little noisy or soft."""
    count = len(clean)
    soft = clean.clone()
    blurred = rng.uniform(size=count) < 0.2
    _degrade(soft, blurred, GaussianBlur(_uniform(rng, 0.1, 0.3, int(blurred.sum()), clean) * scale), generator)
    small = BicubicDownscale(scale)(soft)
    grainy = rng.uniform(size=count) < 0.3
    _degrade(small, grainy, GaussianNoise(_uniform(rng, 0, 4, int(grainy.sum()), clean)), generator)
    _degrade(small, rng.uniform(size=count) < 0.8, partial(_jpeg, rng, 30), generator)
    return Sample(quantised(small), BicubicDownscale(scale).crop(clean))


def _camera(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    """Cameras at ISO 70 to 8,000, most of them with noise reduction.

    Sensors as in Brooks et al. 2019. The rest is drawn so that the noise's level, its correlation over pixels and
    channels and its fall towards black and white spread around those of the real photos of PolyU (Xu et al. 2018).
    """
    count = len(images)
    uniform = partial(_uniform, rng, count=count, like=images)
    shot = _logarithmic(rng, 1e-4, 1.2e-2, count, images)
    scatter = torch.from_numpy(rng.normal(0, 0.13, (count, 1, 1, 1))).to(images)
    reduced = uniform(0, 1) < 0.85
    camera = CameraNoise(
        shot,
        read_noise(shot) * scatter.exp(),
        red=uniform(1.3, 2.5),
        blue=uniform(1.3, 2.5),
        contrast=uniform(1.2, 2.0),
        lift=uniform(0.0, 1.2),
        saturation=uniform(0.7, 1.7),
        chroma_blur=reduced * uniform(0.5, 2.5),
        luma_blur=reduced * uniform(0.4, 2.0),
        grain=uniform(0.0, 0.5),
    )
    return camera(images, generator)


def _white(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    return GaussianNoise(_logarithmic(rng, 0.5, 40, len(images), images))(images, generator)


def _resized(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    scale = float(np.exp(rng.uniform(np.log(0.5), np.log(2))))
    sigma = _logarithmic(rng, 0.5, 30, len(images), images) / min(scale, 1)
    return ResizedNoise(sigma, scale)(images, generator)


def _none(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    return images


NOISES = {_camera: 0.65, _white: 0.12, _resized: 0.1, _none: 0.13}  # what disturbs a photo, and its share of patches


def _jpeg(rng: np.random.Generator, lowest: float, images: Tensor, generator: torch.Generator) -> Tensor:
    """Qualities from `lowest` to 98, higher ones more often, and every chroma.

    Half of the grids begin at the corner, as in photos that were never cropped.
    """
    count = len(images)
    cropped = rng.uniform(size=count) < 0.5
    return Jpeg(
        98 - (98 - lowest) * _uniform(rng, 0, 1, count, images) ** 2,
        torch.from_numpy(rng.integers(0, 3, count)),
        torch.from_numpy(rng.integers(0, 16, count) * cropped),
        torch.from_numpy(rng.integers(0, 16, count) * cropped),
    )(images)


def _degrade(
    images: Tensor, chosen: np.ndarray, degradation: Callable[[Tensor, torch.Generator], Tensor], rng: torch.Generator
) -> None:
    """Degrades those of `images` that are `chosen`, (N,) bool, in place."""
    if chosen.any():
        images[chosen] = degradation(images[chosen], rng)


def _uniform(rng: np.random.Generator, low: float, high: float, count: int, like: Tensor) -> Tensor:
    """(count, 1, 1, 1), for one parameter a patch."""
    return torch.from_numpy(rng.uniform(low, high, (count, 1, 1, 1))).to(like)


def _logarithmic(rng: np.random.Generator, low: float, high: float, count: int, like: Tensor) -> Tensor:
    """As `_uniform`, each octave as likely."""
    return _uniform(rng, float(np.log(low)), float(np.log(high)), count, like).exp()
