"""Training batches of flagged photos: crops of pairs, as the task's network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from deconvdemo.degradations import Holes
from deconvdemo.degradations.holes import random_masks
from deconvdemo.errors import TrainingError
from deconvdemo.feedback.events.records import HOLES, NOISY, SELF, Pair
from deconvdemo.image.noise_estimation import estimate_sigma
from deconvdemo.tasks import STANDARD, TASKS
from deconvdemo.tasks.denoise import MAX_SIGMA, UNKNOWN_SIGMA
from deconvdemo.training.recipes import Recipe
from deconvdemo.training.samples.sample import Sample
from deconvdemo.units import GREY_LEVELS

ATTENTION = 4.0  # times as much a pixel counts where somebody painted that the result was bad
UNTOUCHED = 0.5  # of the photographs are shown to a denoiser's gate as they are: good photos are not the expert's


@dataclass(frozen=True)
class Flagged:
    """Pairs to draw crops from; `share` of the batches' groups are of them, the others of the corpus.

    The pairs may be on the disk: one at a time is looked at. `for_recipe` finds the places of the `chosen` ones among
    them, and `levels`, what a denoiser is told of each one's noise, in grey levels.
    """

    pairs: Sequence[Pair]
    share: float = 0.5
    name: str = ""  # the snapshot's
    chosen: tuple[int, ...] = ()
    levels: tuple[float, ...] = ()

    def for_recipe(self, recipe: Recipe) -> Flagged:
        """Those that a patch fits into. TrainingError if there is none."""
        fits, levels = [], []
        for place, pair in enumerate(self.pairs):
            if min(pair.observed.shape[:2]) >= _side(pair, recipe):
                fits.append(place)
                levels += [told_level(pair, recipe)] if _denoises(recipe) else []
        if not fits:
            raise TrainingError(
                f"no flagged photo holds a patch of {recipe.patch} pixels: choose a smaller --patch, or wait"
            )
        return replace(self, chosen=tuple(fits), levels=tuple(levels))

    def sample(self, recipe: Recipe, count: int, rng: np.random.Generator, device: str) -> Sample:
        """`count` crops of random pairs, turned and mirrored at random."""
        made = [self._one(recipe, rng, device) for _ in range(count)]
        weights = [one.weight if one.weight is not None else torch.ones_like(one.target[:, :1]) for one in made]
        return Sample(
            torch.cat([one.inputs for one in made]),
            torch.cat([one.target for one in made]),
            torch.cat(weights),
            torch.ones(count, device=device),
        )

    def untouched(self, clean: Tensor, rng: np.random.Generator) -> Sample | None:
        """Now and then, for a denoiser: photographs without noise and a flat field, whatever it is told of them."""
        if not self.levels or rng.random() >= UNTOUCHED:
            return None
        levels = rng.choice(self.levels, len(clean))
        tried = rng.random(len(clean)) < 0.5
        levels[tried] = rng.uniform(0, MAX_SIGMA, tried.sum())
        level = torch.from_numpy(levels).to(clean).view(-1, 1, 1, 1) / GREY_LEVELS
        shown = clean.clone()
        shown[0] = float(np.clip(rng.uniform(-0.2, 1.2), 0, 1))  # now and then black or white
        return Sample(torch.cat([shown, level.expand_as(clean[:, :1])], dim=1), shown)

    def _one(self, recipe: Recipe, rng: np.random.Generator, device: str) -> Sample:
        number = int(rng.integers(len(self.chosen)))
        pair = self.pairs[self.chosen[number]]
        side, scale = _side(pair, recipe), recipe.scale if pair.kind != SELF else 1
        top, left = _place(pair, side, rng)
        turn, mirror = int(rng.integers(4)), bool(rng.integers(2))

        def cut(pixels: np.ndarray, times: int) -> Tensor:
            part = pixels[top * times : (top + side) * times, left * times : (left + side) * times]
            part = np.rot90(part, turn)
            part = part[:, ::-1] if mirror else part
            values = torch.from_numpy(np.ascontiguousarray(part)).to(device)
            if part.ndim == 2:
                return values.float()[None, None]
            return values.permute(2, 0, 1)[None].float() / GREY_LEVELS

        observed = cut(pair.observed, 1)
        target = cut(pair.target, scale) if pair.target is not None else None
        region = cut(pair.region, scale) if pair.region is not None else None
        weight = None if region is None else 1 + (ATTENTION - 1) * region
        if pair.mask is not None:
            assert target is not None
            return _inpainting(recipe, pair, cut(pair.mask, 1), observed, target, weight, rng)
        if pair.kind == NOISY:
            return _neighbours(observed, estimate_sigma(pair.observed), weight, rng)
        assert target is not None
        if pair.kind == SELF:
            generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
            return recipe.make_sample(target, recipe.scale, rng, generator)
        if self.levels:
            return _denoising(observed, target, weight, self.levels[number], rng)
        shown = TASKS[recipe.task].inputs(observed, None, {"scale": recipe.scale, "variant": recipe.variant})
        return Sample(shown, target, weight)


def told_level(pair: Pair, recipe: Recipe) -> float:
    """What a denoiser is told of a photo's noise, in grey levels: what the visitor had told, or what it finds out."""
    task = TASKS[recipe.task]
    settled = task.settled(pair.observed, task.checked({"sigma": pair.sigma, "variant": recipe.variant or STANDARD}))
    return UNKNOWN_SIGMA if settled["sigma"] is None else settled["sigma"]


def _denoises(recipe: Recipe) -> bool:
    return TASKS[recipe.task].own_pair == NOISY


def _denoising(
    observed: Tensor, target: Tensor, weight: Tensor | None, told: float, rng: np.random.Generator
) -> Sample:
    """Half of the time with the level that was told then, else with another that somebody may try on such a photo."""
    rms = (observed - target).square().mean().sqrt()
    level = torch.full_like(rms, told / GREY_LEVELS) if rng.random() < 0.5 else rms * rng.uniform(0, 2)
    return Sample(torch.cat([observed, level.expand_as(observed[:, :1])], dim=1), target, weight)


def _inpainting(
    recipe: Recipe,
    pair: Pair,
    holes: Tensor,
    observed: Tensor,
    target: Tensor,
    weight: Tensor | None,
    rng: np.random.Generator,
) -> Sample:
    """The flag's holes where there is a target; else new ones, and the flag's own, of which nothing is known."""
    counts = holes
    if pair.kind == HOLES:
        cut = torch.from_numpy(random_masks(rng, 1, holes.shape[-1]))[:, None].to(holes)
        counts, holes = cut * (1 - holes), torch.maximum(cut, holes)
    seen = observed if pair.kind == HOLES else target
    inputs = TASKS[recipe.task].inputs(Holes(holes)(seen), holes, {"variant": recipe.variant})
    return Sample(inputs, target, counts if weight is None else counts * weight)


def _neighbours(noisy: Tensor, sigma: float, weight: Tensor | None, rng: np.random.Generator) -> Sample:
    """Two half-size copies of a noisy photo, whose pixels are neighbours: one is predicted from the other.

    Their noise is independent and their picture nearly the same, so that the best prediction is the clean one
    (Neighbor2Neighbor, Huang et al. 2021, without its regulariser: fine-tuning starts from a denoiser).
    """
    cells = torch.nn.functional.pixel_unshuffle(noisy, 2)
    count, channels, height, width = noisy.shape
    cells = cells.view(count, channels, 4, height // 2, width // 2)
    first = torch.from_numpy(rng.integers(0, 4, (height // 2, width // 2))).to(noisy.device)
    across = torch.from_numpy(rng.integers(0, 2, (height // 2, width // 2))).to(noisy.device)
    second = first ^ torch.where(across.bool(), 1, 2)  # the pixel beside it, or the one above or below
    picked = [
        cells.gather(2, which[None, None, None].expand(count, channels, 1, -1, -1)).squeeze(2)
        for which in (first, second)
    ]
    level = torch.full_like(picked[0][:, :1], sigma / GREY_LEVELS)
    smaller = None if weight is None else torch.nn.functional.max_pool2d(weight, 2)
    return Sample(torch.cat([picked[0], level], dim=1), picked[1], smaller)


def _side(pair: Pair, recipe: Recipe) -> int:
    """How much of the observed photo, in pixels a side, a patch is made of."""
    return {SELF: recipe.patch * recipe.scale, NOISY: recipe.patch * 2}.get(pair.kind, recipe.patch)


def _place(pair: Pair, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """The crop's corner: around a hole where there are holes to fill, and now and then around what was painted."""
    height, width = pair.observed.shape[:2]
    wanted = None
    if pair.mask is not None and pair.kind != HOLES:
        wanted = pair.mask
    elif pair.region is not None and pair.region.any() and pair.kind != SELF and rng.random() < 0.5:
        factor = pair.region.shape[0] // height
        wanted = pair.region[::factor, ::factor]
    if wanted is None:
        return int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    rows, columns = np.nonzero(wanted)
    chosen = rng.integers(len(rows))

    def around(at: int, length: int) -> int:
        return int(np.clip(at - rng.integers(side), 0, length - side))

    return around(rows[chosen], height), around(columns[chosen], width)
