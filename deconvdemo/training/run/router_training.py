"""The gate learns first, by itself: which photos are of the flagged kind, and which are as they ever were.

It is so small that it sees many times the patches that the expert does in the same time. Where it opens wrongly a photo
is harmed, so what it opens on most is looked for in the whole corpus, again and again, and learned from; and at the
end it is shut as far as it takes for no photo of the corpus to open it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.networks.gated_expert import SHUT
from deconvdemo.training.data.batches import Batches
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.flagged import Flagged
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.run.fit import learning_rate
from deconvdemo.training.run.hard_negatives import Search, hardest, highest_of

STEPS = 1200
BATCH = 16
RATE = 2e-3
DOUBT = 2.0  # times as much counts a gate that opens wrongly: in doubt, what served before goes on serving
SEARCHES = (0.3, 0.5, 0.7, 0.85)  # of the steps, after which the photos that open it most are looked for
HARD = 96  # of the patches that it opens on most are kept to learn from
MIXED = 8  # of them are in every batch, beside the others
SURE = 0.5  # below SHUT must lie what it thinks of any photo of the corpus
UNSEEN = 5  # one photo of so many is kept from the gate, to shut it by; of a corpus that has as many for each
FEWEST_UNSEEN = 5


@dataclass(frozen=True)
class Opening:
    """How the gate does on what is not flagged, and on what is."""

    photos: int  # of the corpus that it was shut by, and drawn pictures
    unseen: int  # of them it had not learned from
    shut_by: float  # logits
    flagged: float  # the share of the flagged patches that it still opens for

    def told(self) -> str:
        """In a sentence."""
        share = 100 * self.flagged
        words = f"the gate opens for {share:.0f} % of what is flagged, and for none of {self.photos} others"
        if self.flagged >= 0.05:
            return words
        return f"{words}: something among them looks like what is flagged, so the expert will hardly be asked"


def learn_gate(
    start: Checkpoint,
    recipe: Recipe,
    corpus: Corpus,
    flagged: Flagged,
    team: OneProcess,
    say: Callable[[str], None] = lambda text: None,
) -> Checkpoint:
    """`start` with a gate that tells flagged photos from the corpus. The first process learns it for all.

    `say` is told how it does.
    """
    gate = start.network().gate.to(team.device).requires_grad_(True)
    assert isinstance(gate, nn.Module)
    if team.is_first:
        steps = min(STEPS, 4 * recipe.steps)  # who only tries a few steps does not wait for the gate
        say(_learn(gate, replace(recipe, batch=BATCH), corpus, flagged, OneProcess(team.device), steps).told())
    learned = {name: value.detach() for name, value in gate.state_dict().items()}
    shared = {name: team.summed(value if team.is_first else torch.zeros_like(value)) for name, value in learned.items()}
    return replace(start, tensors={**start.tensors, **{f"gate.{name}": value.cpu() for name, value in shared.items()}})


def _learn(gate: nn.Module, recipe: Recipe, corpus: Corpus, flagged: Flagged, alone: OneProcess, steps: int) -> Opening:
    from tqdm import tqdm

    flagged = flagged.for_recipe(recipe)
    seen, unseen = _parted(corpus.large_enough(recipe.patch * recipe.scale))
    search = Search(recipe, flagged, alone.device, most=4 * steps)
    batches = Batches(recipe, seen, alone, flagged).following(0)
    optimizer = torch.optim.Adam(gate.parameters(), betas=(0.9, 0.99))
    when = {int(share * steps): number for number, share in enumerate(SEARCHES)}
    picks = torch.Generator().manual_seed(recipe.seed)
    hard: Tensor | None = None
    for step in tqdm(range(steps), desc="the gate learns", unit="step", mininterval=5):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(RATE, step, step / steps)
        if step in when:
            hard = hardest(gate, search.patches(seen, when[step]), HARD, hard)
        sample = next(batches)
        assert sample.flagged is not None
        inputs, told = sample.inputs, sample.flagged
        if hard is not None:
            picked = hard[torch.randint(len(hard), (MIXED,), generator=picks).to(hard.device)]
            inputs, told = torch.cat([inputs, picked]), torch.cat([told, told.new_zeros(MIXED)])
        optimizer.zero_grad()
        gate_loss(gate(inputs), told).backward()
        optimizer.step()
    batches.close()
    return shut(gate, search, seen, unseen)


def shut(gate: nn.Module, search: Search, seen: Corpus, unseen: Corpus | None) -> Opening:
    """Shuts the gate as far as it takes for nothing to open it that is not flagged."""
    layers = gate.get_submodule("layers")
    assert isinstance(layers, nn.Sequential)
    last = layers[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    others = [seen] if unseen is None else [seen, unseen]
    highest = max(highest_of(gate, search.patches(one, len(SEARCHES))) for one in others)
    shut_by = max(0.0, highest - (SHUT - SURE))
    with torch.no_grad():
        last.bias -= shut_by
        logits = torch.cat([gate(search.of_flags(number)).flatten(1).amax(1) for number in range(8)])
    photos = sum(search.photos(one) for one in others)
    return Opening(photos, search.photos(unseen) if unseen else 0, shut_by, float((logits > -SHUT).double().mean()))


def _parted(corpus: Corpus) -> tuple[Corpus, Corpus | None]:
    """What the gate learns from, and what it never sees until it is shut by it: every fifth photo of many."""
    numbers = range(len(corpus))
    kept = numbers[UNSEEN - 1 :: UNSEEN]
    if len(kept) < FEWEST_UNSEEN:
        return corpus, None
    return corpus.of([number for number in numbers if number not in kept]), corpus.of(kept)


def gate_loss(logits: Tensor, flagged: Tensor) -> Tensor:
    """The mean cross entropy of (N, 1, h, w) logits against (N,) of 0 and 1; a wrongly opened gate counts more."""
    told = flagged.view(-1, 1, 1, 1).expand_as(logits)
    return functional.binary_cross_entropy_with_logits(logits, told, torch.where(told > 0, 1.0, DOUBT))
