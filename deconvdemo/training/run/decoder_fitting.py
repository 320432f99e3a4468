"""Training the decoder: pictures of noise whose patches, on every level of a pyramid, are distributed as photos' are.

No adversary is trained, and no noise belongs to a photo: batches of both are compared by sliced Wasserstein distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from deconvdemo.checkpoints.checkpoint import Header, save_checkpoint
from deconvdemo.checkpoints.file import write_file
from deconvdemo.checkpoints.header import today
from deconvdemo.errors import TrainingError
from deconvdemo.networks.decoder import Decoder
from deconvdemo.tasks.helpers import GENERATE
from deconvdemo.training.run.patch_loss import SIDES, Directions, distance, pyramid, window
from deconvdemo.units import GREY_LEVELS

STEPS, BATCH, DIRECTIONS, RATE, WARM_UP, LEAST = 800, 16, 32, 2e-3, 20, 0.05
KEEP_EVERY = 50  # steps between two states on disk
AVERAGED = 0.02  # of each step's weights in their running mean, which is what is kept
GROWING = 0.5  # how much the smaller pictures on the way count beside the last one
FIRST = 512  # crops whose patches say along which directions to look

Say = Callable[[str], None]


def train_decoder(
    crops: np.ndarray,
    file: Path,
    data: Sequence[str],
    say: Say = print,
    steps: int = STEPS,
    seed: int = 0,
    config: dict[str, Any] | None = None,
    measure: Callable[[Decoder], dict[str, float]] = lambda network: {},
) -> dict[str, float]:
    """Writes weights for the decoder; goes on from FILE.state.safetensors where a run was stopped."""
    torch.manual_seed(seed)
    network = Decoder(**(config or {}))
    mean = Decoder(**(config or {}))
    mean.load_state_dict(network.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), RATE, betas=(0.8, 0.99))
    state = file.with_suffix(".state.safetensors")
    begun = _resumed(state, network, mean, optimizer) if state.exists() else 0
    real = torch.from_numpy(crops).permute(0, 3, 1, 2)
    first = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))[:FIRST]
    directions = {side: Directions.of(one) for side, one in pyramid(real[first].float() / GREY_LEVELS).items()}
    for step in range(begun, steps):
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, steps)
        rng = torch.Generator().manual_seed(seed * 1_000_003 + step)  # a resumed run draws what the other would have
        loss = _loss(network, real, directions, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _average(mean, network, step)
        if (step + 1) % KEEP_EVERY == 0:
            say(f"step {step + 1} of {steps}: {float(loss.detach()):.3f}")
            _keep(state, network, mean, optimizer, step + 1)
    measured = measure(mean.eval())
    recipe = {
        "steps": steps, "batch": BATCH, "directions": DIRECTIONS, "rate": RATE, "optimizer": "adam", "seed": seed,
        "loss": "sliced Wasserstein of patches", "crops": len(real),
    }  # fmt: skip
    sizes = {"latent": mean.latent, "widths": list(mean.widths)}
    header = Header("Decoder", sizes, GENERATE, data=[*data], recipe=recipe, measured=measured, created=today())
    save_checkpoint(file, header, mean.state_dict(), torch.float16)
    state.unlink(missing_ok=True)
    return measured


def _loss(network: Decoder, real: Tensor, directions: dict[int, Directions], rng: torch.Generator) -> Tensor:
    chosen = real[torch.randint(len(real), (BATCH,), generator=rng)].float() / GREY_LEVELS
    mirrored = torch.rand(BATCH, generator=rng) < 0.5
    chosen = torch.where(mirrored[:, None, None, None], chosen.flip(-1), chosen)
    levels = network.levels(network.noise(BATCH, rng))
    wanted, made = pyramid(chosen), pyramid(levels[-1])
    grown = {one.shape[-1]: one for one in levels[:-1]}
    total = torch.zeros(())
    for side in SIDES:
        kernels = directions[side].drawn(DIRECTIONS, rng)
        target = window(wanted[side], rng)
        total = total + distance(window(made[side], rng), target, kernels, rng)
        if side in grown:
            total = total + GROWING * distance(window(grown[side], rng), target, kernels, rng)
    return total


def _rate(step: int, steps: int) -> float:
    return RATE * min(1.0, (step + 1) / WARM_UP) * (LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * step / steps)))


@torch.no_grad()
def _average(mean: Decoder, network: Decoder, step: int) -> None:
    for kept, now in zip(mean.parameters(), network.parameters(), strict=True):
        kept.lerp_(now, max(AVERAGED, 1 / (step + 1)))


def _keep(file: Path, network: Decoder, mean: Decoder, optimizer: torch.optim.Optimizer, step: int) -> None:
    moments = {
        f"moment.{number}.{name}": value
        for number, one in optimizer.state_dict()["state"].items()
        for name, value in one.items()
    }
    tensors = {
        **{f"network.{name}": value for name, value in network.state_dict().items()},
        **{f"mean.{name}": value for name, value in mean.state_dict().items()},
        **moments,
    }
    write_file(file, safetensors.torch.save(tensors, {"step": str(step)}))


def _resumed(file: Path, network: Decoder, mean: Decoder, optimizer: torch.optim.Optimizer) -> int:
    """The step to go on from."""
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            step = int((opened.metadata() or {})["step"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (it is no dictionary)
        for prefix, one in (("network.", network), ("mean.", mean)):
            one.load_state_dict(
                {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            )
    except (OSError, KeyError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{file} cannot be gone on from ({error}): delete it to begin anew") from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("moment."):
            _, number, what = name.split(".")
            state.setdefault(int(number), {})[what] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return step
