"""A corpus in a device's memory: every pixel at hand, so that patches are cut and turned by arithmetic on indices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deconvdemo.errors import TrainingError
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.samples.placing import turned_places
from deconvdemo.units import GREY_LEVELS

CHUNK = 1 << 24  # pixels that are copied at a time


@dataclass(frozen=True)
class Resident:
    """The images of a corpus on one device.

    `pixels` is (P, 4) uint8: three colours and a zero, so that a pixel is one number of 32 bits to whoever gathers
    them. `shapes` is each image's (H, W), `starts` its first pixel.
    """

    pixels: Tensor
    shapes: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, corpus: Corpus, device: str) -> Resident:
        """Raises TrainingError where the device has no room for it."""
        arrays = [array.reshape(-1, 3) for array in corpus.pixels]
        first = np.cumsum([0, *map(len, arrays)])
        try:
            pixels = torch.zeros((int(first[-1]), 4), dtype=torch.uint8, device=device)
        except RuntimeError as error:
            raise TrainingError(
                f"{4 * first[-1] / 1e9:.1f} GB of images do not fit into the memory of {device}: pack fewer"
            ) from error
        for begin, array in zip(first, arrays, strict=False):
            for at in range(0, len(array), CHUNK):
                piece = torch.from_numpy(np.array(array[at : at + CHUNK]))
                pixels[begin + at : begin + at + len(piece), :3] = piece.to(device)
        which, offsets = corpus.places.T
        return cls(pixels, corpus.shapes, first[which] + offsets // 3)

    def crops(self, rng: np.random.Generator, count: int, patch: int) -> Tensor:
        """(count, 3, patch, patch) in [0, 1]: random places, each pixel as likely, turned and mirrored."""
        area = self.shapes.prod(axis=1).astype(np.float64)
        numbers = rng.choice(len(area), size=count, p=area / area.sum())
        heights, widths = self.shapes[numbers].T
        tops, lefts = rng.integers(heights - patch + 1), rng.integers(widths - patch + 1)
        places = turned_places(rng, self.starts[numbers] + tops * widths + lefts, widths, patch, self.pixels)
        found = self.pixels.view(torch.int32).view(-1).index_select(0, places.view(-1))
        colours = found.view(torch.uint8).view(count, patch, patch, 4)[..., :3].permute(0, 3, 1, 2)
        return colours.to(torch.float32, memory_format=torch.contiguous_format).div_(GREY_LEVELS)
