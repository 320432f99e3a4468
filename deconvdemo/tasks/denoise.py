"""Denoising: y = x + n, the network knows the noise's sigma and estimates the noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from deconvdemo.metrics import GREY_LEVELS
from deconvdemo.noise import estimate_sigma
from deconvdemo.tasks.task import STRENGTH, Control, Task

if TYPE_CHECKING:
    from torch import Tensor

MAX_SIGMA = 75.0
UNKNOWN_SIGMA = -25.0  # grey levels: what a network that judges the noise by itself is shown in place of a sigma


class Denoise(Task):
    name = "denoise"
    verb = "Denoise"
    title = "Denoise"
    promise = "Removes grain and sensor noise while keeping what the photo shows."
    controls = (
        Control(
            "sigma",
            "Noise level (sigma)",
            "Standard deviation of the noise in grey levels of 0–255: 5 is faint, 25 is strong grain, 50 hides "
            "details. Too high smooths the photo, too low leaves noise.",
            default=None,
            minimum=0,
            maximum=MAX_SIGMA,
            step=0.5,
            automatic=True,
        ),
        STRENGTH,
    )

    def settled(self, pixels: np.ndarray, controls: dict[str, Any]) -> dict[str, Any]:
        if controls["sigma"] is not None:
            return controls
        sigma = min(estimate_sigma(pixels), MAX_SIGMA)
        return {**controls, "sigma": round(sigma, 1)}

    def inputs(self, observed: Tensor, holes: Tensor | None, controls: Mapping[str, Any]) -> Tensor:
        import torch

        level = torch.full_like(observed[:, :1], controls["sigma"] / GREY_LEVELS)
        return torch.cat([observed, level], dim=1)
