"""Pictures that nobody took: the decoder's, of Gaussian noise that a seed draws.

The same seed, temperature and weights give the same bits on one machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import cast

import numpy as np
import torch
from torch import Tensor

from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.worker import compute
from deconvdemo.errors import CheckpointError
from deconvdemo.image.pixels import eight_bits
from deconvdemo.networks.decoder import Decoder
from deconvdemo.tasks.control import Number
from deconvdemo.tasks.helpers import GENERATE

TEMPERATURE = Number(
    "temperature",
    "Temperature",
    "How far from the middle of all pictures the noise goes: lower is calmer and more alike, higher is wilder.",
    default=1.0,
    maximum=2.0,
    step=0.05,
)
SEED = Number("seed", "Seed", "Which picture: the same seed gives the same one.", default=0, maximum=2**31 - 1, step=1)


def generate(seed: float = 0, temperature: float = 1.0) -> np.ndarray:
    """(64, 64, 3) uint8. Raises ControlError for a seed or a temperature out of range, CheckpointError without weights.

    >>> generate(seed=7).shape
    (64, 64, 3)
    """
    return layers(seed, temperature)[-1]


def layers(seed: float = 0, temperature: float = 1.0) -> list[np.ndarray]:
    """The picture of `seed` as it grows: 4×4, 8×8, … pixels, each (S, S, 3) uint8; the last one is `generate`'s."""
    return _levels(noise_of(seed) * _checked(temperature))


def interpolated(seed: float, other: float, share: float, temperature: float = 1.0) -> np.ndarray:
    """A picture on the way from one seed's (share 0) to another's (share 1); (64, 64, 3) uint8."""
    return _levels(between(noise_of(seed), noise_of(other), share) * _checked(temperature))[-1]


def on_the_way(seed: float, other: float, count: int, temperature: float = 1.0) -> Iterator[np.ndarray]:
    """`count` pictures from one seed's to another's, both among them."""
    for step in range(count):
        yield interpolated(seed, other, step / max(count - 1, 1), temperature)


def noise_of(seed: float) -> Tensor:
    """(1, latent, 4, 4)"""
    return _network().noise(1, torch.Generator().manual_seed(int(SEED.checked(seed) or 0)))


def between(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Along the great circle: on a straight line noise gets weaker in the middle, and the picture greyer."""
    cosine = torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if float(angle) < 1e-4:
        return torch.lerp(one, other, share)
    return (torch.sin((1 - share) * angle) * one + torch.sin(share * angle) * other) / torch.sin(angle)


def _levels(noise: Tensor) -> list[np.ndarray]:
    network = _network()

    def drawn() -> list[Tensor]:
        with torch.inference_mode():
            return network.levels(noise)

    return [eight_bits(one) for one in compute(drawn)]


def _checked(temperature: float) -> float:
    return float(TEMPERATURE.checked(temperature) or 0)


@cache
def _network() -> Decoder:
    """The bundled decoder, on the processor: it is small."""
    weights = Weights()
    if GENERATE not in weights.names():
        raise CheckpointError(
            f"there are no weights for {GENERATE}: train them with `deconvdemo train {GENERATE} --images DIR`"
        )
    return cast(Decoder, weights.load(GENERATE).network())
