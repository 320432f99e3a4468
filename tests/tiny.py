"""Small pictures and small untrained networks, so that the laws are tested in seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from deconvdemo.checkpoints.checkpoint import Checkpoint, Header, save_checkpoint
from deconvdemo.checkpoints.index import add_to_index
from deconvdemo.networks import NETWORKS
from deconvdemo.networks.harm_judge import HarmJudge
from deconvdemo.tasks import STANDARD, Task
from deconvdemo.tasks.harm import Harm
from deconvdemo.tasks.helpers import JUDGE, SCRATCHES
from deconvdemo.training.recipes import RECIPES, Recipe
from deconvdemo.training.samples.sample import noisy

# a network that is not listed here is tested at its default size
SIZES: dict[str, dict] = {
    "DeconvUNet": {"widths": [8, 16], "blocks": 1},
    "DeconvSR": {"channels": 8, "depth": 3},
    "GatedExpert": {
        "network": "DeconvUNet",
        "base": {"widths": [8, 16], "blocks": 1},
        "expert": {"widths": [4, 8], "blocks": 1},
    },
    "DeconvMask": {"widths": [8, 16], "blocks": 1},
    "HarmJudge": {"hidden": 4},
    "Decoder": {"latent": 4, "widths": [8, 8, 4]},
}
NOT_SHOWN_PHOTOS = ("HarmJudge", "Decoder")  # the one gives a few numbers for a whole photo, the other is given noise
# how much the correction is scaled, so that it is some 15 grey levels strong: to be seen, and seldom to be clipped
_CORRECTION = {"DeconvUNet": ("tail.weight", 4.0), "DeconvSR": ("upsample.weight", 4.0)}


def network(name: str, seed: int = 0, **config) -> nn.Module:
    """An untrained network of NETWORKS whose correction is plain to see, without gradients."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = NETWORKS[name](**{**SIZES.get(name, {}), **config})
    which, factor = _CORRECTION.get(name, ("", 1.0))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor_name, tensor in built.named_parameters():
            if tensor.ndim > 1 and not tensor.any():  # a block that starts as the identity would hide its own faults
                tensor.normal_(0, 0.1 * tensor[0].numel() ** -0.5, generator=generator)
            if tensor_name == which:
                tensor.mul_(factor)
    return built.eval().requires_grad_(False)


def weights_file(folder: Path, task: Task, choices: Mapping[str, Any]) -> str:
    """Puts weights for a scale and variant of a task into the folder, in its index.json, too; gives their name."""
    standard = {**choices, "variant": STANDARD}
    # a variant without a recipe of its own is as large as the standard one
    recipe = RECIPES.get(task.weights(choices)) or RECIPES.get(task.weights(standard)) or _unknown(task)
    config = {**recipe.config, **SIZES.get(recipe.network, {})}
    variant = "" if choices["variant"] == STANDARD else choices["variant"]
    file = folder / f"{task.weights(choices)}.safetensors"
    # variants differ: a result tells which of them made it
    tensors = network(recipe.network, seed=sum(map(ord, variant)), **config).state_dict()
    save_checkpoint(file, Header(recipe.network, config, task.name, recipe.scale, variant), tensors)
    return add_to_index(file)


def judge_of(folder: Path, harm: Harm) -> str:
    """Puts a judge into the folder that finds the same in every photo. Gives its name."""
    network = HarmJudge(1)
    network.requires_grad_(False)
    logits = [math.log(one / (1 - one)) for one in (harm.white, harm.jpeg)]
    level, noise, blur = (math.log2(amount) for amount in (harm.level + 0.25, harm.noise + 0.25, harm.blur + 0.5))
    network.head[-1].weight.zero_()
    network.head[-1].bias.copy_(torch.tensor([level, *logits, noise, blur]))
    file = folder / f"{JUDGE}.safetensors"
    save_checkpoint(file, Header("HarmJudge", network.config, JUDGE), network.state_dict(), dtype=None)
    return add_to_index(file)


def finder_of_white(folder: Path) -> str:
    """Puts weights for `scratches` into the folder: what is brighter than nine tenths is damage. Gives their name."""
    config, steep = {"widths": [1], "blocks": 0}, 40.0
    tensors = {name: torch.zeros_like(one) for name, one in NETWORKS["DeconvMask"](**config).state_dict().items()}
    tensors["head.weight"][0, :3] = 1 / 12  # the mean of 2×2 pixels in three channels, less a half
    tensors["tail.weight"][0, 0, 2:4, 2:4] = steep
    tensors["tail.bias"][:] = -0.4 * steep
    file = folder / "scratches.safetensors"
    save_checkpoint(file, Header("DeconvMask", config, SCRATCHES.name), tensors)
    return add_to_index(file)


def _unknown(task: Task) -> Recipe:
    """For a task that nobody trains yet: a network that sees what the task shows it."""
    controls = {control.name: control.default for control in task.controls}
    shown = task.inputs(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8) if task.needs_mask else None, controls)
    return Recipe(task.name, "DeconvUNet", {"side_channels": shown.shape[1] - 3}, noisy)


def shaken(checkpoint: Checkpoint, file: Path, amount: float, **recipe) -> Path:
    """The same weights with noise in them, as a file; `recipe` changes what its header says."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: value.float() * (1 + amount * torch.randn(value.shape, generator=generator))
        for name, value in sorted(checkpoint.tensors.items())  # a file tells them in any order
    }
    header = replace(checkpoint.header, recipe={**checkpoint.header.recipe, **recipe}, measured={})
    file.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(file, header, tensors)
    return file


def noisy_and_clean(number: int, side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A picture with white noise of sigma 25, and without."""
    clean = np.roll(picture(side, side), 11 * number, axis=1)
    noise = np.random.default_rng(number).normal(0, 25, clean.shape)
    return np.clip(clean + noise, 0, 255).astype(np.uint8), clean


@cache
def _scene() -> np.ndarray:
    """(512, 512, 3) float64 in [0, 1]: lines of every direction and width, edges, and a little grain."""
    y, x = np.mgrid[0:512, 0:512] / 512
    zones = np.stack([np.sin(60 * (x + shift) ** 2 + 40 * y * y * (1 - shift)) for shift in (0, 0.3, 0.6)], axis=2)
    edges = ((x * 7).astype(int) + (y * 5).astype(int))[..., None] % 2
    grain = np.random.default_rng(0).normal(size=(512, 512, 3))
    return np.clip(0.5 + 0.2 * zones + 0.2 * (edges - 0.5) + 0.02 * grain, 0, 1)


def picture(height: int, width: int, channels: int = 3, dtype=np.uint8) -> np.ndarray:
    """(height, width, channels), up to 512×512; a fourth (or second) channel is an alpha with soft edges."""
    unit = _scene()[:height, :width]
    if channels in (2, 4):
        alpha = np.linspace(0, 1, width)[None, :, None].repeat(height, axis=0)
        unit = np.concatenate([unit[..., : channels - 1], alpha], axis=2)
    unit = unit[..., :channels]
    if np.dtype(dtype).kind == "f":
        return unit.astype(dtype)
    return np.round(unit * np.iinfo(dtype).max).astype(dtype)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, C) uint8 → (1, C, H, W) float32 in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
