"""Finding what is damaged in a photo: the network's probabilities, on a smaller copy of a large photo, as a mask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from torch import nn

from deconvdemo.engine.admission import leaving, still_wanted
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.tiles import Tile, plan, window_of
from deconvdemo.engine.worker import Share, compute
from deconvdemo.image.alpha import visible, visible_colours
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import as_images, eight_bit_rgb

LONGEST = 1500  # pixels of the longer side of what is looked at: marks of a larger scan are wider, too
TILE = 1024  # pixels, as where photos are restored
# log-odds at which sensitivity 1 and 0 mark: probabilities of 0.45 and 0.99. Between them, at 0.9, a clean photo has
# few marks, and most of what can be found is found
FAINTEST, SUREST = -0.2, 4.6
MARGIN = 1  # pixel of the looked-at copy, around what was found: a mark's soft edge is to be filled in, too


@dataclass(frozen=True)
class Found:
    """What was found in a photo."""

    mask: np.ndarray  # (H, W) bool, of the photo's size

    @property
    def share(self) -> float:
        """Of the photo, in [0, 1]."""
        return float(self.mask.mean())

    def sentence(self) -> str:
        """For a person, without its full stop."""
        if not self.mask.any():
            return "No scratches were found: raise the sensitivity, or paint over what is to be filled in"
        percent = f"{100 * self.share:.1f}" if self.share >= 0.001 else "Under 0.1"
        return f"{percent} % of the photo is marked as scratches, dust or stains: change what is wrong, then fill it in"


def find(photo: Photo, network: nn.Module, compute_on: Compute, sensitivity: float) -> Found:
    """Marks what is damaged with a probability that falls with `sensitivity`. What nobody sees is never marked."""
    seen = visible(photo.alpha)
    pixels = photo.pixels if seen is None else visible_colours(photo.pixels, seen, ~seen)
    likely = probabilities(_smaller(eight_bit_rgb(pixels)), network, compute_on)
    odds = SUREST - (SUREST - FAINTEST) * sensitivity
    marked = likely > 1 / (1 + math.exp(-odds))
    grown = cv2.dilate(marked.astype(np.uint8) * 255, np.ones((2 * MARGIN + 1,) * 2, np.uint8))
    mask = cv2.resize(grown, (photo.width, photo.height), interpolation=cv2.INTER_LINEAR) > 127
    return Found(mask if seen is None else mask & seen)


def probabilities(pixels: np.ndarray, network: nn.Module, compute_on: Compute) -> np.ndarray:
    """(H, W, 3) uint8 → (H, W) float32 in [0, 1], tile by tile on the compute thread."""
    height, width = pixels.shape[:2]
    result, share = np.empty((height, width), np.float32), Share(leaving())
    for tile in plan(height, width, TILE, int(network.radius), int(network.stride)):  # type: ignore[arg-type]
        still_wanted()
        result[tile.placed(1)] = compute(partial(_of_tile, pixels, tile, network, compute_on), share)
    return result


@torch.inference_mode()
def _of_tile(pixels: np.ndarray, tile: Tile, network: nn.Module, compute_on: Compute) -> np.ndarray:
    with compute_on.autocast():
        logits = network(compute_on.images(as_images(window_of(pixels, tile))))
    return logits.float().sigmoid().cpu().numpy()[0, 0][tile.kept(1)]


def _smaller(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    factor = LONGEST / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
