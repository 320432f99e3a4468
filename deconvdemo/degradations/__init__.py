"""How a clean image x becomes an observed one: y = A(x) + n, each degradation a small frozen dataclass.

Images are (N, C, H, W) float tensors of RGB or grey in [0, 1]. Randomness comes from the generator that is passed, so
that a seed names the degraded image exactly. A parameter is a number, or (N, 1, 1, 1) for one of each image.
"""

from __future__ import annotations

from deconvdemo.degradations.block_jpeg import BlockJpeg
from deconvdemo.degradations.camera import CameraNoise
from deconvdemo.degradations.damage import Damage, FadedPrint
from deconvdemo.degradations.editing import ForeignDownscale, ResizedThere, Sharpening
from deconvdemo.degradations.jpeg import Jpeg, quantised
from deconvdemo.degradations.noise import GaussianNoise, PoissonGaussianNoise, ResizedNoise
from deconvdemo.degradations.operators import BicubicDownscale, GaussianBlur, Holes

__all__ = [
    "BicubicDownscale",
    "BlockJpeg",
    "CameraNoise",
    "Damage",
    "FadedPrint",
    "ForeignDownscale",
    "GaussianBlur",
    "GaussianNoise",
    "Holes",
    "Jpeg",
    "PoissonGaussianNoise",
    "ResizedNoise",
    "ResizedThere",
    "Sharpening",
    "quantised",
]
