"""What a process trains on at each step, drawn on its device for several steps at once.

A GPU takes as long to be told what to do with four patches as with four hundred: the more at once, the less it waits
for the program. `Batches` draws a few at a time, and shares them among processes.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch

from deconvdemo.training.data.resident import Resident
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.samples.sample import Sample

AT_ONCE = {"cuda": 256, "cpu": 32}  # patches: a GPU is busy with many
CACHED = 300_000  # pixels, at most, on a CPU: what its caches hold


@dataclass(frozen=True)
class Blocks:
    """Batches of one process, whose corpus is in its device's memory; a block is the batches of so many `steps`.

    A block's randomness depends on the seed, its number and how many patches it has: a resumed run draws the same.
    """

    recipe: Recipe
    resident: Resident
    device: str

    @property
    def steps(self) -> int:
        patches = AT_ONCE.get(self.device.partition(":")[0], AT_ONCE["cuda"])
        if self.device == "cpu":
            patches = min(patches, CACHED // (self.recipe.patch * self.recipe.scale) ** 2)
        return max(1, patches // self.recipe.batch)

    def following(self, step: int) -> Generator[Sample]:
        """The samples of `step` and of every step after it; close it when no more are needed.

        On a GPU the next block is drawn beside the training on this one, by a thread that gives the work its own
        stream. On a CPU the two would only take the cores from each other.
        """
        number, within = divmod(step, self.steps)
        if not self.device.startswith("cuda"):
            while True:
                yield from self._cut(self.block(number), within)
                number, within = number + 1, 0
        with ThreadPoolExecutor(1) as thread:
            beside = torch.cuda.Stream(self.device)
            coming = thread.submit(self._beside, beside, number)
            while True:
                block, drawn = coming.result()
                coming = thread.submit(self._beside, beside, number + 1)
                torch.cuda.current_stream(self.device).wait_event(drawn)
                for tensor in (block.inputs, block.target, block.weight):
                    if tensor is not None:  # its memory is used again only after the training that is to come
                        tensor.record_stream(torch.cuda.current_stream(self.device))
                yield from self._cut(block, within)
                number, within = number + 1, 0

    def block(self, number: int) -> Sample:
        """The patches of all of its steps, one step's after another's."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, number, self.steps])
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        clean = self.resident.crops(rng, self.steps * recipe.batch, recipe.patch * recipe.scale)
        return recipe.make_sample(clean, recipe.scale, rng, generator)

    def sample(self, step: int) -> Sample:
        """The batch of `step`, for which its whole block is drawn."""
        number, within = divmod(step, self.steps)
        return next(self._cut(self.block(number), within))

    def _beside(self, stream: torch.cuda.Stream, number: int) -> tuple[Sample, torch.cuda.Event]:
        with torch.cuda.stream(stream):
            block = self.block(number)
            drawn = torch.cuda.Event()
            drawn.record(stream)
        return block, drawn

    def _cut(self, block: Sample, first: int) -> Generator[Sample]:
        """The samples of a block's steps from its `first` on."""
        for step in range(first, self.steps):
            part = slice(step * self.recipe.batch, (step + 1) * self.recipe.batch)
            yield replace(
                block,
                inputs=block.inputs[part],
                target=block.target[part],
                weight=None if block.weight is None else block.weight[part],
            )
