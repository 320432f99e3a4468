"""What happens to a print: it fades, and scratches, creases, dust and stains come over it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.degradations.marks import Mark, random_marks
from deconvdemo.units import LUMA

SEEN = 14 / 255  # how far a mark must move a pixel, or one within two of it, to be seen in a photo that is scanned


@dataclass(frozen=True)
class FadedPrint:
    """y = black + (white − black) · x, where x is the photo with less colour, in the tone of the paper.

    `saturation` 0 is black and white, `tone` the colour that a middle grey takes, with a mean of 1.
    """

    saturation: float | Tensor
    tone: Tensor  # (N or 1, 3, 1, 1)
    black: float | Tensor = 0.0  # faded from 0 upwards
    white: float | Tensor = 1.0  # and from 1 downwards

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, 3, H, W) in [0, 1] → the same shape and range."""
        luma = (clean * clean.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        # toned as prints are: the middle takes the colour, black and white much less
        toned = luma + (self.tone - 1) * luma * (1.6 - 1.1 * luma)
        coloured = toned + self.saturation * (clean - luma)
        return (self.black + (self.white - self.black) * coloured).clamp(0, 1)


@dataclass(frozen=True)
class Damage:
    """y = keep · x + add: what marks cover, tint or shade of a print.

    `footprint`, (N, 1, H, W) of 0 and 1, is where they lie; `mask` is where they are seen.
    """

    keep: Tensor  # (N, 3, H, W) in [0, 1]
    add: Tensor  # (N, 3, H, W)
    footprint: Tensor

    @classmethod
    def drawn(cls, rng: np.random.Generator, count: int, height: int, width: int, unharmed: float = 0.0) -> Damage:
        """Fresh marks for each of `count` photographs, none for a share of them."""
        drawn = [
            _laid((height, width), [] if rng.uniform() < unharmed else random_marks(rng, (height, width)))
            for _ in range(count)
        ]
        keep, add, footprint = (torch.from_numpy(np.stack(parts)) for parts in zip(*drawn, strict=True))
        return cls(keep.permute(0, 3, 1, 2), add.permute(0, 3, 1, 2), footprint[:, None])

    def to(self, device: torch.device | str) -> Damage:
        return Damage(self.keep.to(device), self.add.to(device), self.footprint.to(device))

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, 3, H, W) in [0, 1] → the same shape and range."""
        return (self.keep * clean + self.add).clamp(0, 1)

    def mask(self, clean: Tensor, damaged: Tensor) -> Tensor:
        """(N, 1, H, W) of 0 and 1: where a mark lies and is seen: white on white is no damage."""
        moved = (damaged - clean).abs().amax(1, keepdim=True)
        near = functional.max_pool2d((moved > SEEN).to(clean.dtype), 5, 1, 2)
        return self.footprint * near


def _laid(size: tuple[int, int], marks: list[Mark]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`keep`, `add` (H, W, 3) and `footprint` (H, W) of marks that lie one on another."""
    keep, add = np.ones((*size, 3), np.float32), np.zeros((*size, 3), np.float32)
    footprint = np.zeros(size, bool)
    for mark in marks:
        opacity = np.asarray(mark.opacity, np.float32)[..., None]
        if mark.tints:
            tint = 1 - opacity * (1 - mark.paint.astype(np.float32))
            keep, add = keep * tint, add * tint
        else:
            keep, add = keep * (1 - opacity), add * (1 - opacity) + opacity * mark.paint.astype(np.float32)
        footprint |= mark.opacity > mark.solid
        if mark.shade is not None:
            add = add + mark.shade[..., None]
            footprint |= _strongest(np.abs(mark.shade))
    return keep, add, footprint.astype(np.float32)


def _strongest(shade: np.ndarray) -> np.ndarray:
    """(H, W) bool: where light and shade are strong, and the line between the two; their tails can stay as they are."""
    strong = (shade > max(SEEN, 0.45 * float(shade.max()))).astype(np.uint8)
    return cv2.morphologyEx(strong, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).astype(bool)
