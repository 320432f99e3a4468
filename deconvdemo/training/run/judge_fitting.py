"""Fitting the judge: the statistics of many patches once, then a perceptron on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.checkpoints.checkpoint import Header, save_checkpoint
from deconvdemo.checkpoints.header import today
from deconvdemo.errors import TrainingError
from deconvdemo.networks.harm_judge import JPEG, LEVELS, WHITE, HarmJudge, statistics
from deconvdemo.tasks.helpers import JUDGE
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.samples.judged import judged
from deconvdemo.units import GREY_LEVELS

PATCH = 224  # pixels
GROUP = 4  # patches that are harmed together
PATCHES = 10_000
HELD_OUT = 8  # one patch in so many is measured on
STEPS, BATCH, RATE, DECAY = 6000, 256, 2e-3, 3e-2
REDUCED = (0.5,)  # photographs made smaller are sharper, and free of what JPEG left in them
JITTER = 0.05  # of a standard deviation: statistics of another photo are never quite the same
NARROWEST = 0.05  # the least standard deviation that a statistic is taken to have


def train_judge(
    corpus: Corpus, file: Path, data: Sequence[str], patches: int = PATCHES, seed: int = 0
) -> dict[str, float]:
    """Writes weights for the judge, and gives what they reach on patches of the corpus that they were not fitted to."""
    found, facts = gathered(corpus.large_enough(PATCH), patches, seed)
    held_out = torch.arange(len(found)) % HELD_OUT == 0
    if not held_out.any() or held_out.all():
        raise TrainingError(f"{patches} patches are too few to fit the judge: give at least {2 * HELD_OUT}")
    network = fitted(found[~held_out], facts[~held_out], seed)
    measured = reached(network, found[held_out], facts[held_out])
    recipe = {"patches": len(found), "patch": PATCH, "steps": STEPS, "batch": BATCH, "rate": RATE, "seed": seed}
    header = Header("HarmJudge", network.config, JUDGE, data=[*data], recipe=recipe, measured=measured, created=today())
    save_checkpoint(file, header, network.state_dict(), torch.float16)
    return measured


def gathered(corpus: Corpus, patches: int, seed: int) -> tuple[Tensor, Tensor]:
    """(N, F) statistics and (N, 5) facts of harmed patches."""
    from tqdm import tqdm

    found, facts = [], []
    for group in tqdm(range(-(-patches // GROUP)), desc="gathering statistics", unit="group", mininterval=5):
        rng = np.random.default_rng([seed, group])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        clean = torch.from_numpy(corpus.crops(rng, GROUP, PATCH)).permute(0, 3, 1, 2).float() / GREY_LEVELS
        observed, told = judged(clean, rng, generator)
        found += [statistics(one) for one in observed]
        facts.append(told)
    return torch.stack(found), torch.cat(facts)


def fitted(found: Tensor, facts: Tensor, seed: int) -> HarmJudge:
    torch.manual_seed(seed)
    network = HarmJudge()
    network.mean.copy_(found.mean(0))
    network.spread.copy_(found.std(0).clamp(min=NARROWEST))
    seen, rng = network.standardised(found), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.head.parameters(), RATE, weight_decay=DECAY)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        batch = torch.randint(len(seen), (BATCH,), generator=rng)
        shaken = seen[batch] + JITTER * torch.randn(BATCH, seen.shape[1], generator=rng)
        loss = _loss(network.head(shaken), facts[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def _loss(told: Tensor, facts: Tensor) -> Tensor:
    levels = functional.smooth_l1_loss(told[:, LEVELS], facts[:, LEVELS], beta=0.3)
    kinds = functional.binary_cross_entropy_with_logits(told[:, [WHITE, JPEG]], facts[:, [WHITE, JPEG]])
    return levels + 0.5 * kinds


@torch.inference_mode()
def reached(network: HarmJudge, found: Tensor, facts: Tensor) -> dict[str, float]:
    """Shares that are told right, and the median factor by which the level is missed."""
    told = network.head(network.standardised(found))
    right = ((told > 0) == (facts > 0.5)).float().mean(0)
    missed = (told - facts)[:, LEVELS[0]].abs().median()
    return {
        "white noise told right": round(float(right[WHITE]), 4),
        "JPEG told right": round(float(right[JPEG]), 4),
        "level missed by a factor of": round(2 ** float(missed), 3),
    }
