"""What runs a network fastest on this machine without harming the result: device, number format, memory layout."""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from deconvdemo.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """Where and in which precision networks run, and why that was chosen."""

    device: str
    precision: str
    why: str

    def autocast(self):
        """The context in which a network is called: convolutions in `precision`, the shortcut's sum in float32."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device, PRECISIONS[self.precision])

    def in_fp32(self) -> Compute:
        """The same device at full precision, for a tile that overflowed."""
        return Compute(self.device, "fp32", "a result was not finite")


@lru_cache(maxsize=1)
def cpu_has_bf16_units() -> bool:
    """True where the processor multiplies bf16 matrices in hardware (AMX); elsewhere bf16 is slower than fp32."""
    if platform.system() != "Linux":
        return False
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def choose(device: str = "auto", precision: str = "auto") -> Compute:
    """Raises DeviceError, naming what is there, for a device or precision that this machine or project lacks."""
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
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Compute(device, "bf16", "the GPU has bf16 units")
        return Compute(device, "fp16", "the GPU has no bf16 units")
    if device == "cpu" and cpu_has_bf16_units():
        return Compute(device, "bf16", "the processor has bf16 matrix units (AMX)")
    return Compute(device, "fp32", f"no fast 16-bit units known on this {device}")
