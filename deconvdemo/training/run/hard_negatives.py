"""Hard negatives, found by search (Sung & Poggio 1998): patches of nothing flagged that a gate opens for most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from deconvdemo.image.drawn import KINDS, drawn
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.flagged import Flagged
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.samples.sample import Sample
from deconvdemo.units import GREY_LEVELS

MOST = 4096  # patches of a search
TOGETHER = 16  # patches that are degraded and looked at together
DRAWN = 4  # pictures of each kind that is drawn, in every search; the gate of `promote` judges by others
STREAM = 17  # sets these random numbers apart from those of training


@dataclass(frozen=True)
class Search:
    """Goes through what is not flagged, as the recipe degrades it and, for denoisers, as it is."""

    recipe: Recipe
    flagged: Flagged
    device: str
    most: int = MOST

    def patches(self, corpus: Corpus, number: int) -> Iterator[Tensor]:
        """(N, C, h, w) of inputs: of each photo its share, and drawn pictures. Each `number` has its own places."""
        rng = np.random.default_rng([self.recipe.seed, STREAM, number])
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        side = self.recipe.patch * self.recipe.scale
        places = self._places(corpus, rng)
        for begin in range(0, len(places), TOGETHER):
            crops = np.stack([_crop(corpus, one, side, rng) for one in places[begin : begin + TOGETHER]])
            yield self._shown(crops, rng, generator).inputs
        for _ in range(DRAWN):
            for begin in range(0, len(KINDS), TOGETHER):
                kinds = [*KINDS][begin : begin + TOGETHER]
                yield self._shown(np.stack([drawn(kind, rng, side, side) for kind in kinds]), rng, generator).inputs

    def photos(self, corpus: Corpus) -> int:
        """How many photos, and drawn pictures, a search looks at."""
        return min(len(corpus), self._most) + DRAWN * len(KINDS)

    def of_flags(self, number: int) -> Tensor:
        """Inputs of flagged patches."""
        rng = np.random.default_rng([self.recipe.seed, STREAM, number, 1])
        return self.flagged.sample(self.recipe, TOGETHER, rng, self.device).inputs

    @property
    def _most(self) -> int:
        return min(MOST, self.most)

    def _places(self, corpus: Corpus, rng: np.random.Generator) -> list[int]:
        """Photos' numbers, each as often as it holds patches: all of it where there is time, and each at least once."""
        held = np.maximum(1, corpus.shapes.prod(axis=1) // (self.recipe.patch * self.recipe.scale) ** 2)
        share = min(1.0, self._most / held.sum())
        times = np.maximum(1, np.round(held * share)).astype(int)
        every = rng.permutation(np.arange(len(corpus)))[: self._most]
        return [int(one) for one in every for _ in range(times[one])]

    def _shown(self, crops: np.ndarray, rng: np.random.Generator, generator: torch.Generator) -> Sample:
        clean = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2).float() / GREY_LEVELS
        untouched = self.flagged.untouched(clean, rng)
        return untouched or self.recipe.make_sample(clean, self.recipe.scale, rng, generator)


def hardest(gate: nn.Module, patches: Iterable[Tensor], count: int, before: Tensor | None = None) -> Tensor:
    """The `count` patches, of these and those of `before`, whose highest logit is highest."""
    kept = [] if before is None else [before]
    kept += list(_kept(gate, patches, count))
    every = torch.cat(kept)
    return every[_highest(gate, every).topk(min(count, len(every))).indices]


def highest_of(gate: nn.Module, patches: Iterable[Tensor]) -> float:
    """The highest logit of all."""
    return max(float(_highest(gate, inputs).max()) for inputs in patches)


def _kept(gate: nn.Module, patches: Iterable[Tensor], count: int) -> Iterator[Tensor]:
    """Of each lot the quarter that opens most: more than `count` of them are seldom in few lots."""
    for inputs in patches:
        yield inputs[_highest(gate, inputs).topk(min(count, max(1, len(inputs) // 4))).indices]


def _highest(gate: nn.Module, inputs: Tensor) -> Tensor:
    """(N,): each patch's highest logit."""
    with torch.inference_mode():
        found = [gate(part).flatten(1).amax(1) for part in inputs.split(TOGETHER)]
    return torch.cat(found)


def _crop(corpus: Corpus, number: int, side: int, rng: np.random.Generator) -> np.ndarray:
    height, width = corpus.shapes[number]
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    return corpus.image(number)[top : top + side, left : left + side]
