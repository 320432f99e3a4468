"""How each bundled network is trained: a table of recipes, and what its task makes of a clean patch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deconvdemo.degradations import BicubicDownscale, GaussianNoise, Holes, quantised
from deconvdemo.metrics import GREY_LEVELS
from deconvdemo.networks.coarse_fill import coarse_fill
from deconvdemo.tasks import TASKS
from deconvdemo.tasks.denoise import MAX_SIGMA
from deconvdemo.training.masks import random_masks


@dataclass(frozen=True)
class Sample:
    """One training batch: what the network sees, what it should give, and where the loss counts (None: everywhere)."""

    inputs: Tensor
    target: Tensor
    weight: Tensor | None = None


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


@dataclass(frozen=True)
class Recipe:
    """What to train and how: Adam (or AdamW) with a cosine to zero, an exponential average of the weights served."""

    task: str
    network: str
    config: dict
    make_sample: Callable[[Tensor, int, np.random.Generator, torch.Generator], Sample]
    scale: int = 1
    patch: int = 128  # of the network's input, in pixels
    batch: int = 16
    rate: float = 5e-4
    minutes: float = 60.0
    average: float = 0.999
    loss: str = "l1"
    seed: int = 0

    @property
    def name(self) -> str:
        """The weights' name: the task, and the scale where the task has several."""
        return TASKS[self.task].weights({"scale": self.scale})

    def described(self) -> dict:
        """For the header: what the run itself does not tell."""
        return {
            "patch": self.patch,
            "batch": self.batch,
            "rate": self.rate,
            "average": self.average,
            "seed": self.seed,
        }


UNET: dict = {"widths": [32, 64, 128, 256], "blocks": 2}
SR: dict = {"channels": 48, "blocks": 5}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("denoise", "DeconvUNet", UNET, noisy, minutes=84),
        Recipe("inpaint", "DeconvUNet", UNET, holed, minutes=39),
        *(
            Recipe("upscale", "DeconvSR", {"scale": scale, **SR}, downscaled, scale, 32, rate=1e-3, minutes=minutes)
            for scale, minutes in ((2, 50), (3, 25), (4, 52))
        ),
    )
}
