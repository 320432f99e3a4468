"""Training patches as people's photos are: soft, noisy, sharpened, resized by others, and JPEG once or twice.

The line of Zhang et al. (BSRGAN, ICCV 2021) and Wang et al. (Real-ESRGAN, ICCVW 2021), for fidelity: all is drawn
so that most patches are harmed a little and few a lot, since a network that expects the worst smooths what is good.

What is done to which patch is drawn on the processor, for all patches at once; the patches stay where they are, and
nothing here waits for the device that has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from deconvdemo.degradations import (
    BicubicDownscale,
    BlockJpeg,
    CameraNoise,
    ForeignDownscale,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    ResizedNoise,
    ResizedThere,
    Sharpening,
    quantised,
)
from deconvdemo.degradations.camera import read_noise
from deconvdemo.tasks.denoise import UNKNOWN_SIGMA
from deconvdemo.training.samples.placing import placed, places
from deconvdemo.training.samples.sample import Sample
from deconvdemo.units import GREY_LEVELS

Degradation = Callable[[Tensor, torch.Generator], Tensor]
KERNELS = {"bicubic": 0.4, "bilinear": 0.25, "area": 0.25, "aliased": 0.1}  # what a photo is shrunk by, and its share
LOT = 4  # patches that share a number of which a tensor can have but one, such as how much they are enlarged
SHARP = 0.6  # pixels: a patch blurred by less is to be restored sharp; a softer one is a soft photo, and stays so


@dataclass(frozen=True)
class Taken:
    """Patches as people's photos are, what they should be, and what happened to each: (N, 1, 1, 1).

    `white`, of 0 and 1: nothing but white noise; `noise` and `jpeg`: how far, in grey levels / 255 (RMS), noise moved a
    pixel, and JPEG.
    """

    observed: Tensor
    target: Tensor
    white: Tensor
    noise: Tensor
    jpeg: Tensor


def photographed(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Photos to denoise: a camera's noise or white noise, noise reduction, sharpening, another's resizing, JPEG.

    The fourth channel is the RMS difference of observed and target, in grey levels / 255, for half of the patches,
    and UNKNOWN_SIGMA / 255 for the others. A quarter of the patches has white noise and nothing else, rounded as a file
    is or not at all; a seventh is a good photo that is to stay as it is.
    """
    taken = take(clean, rng, generator)
    return _with_level(taken.observed, taken.target, taken.observed, taken.target, rng)


def take(clean: Tensor, rng: np.random.Generator, generator: torch.Generator, good_share: float = 0.15) -> Taken:
    """What `photographed` shows, with what happened; `good_share` of the patches are good photos."""
    count = len(clean)
    seen, target = clean.clone(), clean.clone()
    kind = rng.uniform(size=count)
    plain = kind < 0.25  # white noise alone, as the literature's
    good = kind > 1 - good_share  # half of them untouched, half a JPEG of high quality
    edited = ~plain & ~good
    blurred = edited & (rng.uniform(size=count) < 0.25)
    sigma = _uniform(rng, 0.2, 0.8, int(blurred.sum()), clean)
    _degrade(seen, blurred, GaussianBlur(sigma), generator)
    where = places(blurred, clean)
    target.index_copy_(0, where, torch.where(sigma > SHARP, seen.index_select(0, where), clean.index_select(0, where)))

    _degrade(seen, edited & _some(rng, count, 0.1), partial(_jpeg, rng, 60), generator)
    before = seen.clone()
    kinds = _chosen(rng, NOISES, count)
    for number, noise in enumerate(NOISES):
        _degrade(seen, edited & (kinds == number), partial(noise, rng), generator)
    noisy = rms(seen - before)
    _degrade(seen, edited & _some(rng, count, 0.15), partial(_smoothed, rng), generator)
    _degrade(seen, edited & _some(rng, count, 0.3), partial(_sharpened, rng), generator)
    _degrade(seen, edited & _some(rng, count, 0.15), partial(_resized_there, rng), generator)
    before = seen.clone()
    _twice_compressed(seen, edited & _some(rng, count, 0.85), rng, generator)
    _degrade(seen, good & _some(rng, count, 0.5), partial(_jpeg, rng, 92), generator)
    jpeg, before = rms(seen - before), seen.clone()

    _degrade(seen, plain, partial(_literature, rng), generator)
    noisy += rms(seen - before)
    rounded = ~plain | _some(rng, count, 0.5)
    observed = torch.where(_column(rounded, clean) > 0, quantised(seen), seen)
    return Taken(observed, target, _column(plain, clean), noisy, jpeg)


def shrunk(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Photos to enlarge: soft, shrunk by any kernel, sharpened, a little noisy, resized by others, JPEG once or twice.

    A third has one JPEG and nothing else, or not even that. The fourth channel is how far the small photo lies from a
    clean bicubic one (RMS, in grey levels / 255) for half of the patches, and UNKNOWN_SIGMA / 255 for the others.
    """
    count = len(clean)
    ideal = quantised(BicubicDownscale(scale)(clean))
    soft = clean.clone()
    edited = rng.uniform(size=count) < 0.65
    blurred = edited & _some(rng, count, 0.3)
    _degrade(soft, blurred, GaussianBlur(_uniform(rng, 0.1, 0.5, int(blurred.sum()), clean) * scale), generator)
    small = BicubicDownscale(scale)(soft).clamp(0, 1)
    foreign, kernels = edited & _some(rng, count, 0.4), _chosen(rng, KERNELS, count)
    for number, kernel in enumerate(KERNELS):
        if (by_it := foreign & (kernels == number)).any():
            where = places(by_it, clean)
            small.index_copy_(0, where, ForeignDownscale(scale, kernel)(soft.index_select(0, where)).clamp(0, 1))
    kinds = _chosen(rng, SMALL_NOISES, count)
    early, sharpened = _some(rng, count, 0.5), edited & _some(rng, count, 0.4)
    _degrade(small, sharpened & early, partial(_sharpened, rng), generator)
    for number, noise in enumerate(SMALL_NOISES):
        _degrade(small, edited & (kinds == number), partial(noise, rng), generator)
    _degrade(small, sharpened & ~early, partial(_sharpened, rng), generator)
    _degrade(small, edited & _some(rng, count, 0.2), partial(_resized_there, rng), generator)
    _twice_compressed(small, edited & _some(rng, count, 0.9), rng, generator)
    _degrade(small, ~edited & _some(rng, count, 0.8), partial(_jpeg, rng, 30), generator)
    observed = quantised(small)
    return _with_level(observed, BicubicDownscale(scale).crop(clean), observed, ideal, rng)


def _with_level(inputs: Tensor, target: Tensor, observed: Tensor, ideal: Tensor, rng: np.random.Generator) -> Sample:
    """`inputs` with the level of what disturbs them, or that it is unknown, as one more channel."""
    disturbed = rms(observed - ideal)
    known = _column(_some(rng, len(inputs), 0.5), inputs) > 0
    level = torch.where(known, disturbed, UNKNOWN_SIGMA / GREY_LEVELS).expand_as(inputs[:, :1])
    return Sample(torch.cat([inputs, level], dim=1), target)


def _camera(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    """Cameras at ISO 70 to 8,000, most of them with noise reduction.

    Sensors as in Brooks et al. 2019. The rest is drawn so that the noise's level, its correlation over pixels and
    channels and its fall towards black and white spread around those of the real photos of PolyU (Xu et al. 2018).
    """
    count = len(images)
    uniform = partial(_uniform, rng, count=count, like=images)
    shot = _logarithmic(rng, 1e-4, 1.2e-2, count, images)
    scatter = placed(rng.normal(0, 0.13, (count, 1, 1, 1)).astype(np.float32), images)
    reduced = uniform(0, 1) < 0.8
    camera = CameraNoise(
        shot,
        read_noise(shot) * scatter.exp(),
        red=uniform(1.3, 2.5),
        blue=uniform(1.3, 2.5),
        contrast=uniform(1.0, 2.0),
        lift=uniform(0.0, 1.2),
        saturation=uniform(0.7, 1.7),
        chroma_blur=reduced * uniform(0.3, 2.5),
        luma_blur=reduced * uniform(0.2, 2.0),
        grain=uniform(0.0, 0.8),
        place=(int(rng.integers(2)), int(rng.integers(2))),
    )
    return camera(images.clamp(0, 1), generator)


def _white(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    return GaussianNoise(_logarithmic(rng, 0.5, 40, len(images), images))(images, generator).clamp(0, 1)


def _literature(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    """White noise of a sigma between 0 and 60, not clipped, as the denoising literature has it."""
    sigmas = _uniform(rng, 0, 1, len(images), images) ** 1.3 * 60
    return GaussianNoise(sigmas)(images, generator)


def _resized(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    def one(lot: Tensor) -> Tensor:
        scale = float(np.exp(rng.uniform(np.log(0.5), np.log(2))))
        sigma = _logarithmic(rng, 0.5, 30, len(lot), lot) / min(scale, 1)
        return ResizedNoise(sigma, scale)(lot, generator).clamp(0, 1)

    return torch.cat([one(lot) for lot in images.split(LOT)])


def _small_white(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    return GaussianNoise(_logarithmic(rng, 0.5, 15, len(images), images))(images, generator).clamp(0, 1)


def _none(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    return images


NOISES = {_camera: 0.62, _white: 0.13, _resized: 0.1, _none: 0.15}  # what disturbs a photo, and its share of patches
SMALL_NOISES = {_camera: 0.3, _small_white: 0.25, _none: 0.45}


def _smoothed(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    """Noise reduction that takes detail along."""
    return GaussianBlur(_uniform(rng, 0.2, 0.6, len(images), images))(images)


def _sharpened(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    count = len(images)
    return Sharpening(_uniform(rng, 0.1, 1.0, count, images), _uniform(rng, 0.5, 1.8, count, images))(images)


def _resized_there(rng: np.random.Generator, images: Tensor, generator: torch.Generator) -> Tensor:
    def one(lot: Tensor) -> Tensor:
        there, back = rng.choice(("bicubic", "bilinear", "area", "aliased"), size=2, p=(0.5, 0.25, 0.15, 0.1))
        return ResizedThere(float(rng.uniform(0.6, 1.5)), str(there), str(back))(lot).clamp(0, 1)

    return torch.cat([one(lot) for lot in images.split(LOT)])


def _twice_compressed(images: Tensor, chosen: np.ndarray, rng: np.random.Generator, generator: torch.Generator) -> None:
    """JPEG for those of `images` that are `chosen`, in place; for a third of them a second time, on another grid."""
    _degrade(images, chosen & _some(rng, len(images), 0.35), partial(_jpeg, rng, 40), generator)
    _degrade(images, chosen, partial(_jpeg, rng, 30), generator)


def _jpeg(rng: np.random.Generator, lowest: float, images: Tensor, generator: torch.Generator) -> Tensor:
    """Qualities from `lowest` to 98, higher ones more often, and every chroma, half of them 4:2:0.

    Half of the grids begin at the corner, as in photos that were never cropped. A file is written where the patches
    are at hand for that; a GPU computes what it would do to them.
    """
    count = len(images)
    cropped = rng.uniform(size=count) < 0.5
    compressed = Jpeg if images.device.type == "cpu" else BlockJpeg
    return compressed(
        98 - (98 - lowest) * _uniform(rng, 0, 1, count, images) ** 1.6,
        placed(rng.choice((0, 1, 2), size=count, p=(0.35, 0.15, 0.5)), images),
        placed(rng.integers(0, 16, count) * cropped, images),
        placed(rng.integers(0, 16, count) * cropped, images),
    )(images)


def _some(rng: np.random.Generator, count: int, share: float) -> np.ndarray:
    """(count,) bool, True for about this share."""
    return rng.uniform(size=count) < share


def _chosen(rng: np.random.Generator, shares: Mapping, count: int) -> np.ndarray:
    """(count,) places in `shares`, each as often as it says."""
    return rng.choice(len(shares), size=count, p=list(shares.values()))


def rms(difference: Tensor) -> Tensor:
    """(N, 1, 1, 1), of each patch."""
    return difference.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()


def _column(chosen: np.ndarray, like: Tensor) -> Tensor:
    """(N,) bool → (N, 1, 1, 1) of 0 and 1."""
    return placed(chosen.astype(np.float32), like).view(-1, 1, 1, 1)


def _degrade(images: Tensor, chosen: np.ndarray, degradation: Degradation, rng: torch.Generator) -> None:
    """Degrades those of `images` that are `chosen`, (N,) bool, in place."""
    if chosen.any():
        where = places(chosen, images)
        images.index_copy_(0, where, degradation(images.index_select(0, where), rng))


def _uniform(rng: np.random.Generator, low: float, high: float, count: int, like: Tensor) -> Tensor:
    """(count, 1, 1, 1), for one parameter a patch."""
    return placed(rng.uniform(low, high, (count, 1, 1, 1)).astype(np.float32), like)


def _logarithmic(rng: np.random.Generator, low: float, high: float, count: int, like: Tensor) -> Tensor:
    """As `_uniform`, each octave as likely."""
    return _uniform(rng, float(np.log(low)), float(np.log(high)), count, like).exp()
