"""Denoising: y = x + n, the network knows the noise's sigma (or judges it by itself) and estimates the noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from deconvdemo.image.metrics import GREY_LEVELS
from deconvdemo.image.noise_estimation import estimate_sigma
from deconvdemo.tasks.control import Number, Variant
from deconvdemo.tasks.task import STRENGTH, UNKNOWN_SIGMA, WRAP, Task, variants

if TYPE_CHECKING:
    from torch import Tensor

MAX_SIGMA = 75.0
FAINTEST = 0.01  # grey levels: an estimate below is no noise


class Denoise(Task):
    name = "denoise"
    verb = "Denoise"
    title = "Denoise"
    promise = "Removes grain and sensor noise while keeping what the photo shows."
    controls = (
        Number(
            "sigma",
            "Noise level (sigma)",
            "How far noise moves a pixel (root mean square), in grey levels of 0–255: 5 is faint, 25 is strong grain, "
            "50 hides details. Too high smooths the photo, too low leaves noise.",
            default=None,
            minimum=0,
            maximum=MAX_SIGMA,
            step=0.5,
            automatic=True,
        ),
        STRENGTH,
        variants(
            standard=Variant("Even noise", "Grain of one strength everywhere: film scans, renderings, test images."),
            # trained with the level of all that disturbs a photo in half of its patches, with none in the others
            photo=Variant(
                "Camera photos",
                "Noise of real cameras and traces of JPEG: most pictures from phones and the web.",
                judges=("sigma",),
            ),
            fast=Variant("Speed", "A smaller network for even noise: quicker, less thorough."),
        ),
        WRAP,
    )

    def settled(self, pixels: np.ndarray, controls: dict[str, Any], seen: np.ndarray | None = None) -> dict[str, Any]:
        if controls["sigma"] is not None or "sigma" in self.judged(controls):
            return controls
        sigma = min(estimate_sigma(pixels, seen), MAX_SIGMA)
        # 0 is for a photo without any: what is faint, such as traces of JPEG, goes to the network all the same
        return {**controls, "sigma": max(round(sigma, 1), 0.1) if sigma > FAINTEST else 0.0}

    def strength(self, controls: Mapping[str, Any]) -> float:
        # no noise, nothing to remove: a network leaves a few levels of its own even on a clean flat grey
        return 0.0 if controls["sigma"] == 0 else super().strength(controls)

    def inputs(self, observed: Tensor, holes: Tensor | None, controls: Mapping[str, Any]) -> Tensor:
        import torch

        sigma = UNKNOWN_SIGMA if controls["sigma"] is None else controls["sigma"]
        level = torch.full_like(observed[:, :1], sigma / GREY_LEVELS)
        return torch.cat([observed, level], dim=1)
