"""What a training batch is: what each task makes of a clean patch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from deconvdemo.degradations import (
    BicubicDownscale,
    GaussianNoise,
    Holes,
    quantised,
)
from deconvdemo.degradations.holes import random_masks
from deconvdemo.networks.coarse_fill import coarse_fill
from deconvdemo.tasks.denoise import MAX_SIGMA
from deconvdemo.training.samples.placing import placed, turned_places
from deconvdemo.units import GREY_LEVELS

MANY = 32  # patches: for so many at once, holes are taken from painted ones, which are turned and mirrored
PAINTED = 1024  # holes, which take a second to paint


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
    sigma = placed(sigmas.astype(np.float32), clean).view(-1, 1, 1, 1)
    level = (sigma / GREY_LEVELS).expand_as(clean[:, :1])
    return Sample(torch.cat([GaussianNoise(sigma)(clean, generator), level], dim=1), clean)


def downscaled(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Bicubic downscaling, rounded to 8 bits as the files are that people upscale."""
    return Sample(quantised(BicubicDownscale(scale)(clean)), clean)


def holed(clean: Tensor, scale: int, rng: np.random.Generator, generator: torch.Generator) -> Sample:
    """Random holes, filled with a first guess, and the mask as a fourth channel; only the holes count."""
    count, size = len(clean), clean.shape[-1]
    masks = _taken(rng, count, size, clean) if count >= MANY else placed(random_masks(rng, count, size), clean)
    mask = masks[:, None].to(clean.dtype)
    return Sample(torch.cat([coarse_fill(Holes(mask)(clean), mask), mask], dim=1), clean, mask)


def _taken(rng: np.random.Generator, count: int, size: int, like: Tensor) -> Tensor:
    """(count, size, size) uint8, 1 = hole: of the painted ones, on `like`'s device, turned and mirrored."""
    painted = _painted(size, like.device)
    corners = rng.integers(PAINTED, size=count) * size * size
    places = turned_places(rng, corners, size, size, like)
    return painted.view(-1).index_select(0, places.view(-1)).view(places.shape)


@lru_cache(maxsize=2)
def _painted(size: int, device: torch.device) -> Tensor:
    """PAINTED holes, one after another, the same in every run."""
    return torch.from_numpy(random_masks(np.random.default_rng(0), PAINTED, size)).to(device)
