"""What runs a network fastest on this machine without harming the result: device, number format, memory layout."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from deconvdemo.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


@dataclass(frozen=True)
class Compute:
    """Where, in which precision and in which layout of memory networks run, and why that was chosen."""

    device: str
    precision: str
    why: str
    layout: str = "channels_last"

    def autocast(self):
        """The context in which a network is called: convolutions in `precision`, the shortcut's sum in float32."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device, PRECISIONS[self.precision])

    def in_fp32(self) -> Compute:
        """The same device at full precision, for a tile that overflowed."""
        return Compute(self.device, "fp32", "a result was not finite", self.layout)

    def network(self, network: nn.Module) -> nn.Module:
        """`network` itself, moved to the device and laid out for it."""
        return network.to(self.device).to(memory_format=LAYOUTS[self.layout])  # type: ignore[call-overload]

    def images(self, images: Tensor) -> Tensor:
        """(N, C, H, W) on the device and laid out for it."""
        return images.to(self.device).contiguous(memory_format=LAYOUTS[self.layout])


def choose(device: str = "auto", precision: str = "auto", folder: Path | None = None) -> Compute:
    """What is asked for; by itself, the first device of CUDA, MPS and CPU that is there, and what is fastest on it.

    What is fastest is measured, once: it is kept in `folder`, or in the user's cache (`engine.fastest`).
    Raises DeviceError, naming what is there, for a device or precision that this machine or project lacks.
    """
    if device not in DEVICES:
        raise DeviceError(f"device {device!r} is not known: choose one of {', '.join(DEVICES)}")
    if precision != "auto" and precision not in PRECISIONS:
        raise DeviceError(f"precision {precision!r} is not known: choose auto, {', '.join(PRECISIONS)}")
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        device = next(name for name, there in present.items() if there)
    elif not present[device]:
        there = ", ".join(name for name, is_there in present.items() if is_there)
        raise DeviceError(f"this machine has no {device} device that torch can use: choose one of auto, {there}")
    if precision != "auto":
        return Compute(device, precision, "asked for")
    from deconvdemo.engine.fastest import fastest  # which measures by means of Compute

    return fastest(device, folder)
