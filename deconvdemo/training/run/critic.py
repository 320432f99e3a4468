"""The opponent of an adversarial training: a network that learns to tell photographs from what is restored.

A U-Net that judges every pixel (Schönfeld et al. 2020; Wang et al., "Real-ESRGAN", 2021), its convolutions bounded by
spectral normalisation (Miyato et al. 2018), with the hinge loss (Lim & Ye 2017). It is trained beside the network and
thrown away: nothing serves it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

RATE = 1e-4  # its learning rate where the network's own is at its peak
WIDTH = 32


class Judge(nn.Module):
    """(N, 3, H, W) in [0, 1] → (N, 1, H, W): above 0 where it takes what is around for a photograph."""

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        steps = [(width, 2 * width), (2 * width, 4 * width)]
        self.down = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False)) for a, b in steps)
        self.up = nn.ModuleList(spectral_norm(nn.Conv2d(b, a, 3, padding=1, bias=False)) for a, b in reversed(steps))
        self.join = spectral_norm(nn.Conv2d(width, width, 3, padding=1, bias=False))
        self.tail = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        features = functional.leaky_relu(self.head(images - 0.5), 0.2)
        skips = []
        for layer in self.down:
            skips.append(features)
            features = functional.leaky_relu(layer(features), 0.2)
        for layer in self.up:
            skip = skips.pop()
            features = functional.interpolate(features, skip.shape[-2:], mode="nearest")
            features = functional.leaky_relu(layer(features), 0.2) + skip
        return self.tail(functional.leaky_relu(self.join(features), 0.2)).float()


class Critic:
    """A judge and what trains it."""

    def __init__(self, device: str, width: int = WIDTH):
        self.judge = Judge(width).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        on_gpu = device.startswith("cuda")
        self.optimizer = torch.optim.Adam(
            self.judge.parameters(), lr=0.0, betas=(0.5, 0.99), fused=on_gpu, capturable=on_gpu
        )

    def unconvinced(self, restored: Tensor) -> Tensor:
        """How little the judge takes `restored` for photographs: what the network makes small."""
        self.judge.requires_grad_(False)
        verdict = self.judge(restored)
        self.judge.requires_grad_(True)
        return -verdict.mean()

    def mistaken(self, photographs: Tensor, restored: Tensor) -> Tensor:
        """How far the judge is from telling them apart by a margin: what it makes small itself."""
        real, made = self.judge(photographs), self.judge(restored.detach())
        return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()
