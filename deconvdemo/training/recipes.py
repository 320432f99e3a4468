"""How each bundled network is trained: a table of recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deconvdemo.checkpoints.checkpoint import Header
from deconvdemo.training.samples.old_photos import scratched
from deconvdemo.training.samples.sample import Sample, downscaled, holed, noisy
from deconvdemo.training.samples.wild import photographed, shrunk


@dataclass(frozen=True)
class Phase:
    """A part of a run: its loss, and a learning rate that starts anew and falls to zero (a warm restart)."""

    share: float  # of the run's length
    loss: str = "l1"  # or "charbonnier", "mse" or "bce-dice"
    rate: float = 1.0  # times the recipe's learning rate


@dataclass(frozen=True)
class Recipe:
    """What to train and how: phases of a cosine each, and an exponential average of the weights, which is served."""

    task: str
    network: str
    config: dict
    make_sample: Callable[[Tensor, int, np.random.Generator, torch.Generator], Sample]
    scale: int = 1
    variant: str = ""
    patch: int = 128  # of the network's input, in pixels
    batch: int = 16
    optimizer: str = "muon"  # or "adam"
    rate: float = 1e-3
    steps: int = 10000
    average: float = 0.999
    phases: tuple[Phase, ...] = (Phase(0.85), Phase(0.15, "mse", rate=0.3))
    seed: int = 0
    reduced: tuple[float, ...] = ()  # the images are trained on at these fractions of their size, too
    starts_from: str = ""  # the weights, by name, whose tensors it takes over
    adversarial: float = 0.0  # what it counts, beside the loss, that a network learning to tell them is not convinced

    @property
    def header(self) -> Header:
        """What its weights say of themselves before anything is known of how they were made."""
        return Header(self.network, self.config, self.task, self.scale, variant=self.variant)

    @property
    def name(self) -> str:
        """The weights' name: the task, and the scale and the variant where the task has several."""
        return self.header.name

    def phase(self, progress: float) -> tuple[Phase, float]:
        """Which phase a run is in at `progress` (0 to 1), and how far it is in that phase."""
        begin = 0.0
        for phase in self.phases[:-1]:
            if progress < begin + phase.share:
                return phase, (progress - begin) / phase.share
            begin += phase.share
        return self.phases[-1], (progress - begin) / max(1.0 - begin, 1e-9)

    def described(self) -> dict:
        """For the header: what the run itself does not tell."""
        return {
            "patch": self.patch,
            "batch": self.batch,
            "optimizer": self.optimizer,
            "rate": self.rate,
            "average": self.average,
            "seed": self.seed,
            **({"reduced": list(self.reduced)} if self.reduced else {}),
            **({"adversarial": self.adversarial} if self.adversarial else {}),
        }


UNET: dict = {"widths": [32, 64, 128, 256], "blocks": [4, 4, 2, 2]}
SMALL_UNET: dict = {"widths": [16, 32, 64, 128], "blocks": 2}
SR: dict = {"channels": 64, "depth": 15}
MASK: dict = {"widths": [16, 32, 64, 128], "blocks": [1, 2, 2, 2]}
REDUCED = (0.7, 0.5, 0.35)  # photographs made smaller have finer detail: what upscaling is asked for

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("denoise", "DeconvUNet", UNET, noisy, patch=96, batch=8, rate=7e-4, steps=15500),
        Recipe("denoise", "DeconvUNet", SMALL_UNET, noisy, variant="fast", patch=96, batch=8, steps=8000),
        Recipe(
            "denoise", "DeconvUNet", UNET, photographed, variant="photo", patch=96, batch=8, rate=5e-4,
            steps=6000, starts_from="denoise",
        ),
        Recipe("inpaint", "DeconvUNet", UNET, holed, batch=8, rate=7e-4, steps=12000, starts_from="denoise"),
        *(
            Recipe(
                "upscale", "DeconvSR", {"scale": scale, **SR}, downscaled, scale, patch=64, batch=4, steps=steps,
                reduced=REDUCED, starts_from=starts_from,
            )
            for scale, steps, starts_from in ((2, 33000, ""), (3, 12000, "upscale-x2"), (4, 16000, "upscale-x2"))
        ),
        *(
            Recipe(
                "upscale", "DeconvSR", {"scale": scale, **SR, "side_channels": 1}, shrunk, scale, "photo", patch=32,
                steps=8000, rate=7e-4, reduced=REDUCED[:2], starts_from=f"upscale-x{scale}",
            )
            for scale in (2, 3, 4)
        ),
        Recipe(
            "scratches", "DeconvMask", MASK, scratched, patch=192, batch=8, rate=1.5e-3, steps=2500, reduced=(0.5,),
            phases=(Phase(1.0, "bce-dice"),),
        ),
        Recipe(  # the weight of the critic is a first guess: no weights were made with it yet
            "upscale", "DeconvSR", {"scale": 4, **SR, "side_channels": 1}, shrunk, 4, "vivid", patch=32,
            optimizer="adam", steps=8000, rate=2e-4, phases=(Phase(1.0),), reduced=REDUCED[:2],
            starts_from="upscale-x4-photo", adversarial=0.3,
        ),
    )
}  # fmt: skip
