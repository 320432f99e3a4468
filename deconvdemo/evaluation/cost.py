"""What a network costs for a megapixel of its result: parameters, multiply–adds, and milliseconds on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deconvdemo.engine import processor
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.worker import compute

PRECISIONS = ("fp32", "bf16")
RUNS = 5  # after one to warm up; the best counts: whatever else the machine does only ever adds time
BUSY = 0.5  # of one core
COUNTED_SIDE = 64  # pixels of the input at least
BENCH_SIDE = 480  # of the result: 24 divides it, as scales and strides do


def parameters(network: nn.Module) -> int:
    """Trained numbers of the network as it serves."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds_per_megapixel(network: nn.Module) -> int:
    """Counted by torch over every convolution and matrix product of one call, for 10⁶ pixels of the result.

    Additions of a shortcut, activations and the plain resize are left out, as the literature does.
    """
    stride = int(network.stride)  # type: ignore[arg-type]
    side = -(-COUNTED_SIDE // stride) * stride  # nothing is padded, so the count is proportional to the pixels
    inputs = _inputs(network, side, side)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        result = network(inputs)
    return round(counter.get_total_flops() / 2 / (result.shape[-2] * result.shape[-1]) * 1e6)


def result_size(scale: int) -> tuple[int, int]:
    """Height and width at which a network is timed: those of the literature's timings, as far as `scale` divides them.

    A photo of 768×512 (Kodak's) for restoring, a result of 1280×720 for super-resolution.
    """
    height, width = (512, 768) if scale == 1 else (720, 1280)
    return height // scale * scale, width // scale * scale


def milliseconds_per_megapixel(
    network: nn.Module, device: str, precision: str, runs: int = RUNS, layout: str = "channels_last"
) -> float:
    """The best of `runs` calls as the Restorer makes them, at `result_size`, for 10⁶ pixels of the result."""
    scale = int(network.scale)  # type: ignore[arg-type]
    height, width = result_size(scale)
    compute_on = Compute(device, precision, "it is timed", layout)
    network = compute_on.network(network)
    inputs = compute_on.images(_inputs(network, height // scale, width // scale))

    def seconds() -> float:
        started = time.perf_counter()
        with torch.inference_mode(), compute_on.autocast():
            network(inputs).float().cpu()  # which waits for a GPU to end
        return time.perf_counter() - started

    def best() -> float:
        seconds()
        return min(seconds() for _ in range(runs))

    return compute(best) * 1000 / (height * width) * 1e6


def side_by_side(network: Callable[[], nn.Module], both: Sequence[Compute], runs: int = RUNS) -> list[float]:
    """Seconds for 10⁶ pixels of the result with each of `both`: the best of `runs` taken in turn.

    `network` makes one for each: what else the machine does slows all of them alike.
    """
    networks = [compute_on.network(network()) for compute_on in both]
    scale = int(networks[0].scale)  # type: ignore[arg-type]
    side = BENCH_SIDE // scale
    inputs = _inputs(networks[0], side, side)

    def seconds(compute_on: Compute, network: nn.Module) -> float:
        started = time.perf_counter()
        with torch.inference_mode(), compute_on.autocast():
            network(compute_on.images(inputs)).float().cpu()
        return time.perf_counter() - started

    def best() -> list[float]:
        taken = [[seconds(*each) for each in zip(both, networks, strict=True)] for _ in range(1 + runs)]
        return [min(times) for times in zip(*taken[1:], strict=True)]

    return [one / (scale * side) ** 2 * 1e6 for one in compute(best)]


@dataclass(frozen=True)
class Machine:
    """What timings were measured on: they mean nothing without it."""

    processor: str
    bf16_units: bool  # on a processor: instructions
    cores: int
    threads: int
    torch: str
    device: str
    load: float | None  # mean number of programs that computed in the minute before; None: the system does not say

    @property
    def busy(self) -> bool:
        """Whether other programs computed so much that timings are rough."""
        return self.load is not None and self.load > BUSY

    @classmethod
    def this(cls, device: str) -> Machine:
        gpu = device == "cuda"
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if gpu else processor.has_bf16_instructions()
        return cls(
            processor=torch.cuda.get_device_name() if gpu else processor.name(),
            bf16_units=bf16,
            cores=os.cpu_count() or 1,
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            device=device,
            load=round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        )


def _inputs(network: nn.Module, height: int, width: int) -> Tensor:
    """(1, C, height, width) in [0, 1], seeded."""
    channels = int(network.image_channels) + int(network.side_channels)  # type: ignore[arg-type]
    return torch.rand((1, channels, height, width), generator=torch.Generator().manual_seed(0))
