"""The last deconvolution in closed form: of all kernels, the one with the least squared error on what is drawn.

What `DeconvSR` adds to bicubic is linear in its features, so that its best last layer needs no steps (a linear readout,
as in Huang et al. 2006's extreme learning machines, of a trunk that is trained). A trunk that was trained for one scale
so serves another at once: what clutters a small photo is the same, however far it is enlarged.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.bicubic import resize
from deconvdemo.errors import TrainingError
from deconvdemo.networks import DeconvSR
from deconvdemo.training.samples.sample import Sample

TAPS = 3  # features on each side that an output pixel mixes
HARD = 2e-4  # squared error, of 1: the harder a patch the less it counts, as in a mean of decibels, down to this
DAMPING = 1e-5  # of the mean of the diagonal


@torch.no_grad()  # what is drawn here and kept must be of use to the training, too
def solve_last(network: nn.Module, samples: Iterator[Sample], count: int) -> None:
    """Sets the kernel of the last deconvolution to the best one on `count` batches.

    Raises TrainingError for a network that does not end in the one deconvolution, and for too few batches.
    """
    if not isinstance(network, DeconvSR):
        raise TrainingError(f"a {type(network).__name__} does not end in one deconvolution: only DeconvSR's is solved")
    size = network.channels * TAPS**2
    products = torch.zeros(size, size, dtype=torch.float64)
    wanted = torch.zeros(size, 3 * network.scale**2, dtype=torch.float64)
    for _ in range(count):
        seen, missing = _equations(network, next(samples))
        products += (seen.T @ seen).double().cpu()
        wanted += (seen.T @ missing).double().cpu()
    damped = products + DAMPING * products.diagonal().mean() * torch.eye(size, dtype=torch.float64)
    try:
        kernel = torch.linalg.solve(damped, wanted)
    except RuntimeError as error:
        raise TrainingError(f"{count} batches do not determine the last layer: give more of them") from error
    network.upsample.weight.copy_(_as_deconvolution(kernel.float(), network))


def _equations(network: DeconvSR, sample: Sample) -> tuple[Tensor, Tensor]:
    """(pixels, channels·9) features and (pixels, 3·scale²) that they should give, each patch weighted."""
    images = sample.inputs[:, : network.image_channels].float()
    missing = functional.pixel_unshuffle(sample.target.float() - resize(images, network.scale), network.scale)
    features = network.features(sample.inputs.float())
    count, _, height, width = features.shape
    seen = functional.unfold(features, TAPS, padding=TAPS // 2).view(count, -1, height, width)
    weight = (missing.square().mean((1, 2, 3), keepdim=True) + HARD).rsqrt()
    seen, missing = seen * weight, missing * weight
    return seen.permute(0, 2, 3, 1).flatten(0, 2), missing.permute(0, 2, 3, 1).flatten(0, 2)


def _as_deconvolution(kernel: Tensor, network: DeconvSR) -> Tensor:
    """(channels·9, 3·scale²) of a convolution before a sub-pixel shuffle → (channels, 3, 3·scale, 3·scale)."""
    scale, channels = network.scale, network.channels
    taps = kernel.view(channels, TAPS, TAPS, 3, scale, scale)
    return taps.permute(0, 3, 1, 4, 2, 5).flip(2, 4).reshape(channels, 3, TAPS * scale, TAPS * scale)
