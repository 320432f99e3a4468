"""The gate learns first, by itself: which photos are of the flagged kind, and which are as they ever were.

It is so small that it sees many times the patches that the expert does in the same time.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.training.data.batches import Batches
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.flagged import Flagged
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.run.fit import learning_rate

STEPS = 1200
BATCH = 16
RATE = 2e-3
DOUBT = 2.0  # times as much counts a gate that opens wrongly: in doubt, what served before goes on serving


def learn_gate(start: Checkpoint, recipe: Recipe, corpus: Corpus, flagged: Flagged, team: OneProcess) -> Checkpoint:
    """`start` with a gate that tells flagged photos from the corpus. The first process learns it for all."""
    gate = start.network().gate.to(team.device).requires_grad_(True)
    assert isinstance(gate, nn.Module)
    if team.is_first:
        steps = min(STEPS, 4 * recipe.steps)  # who only tries a few steps does not wait for the gate
        _learn(gate, replace(recipe, batch=BATCH), corpus, flagged, OneProcess(team.device), steps)
    learned = {name: value.detach() for name, value in gate.state_dict().items()}
    shared = {name: team.summed(value if team.is_first else torch.zeros_like(value)) for name, value in learned.items()}
    return replace(start, tensors={**start.tensors, **{f"gate.{name}": value.cpu() for name, value in shared.items()}})


def _learn(gate: nn.Module, recipe: Recipe, corpus: Corpus, flagged: Flagged, alone: OneProcess, steps: int) -> None:
    from tqdm import tqdm

    large_enough = corpus.large_enough(recipe.patch * recipe.scale)
    batches = Batches(recipe, large_enough, alone, flagged.for_recipe(recipe)).following(0)
    optimizer = torch.optim.Adam(gate.parameters(), betas=(0.9, 0.99))
    for step in tqdm(range(steps), desc="the gate learns", unit="step", mininterval=5):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(RATE, step, step / steps)
        sample = next(batches)
        assert sample.flagged is not None
        optimizer.zero_grad()
        gate_loss(gate(sample.inputs), sample.flagged).backward()
        optimizer.step()
    batches.close()


def gate_loss(logits: Tensor, flagged: Tensor) -> Tensor:
    """The mean cross entropy of (N, 1, h, w) logits against (N,) of 0 and 1; a wrongly opened gate counts more."""
    told = flagged.view(-1, 1, 1, 1).expand_as(logits)
    return functional.binary_cross_entropy_with_logits(logits, told, torch.where(told > 0, 1.0, DOUBT))
