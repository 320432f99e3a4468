"""The articles' experiments: which network each describes, what it is shown, and which task of ours came of it.

They are no tasks: nothing of this is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HEADER_TASK = "article"  # what its weights' headers say in place of a task
SIGMA = 25.0  # of the noise that is added, in grey levels
GENERATION = "generation"


@dataclass(frozen=True)
class Article:
    """One experiment. Its `name` is the variant in its weights' header; `ours` is the task whose network came of it."""

    name: str
    number: int  # of the article
    network: str
    words: str
    ours: str
    config: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "mse"  # or "bce"
    nothing: str = "the noisy photo"  # what doing nothing gives

    def shown(self, clean: Tensor, seed: int) -> Tensor:
        """(N, 3, H, W) in [0, 1], square and even → what its network is shown, by `seed` alone; not clipped."""
        import torch

        rng = torch.Generator().manual_seed(seed)
        if self.name == GENERATION:
            return torch.randn(len(clean), 3, clean.shape[-2] // 2, clean.shape[-1] // 2, generator=rng)
        if self.ours == "denoise":
            from deconvdemo.degradations.noise import GaussianNoise

            return GaussianNoise(SIGMA)(clean, rng)
        if self.ours == "upscale":
            from deconvdemo.bicubic import resize

            return resize(clean, 0.5)
        holes = _holes(len(clean), clean.shape[-1], seed)
        return torch.cat([clean * (1 - holes), holes], dim=1)


def _holes(count: int, side: int, seed: int) -> torch.Tensor:
    """(count, 1, side, side): 1 where pixels are lost, along scratches and writing."""
    import torch

    from deconvdemo.degradations.holes import scratches, writing

    rng = np.random.default_rng(seed)
    masks = [np.maximum(scratches(rng, side), writing(rng, side)) for _ in range(count)]
    return torch.from_numpy(np.stack(masks)).float()[:, None]


ARTICLES: dict[str, Article] = {
    one.name: one
    for one in (
        Article("restoration", 1, "ArticleRestorer", "conv and transposed-conv restorer", "denoise"),
        Article("inverse", 2, "ArticleInverse", "a classifier's layers and their “inverse”", "denoise"),
        Article("denoising", 3, "ArticleDeconvolution", "BatchNorm and LeakyReLU denoiser", "denoise"),
        Article(
            GENERATION, 3, "ArticleDeconvolution", "pictures from Gaussian noise", "generate", {"scale": 2}, nothing=""
        ),
        Article("upscaling", 4, "ArticleUpscaler", "ConvTranspose2d(3, 3, 4, 2, 1)", "upscale", nothing="bicubic"),
        Article(
            "inpainting", 5, "ArticleInpainter", "conv encoder and deconv decoder", "inpaint", loss="bce",
            nothing="the photo with its holes",
        ),
    )
}  # fmt: skip
