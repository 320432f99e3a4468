"""Small recipes on a corpus of small pictures, trained in seconds; as a program, by several processes.

accelerate launch --multi_gpu --num_processes 2 tests/tiny_training.py inpaint PHOTOS CACHE OUT STEPS
"""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import tiny
from PIL import Image

from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.processes import processes
from deconvdemo.training.recipes import RECIPES, Recipe
from deconvdemo.training.run.fit import fit
from deconvdemo.training.run.plan import Budget, Run
from deconvdemo.training.run.writer import Output


def small(name: str, **changes) -> Recipe:
    """A bundled network's recipe with a tiny network, patch and batch."""
    recipe = RECIPES[name]
    config = {**recipe.config, **tiny.SIZES[recipe.network]}
    return replace(recipe, **{"config": config, "patch": 24, "batch": 4, "average": 0.9, **changes})


def photos(folder: Path) -> Path:
    """Three pictures of 160×160 in the folder."""
    for number in range(3):
        Image.fromarray(np.roll(tiny.picture(160, 160), 50 * number, axis=1)).save(folder / f"{number}.png")
    return folder


def trained(recipe: Recipe, corpus: Corpus, out: Path, steps: int, **options) -> Path:
    """`fit` in float32, silent, for a number of steps; `options` are those of `Run`, of `Output`, and `say`."""
    say = options.pop("say", lambda text: None)
    options = {"data": ["synthetic: CC0"], "bf16": False, **options}
    of_run = {one.name: options.pop(one.name) for one in fields(Run) if one.name in options}
    return fit(Run(recipe, corpus, Budget(steps=steps), **of_run), Output(out, **options), say)


def of_several(name: str) -> Recipe:
    """A recipe whose batch several processes can share; Muon's bf16 would make much of a last digit."""
    return small(name, batch=16, rate=0.02, optimizer="adam")


if __name__ == "__main__":
    name, folder, cache, out, steps = sys.argv[1:]
    team = processes("cpu")
    with team.one_first():
        corpus = Corpus.open([Path(folder)], Path(cache), say=lambda text: None)
    trained(of_several(name), corpus, Path(out), int(steps), team=team)
    team.close()
