"""What the judge learns from: files as people's photos are, and what harms each."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from deconvdemo.degradations import FadedPrint, GaussianBlur, quantised
from deconvdemo.training.samples.wild import rms, take
from deconvdemo.units import GREY_LEVELS

GOOD = 0.3  # share of good photos: what is to be left alone is as hard to tell as what is not
SOFT, BLURS = 0.2, (0.8, 3.0)  # share of soft photos, and sigma in pixels
SEEN = 0.7  # grey levels: less white noise is none
GREY = 0.2  # share of photos without colour: scans, and old ones
TRACES = 0.8  # grey levels: what JPEG moves less is not seen


def judged(clean: Tensor, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(N, 3, H, W) files, and (N, 5): what HarmJudge should give for each."""
    blur = torch.zeros(len(clean), 1, 1, 1)
    soft = rng.uniform(size=len(clean)) < SOFT
    blur[soft] = torch.from_numpy(rng.uniform(*BLURS, (int(soft.sum()), 1, 1, 1))).to(blur)
    if soft.any():
        clean = clean.clone()
        clean[soft] = GaussianBlur(blur[soft])(clean[soft], generator)
    taken = take(quantised(clean), rng, generator, GOOD)
    colourless = FadedPrint(saturation=0.0, tone=torch.ones(1, 3, 1, 1))
    grey = torch.from_numpy(rng.uniform(size=len(clean)) < GREY).view(-1, 1, 1, 1)
    observed, target = (torch.where(grey, colourless(one), one) for one in (taken.observed, taken.target))
    observed = quantised(observed)
    disturbed = rms(observed - target)
    # without colour there is as much less of each part as there is of all
    left = torch.where(grey, disturbed / rms(taken.observed - taken.target).clamp(min=1e-6), 1.0).clamp(max=1.0)
    level, noise, jpeg = (GREY_LEVELS * one for one in (disturbed, taken.noise * left, taken.jpeg * left))
    white = taken.white * (noise > SEEN)
    facts = [(level + 0.25).log2(), white, (jpeg > TRACES).float(), (noise + 0.25).log2(), (blur + 0.5).log2()]
    return observed, torch.cat(facts, 1).flatten(1)
