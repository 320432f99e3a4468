"""What runs a network fastest on this machine without harming the result: device, number format, memory layout."""

from __future__ import annotations

from pathlib import Path

import torch

from deconvdemo.engine import fastest
from deconvdemo.engine.compute import PRECISIONS, Compute
from deconvdemo.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda", "mps")


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
    return fastest.fastest(device, folder)
