"""How fast a device could train, and how much of that is reached: floating-point operations a second.

The ceiling is what the device itself does when it is given nothing but 3×3 convolutions, large ones, one after another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial

import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from deconvdemo.networks import NETWORKS
from deconvdemo.training.recipes import Recipe

WIDTHS = (64, 128, 256)  # channels: narrow networks cannot keep wide units busy, so the best of some is the ceiling
PIXELS = {"cuda": 128 * 64 * 64, "cpu": 64 * 64}  # of a convolution's images together
SECONDS = 0.3  # for which each width is tried


def operations(recipe: Recipe) -> float:
    """Floating-point operations, two a multiplication, of a training step on one patch: forward and backward."""
    with torch.device("meta"):
        network = NETWORKS[recipe.network](**recipe.config)
        channels = network.image_channels + network.side_channels
        patch = torch.zeros(1, channels, recipe.patch, recipe.patch)
    with FlopCounterMode(display=False) as counter:
        network(patch).sum().backward()
    return float(counter.get_total_flops())


@cache
def ceiling(device: str, bf16: bool) -> float:
    """Floating-point operations a second of the best of a few convolutions; takes a second or two."""
    kind = device.partition(":")[0]
    number = torch.bfloat16 if bf16 else torch.float32
    best = 0.0
    for width in WIDTHS:
        side = round(PIXELS.get(kind, PIXELS["cuda"]) ** 0.5)
        images = torch.randn(1, width, side, side, device=device, dtype=number)
        images = images.contiguous(memory_format=torch.channels_last)
        weight = torch.randn(width, width, 3, 3, device=device, dtype=number) * 0.01
        weight = weight.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            each = _seconds(partial(functional.conv2d, images, weight, padding=1), device)
        best = max(best, 2 * 9 * width * width * images[0, 0].numel() / each)
    return best


def _seconds(work: Callable[[], object], device: str) -> float:
    """Of one `work`, by ever more of them until SECONDS are over."""
    for _ in range(3):
        work()
    times = 1
    while True:
        _wait(device)
        since = time.perf_counter()
        for _ in range(times):
            work()
        _wait(device)
        if (took := time.perf_counter() - since) > SECONDS:
            return took / times
        times *= 2


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
