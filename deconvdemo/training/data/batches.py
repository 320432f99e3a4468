"""What a process trains on at each step: its share of a batch that is the same however many processes there are."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch

from deconvdemo.errors import TrainingError
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.flagged import Flagged
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.samples.sample import Sample
from deconvdemo.units import GREY_LEVELS

# patches that are drawn and degraded together: the unit in which a batch is shared. With fewer, more processes could
# share a small batch, but a GPU would take longer to be told what to do than to do it
GROUP = 4


@dataclass(frozen=True)
class Batches:
    """The share of process `team.number` in every batch.

    A group's randomness depends on the seed, the step and its place in the batch alone: a resumed run and another
    number of processes draw the same patches.
    """

    recipe: Recipe
    corpus: Corpus
    team: OneProcess
    flagged: Flagged | None = None  # photos that people flagged, for some of the groups

    def __post_init__(self) -> None:
        groups, count = -(-self.recipe.batch // GROUP), self.team.count
        if groups % count:
            raise TrainingError(
                f"a batch of {self.recipe.batch} cannot be shared by {count} processes: "
                f"make --batch a multiple of {GROUP * count}"
            )

    def following(self, step: int) -> Generator[Sample]:
        """The samples of `step` and of every step after it; close it when no more are needed.

        For a GPU the next one is prepared in a thread while the network trains on this one. On a CPU the two would
        only take the cores from each other.
        """
        if not self.team.device.startswith("cuda"):
            while True:
                yield self.sample(step)
                step += 1
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(self.sample, step)
            while True:
                sample, step = coming.result(), step + 1
                coming = thread.submit(self.sample, step)
                yield sample

    def sample(self, step: int) -> Sample:
        """This process's share of the batch of `step`, on its device."""
        places = range(0, self.recipe.batch, GROUP)
        share = len(places) // self.team.count
        mine = places[share * self.team.number : share * (self.team.number + 1)]
        groups = [self._group(step, place, min(GROUP, self.recipe.batch - place)) for place in mine]
        if len(groups) == 1:
            return groups[0]
        weighted = any(group.weight is not None for group in groups)
        weights = [torch.ones_like(one.target[:, :1]) if one.weight is None else one.weight for one in groups]
        flagged = [group.flagged for group in groups if group.flagged is not None]
        return Sample(
            torch.cat([group.inputs for group in groups]),
            torch.cat([group.target for group in groups]),
            torch.cat(weights) if weighted else None,
            torch.cat(flagged) if flagged else None,
        )

    def _group(self, step: int, place: int, count: int) -> Sample:
        recipe, device = self.recipe, self.team.device
        rng = np.random.default_rng([recipe.seed, step, place])
        lot = np.random.default_rng([recipe.seed, step, place, 1])  # the corpus is drawn from as without flags
        if self.flagged and lot.random() < self.flagged.share:
            return self.flagged.sample(recipe, count, lot, device)
        generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
        crops = torch.from_numpy(self.corpus.crops(rng, count, recipe.patch * recipe.scale))
        if device.startswith("cuda"):
            crops = crops.pin_memory()  # the copy goes on while the processor prepares more
        clean = crops.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / GREY_LEVELS
        if not self.flagged:
            return recipe.make_sample(clean, recipe.scale, rng, generator)
        sample = self.flagged.untouched(clean, lot) or recipe.make_sample(clean, recipe.scale, rng, generator)
        return replace(sample, flagged=torch.zeros(count, device=device))
