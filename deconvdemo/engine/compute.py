"""How a network runs: on which device, in which number format, in which layout of memory."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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
