"""Judging what harms a photo, by a small network that looks at some of it."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from deconvdemo.engine.worker import compute
from deconvdemo.image.alpha import visible
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import as_images
from deconvdemo.tasks.harm import Harm

MOST = 2000  # pixels of a side: the middle of a larger photo says enough


class Judgements:
    """What harms the photos that are open: a visit asks when a photo is opened, and at each restoration of it."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Photo, tuple[nn.Module, Harm]] = WeakKeyDictionary()

    def of(self, photo: Photo, network: nn.Module) -> Harm:
        known = self._known.get(photo)
        if known and known[0] is network:
            return known[1]
        told = compute(lambda: judge(network, photo.pixels, visible(photo.alpha)))
        harm = replace(told, quality=photo.quality)
        self._known[photo] = network, harm
        return harm


@torch.inference_mode()
def judge(network: nn.Module, pixels: np.ndarray, seen: np.ndarray | None = None) -> Harm:
    """What harms (H, W, C) `pixels` of any of Photo's dtypes, where they are `seen`; None: everywhere."""
    height, width = pixels.shape[:2]
    top, left = max(0, height - MOST) // 16 * 8, max(0, width - MOST) // 16 * 8  # on JPEG's grid, as the photo's corner
    window = slice(top, top + MOST), slice(left, left + MOST)
    image = as_images(pixels[window]).clamp(0, 1).expand(-1, 3, -1, -1)
    if seen is not None:  # black has no vote
        image = image * torch.from_numpy(seen[window].astype(np.float32))
    level, white, jpeg, noise, blur = network(image)[0, :, 0, 0].float()
    return Harm(
        level=_amount(level, 0.25),
        noise=_amount(noise, 0.25),
        white=float(white.sigmoid()),
        jpeg=float(jpeg.sigmoid()),
        blur=_amount(blur, 0.5),
    )


def _amount(told: Tensor, least: float) -> float:
    """From a logarithm to the base of 2 that starts at `least`."""
    return max(float(told.exp2()) - least, 0.0)
