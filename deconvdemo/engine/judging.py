"""Judging what harms a photo, by a small network that looks at some of its patches."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from deconvdemo.image.pixels import as_images
from deconvdemo.tasks.harm import Harm

PATCH = 96  # pixels: what the judge learned on
PATCHES = 24
CANDIDATES = 4 * PATCHES
LEAST = 40  # pixels: a smaller photo is mirrored until it is as large
EXPOSED = (4, 251)  # grey levels: beyond, the noise of a file is cut off


@torch.inference_mode()
def judge(network: nn.Module, pixels: np.ndarray, seen: np.ndarray | None = None) -> Harm:
    """What harms (H, W, C) `pixels` of any of Photo's dtypes, where they are `seen`; None: everywhere.

    The median over patches: a sky says nothing of sharpness, and a sign in the corner nothing of the rest.
    """
    patches = torch.cat([as_images(patch) for patch in _patches(pixels, seen)])
    if patches.shape[1] == 1:
        patches = patches.expand(-1, 3, -1, -1)
    level, white, jpeg, noise, blur = network(patches.clamp(0, 1)).float().median(dim=0).values.tolist()
    return Harm(
        level=max(2**level - 0.25, 0.0),
        noise=max(2**noise - 0.25, 0.0),
        white=1 / (1 + 2 ** (-white / np.log(2))),
        jpeg=1 / (1 + 2 ** (-jpeg / np.log(2))),
        blur=max(2**blur - 0.5, 0.0),
    )


def _patches(pixels: np.ndarray, seen: np.ndarray | None) -> list[np.ndarray]:
    """Some of its patches, those first whose pixels are seen and neither black nor white."""
    height, width = pixels.shape[:2]
    down, right = max(LEAST - height, 0), max(LEAST - width, 0)
    if down or right:
        pixels = np.pad(pixels, ((0, down), (0, right), (0, 0)), mode="symmetric")
        seen = None if seen is None else np.pad(seen, ((0, down), (0, right)), mode="symmetric")
        height, width = pixels.shape[:2]
    tall, wide = min(height, PATCH), min(width, PATCH)
    rng = np.random.default_rng(0)
    tops = rng.integers(0, height - tall + 1, CANDIDATES)
    lefts = rng.integers(0, width - wide + 1, CANDIDATES)
    places = list(dict.fromkeys(zip(tops.tolist(), lefts.tolist(), strict=True)))
    windows = [(slice(top, top + tall), slice(left, left + wide)) for top, left in places]
    shares = [_share(pixels[window], None if seen is None else seen[window]) for window in windows]
    best = np.argsort(-np.round(np.array(shares), 1), kind="stable")[:PATCHES]
    return [pixels[windows[number]] for number in best]


def _share(patch: np.ndarray, seen: np.ndarray | None) -> float:
    """Of pixels from which something can be seen."""
    low, high = (level / 255 * (np.iinfo(patch.dtype).max if patch.dtype.kind == "u" else 1) for level in EXPOSED)
    exposed = ((patch >= low) & (patch <= high)).any(axis=2)
    return float((exposed if seen is None else exposed & seen).mean())
