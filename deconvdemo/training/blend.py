"""Fine-tuned and served weights, mixed: most of what was learned, and hardly anything forgotten.

A fine-tuned network and the one it started from lie in one valley, and on the straight line between them what is new is
learned faster than what is old is lost (WiSE-FT, Wortsman et al. 2022). The share of the fine-tuned weights is the
largest at which photographs that it was not trained on, degraded as the network's own recipe does, are restored about
as well as before.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from deconvdemo.checkpoints import Checkpoint
from deconvdemo.metrics import GREY_LEVELS
from deconvdemo.training.corpus import Corpus
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.samples import Sample

SHARES = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
FORGETS = 0.03  # dB that these photographs may lose: somewhat less than what the gate lets pass
GROUPS, PATCHES = 16, 4  # what is judged by
APART = 10**9  # steps that no training reaches: their patches are drawn for this alone


def blended(served: Checkpoint, tuned: Checkpoint, recipe: Recipe, corpus: Corpus) -> tuple[float, dict[str, Tensor]]:
    """The share of `tuned`, and the mixed tensors. The smallest share, if even that forgets: the gate will tell."""
    samples = list(_samples(recipe, corpus.large_enough(recipe.patch * recipe.scale)))
    before = _psnr(served.network(), samples)
    network = tuned.network()
    for share in SHARES:
        tensors = {
            name: torch.lerp(served.tensors[name].float(), tensor.float(), share)
            for name, tensor in tuned.tensors.items()
        }
        network.load_state_dict(tensors)
        if float(np.mean(_psnr(network, samples) - before)) >= -FORGETS:
            break
    return share, tensors


def _samples(recipe: Recipe, corpus: Corpus) -> Iterator[Sample]:
    for number in range(GROUPS):
        rng = np.random.default_rng([recipe.seed, APART, number])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        crops = torch.from_numpy(corpus.crops(rng, PATCHES, recipe.patch * recipe.scale))
        clean = crops.permute(0, 3, 1, 2).float() / GREY_LEVELS
        yield recipe.make_sample(clean, recipe.scale, rng, generator)


def _psnr(network: nn.Module, samples: list[Sample]) -> np.ndarray:
    """In dB, of each patch, where its weight says."""
    found = []
    for sample in samples:
        with torch.inference_mode():
            errors = (network(sample.inputs).clamp(0, 1) - sample.target).square()
        weight = torch.ones_like(errors) if sample.weight is None else sample.weight.expand_as(errors)
        mean = (errors * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp(min=1)
        found.append(-10 * torch.log10(mean.clamp(min=1e-10)))
    return torch.cat(found).numpy()
