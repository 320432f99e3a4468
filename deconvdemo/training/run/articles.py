"""Training the articles' networks as the articles do, by Adam and the mean squared error, on small patches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.checkpoints.checkpoint import Header, save_checkpoint
from deconvdemo.checkpoints.header import today
from deconvdemo.networks import NETWORKS
from deconvdemo.tasks.articles import ARTICLES, HEADER_TASK, Article
from deconvdemo.training.data.dead_leaves import dead_leaves
from deconvdemo.units import GREY_LEVELS

PATCH, BATCH, RATE = 32, 8, 1e-3  # the first article's rate
PICTURES, SIDE = 48, 128  # drawn, where there are no photographs
MEASURED_STEPS = 200  # over the last of which the loss that a header tells is averaged

Crops = Callable[[np.random.Generator, int, int], np.ndarray]  # rng, count, side → (count, side, side, 3) uint8


def drawn_crops(seed: int = 0, pictures: int = PICTURES) -> Crops:
    """Crops of dead leaves, turned and mirrored."""
    drawn = [dead_leaves(np.random.default_rng([seed, number]), SIDE) for number in range(pictures)]

    def crops(rng: np.random.Generator, count: int, side: int) -> np.ndarray:
        out = []
        for number in rng.integers(len(drawn), size=count):
            top, left = rng.integers(SIDE - side + 1, size=2)
            piece = np.rot90(drawn[number][top : top + side, left : left + side], int(rng.integers(4)))
            out.append(piece[:, ::-1] if rng.integers(2) else piece)
        return np.stack(out)

    return crops


def train_article(
    article: Article,
    crops: Crops,
    file: Path,
    data: Sequence[str],
    seconds: float,
    steps: int | None = None,
    seed: int = 0,
    patch: int = PATCH,
) -> Header:
    """Trains for so many seconds, or so many steps, and writes the weights; gives their header."""
    torch.manual_seed(seed)
    network = NETWORKS[article.network](**article.config).train()
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    rng, end = np.random.default_rng(seed), time.monotonic() + seconds
    losses: list[float] = []
    while len(losses) < steps if steps else time.monotonic() < end or not losses:
        pixels = torch.from_numpy(crops(rng, BATCH, patch))
        clean = pixels.permute(0, 3, 1, 2).float() / GREY_LEVELS
        loss = _loss(article, network(article.shown(clean, int(rng.integers(2**31)))), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    recipe = {
        "steps": len(losses), "batch": BATCH, "patch": patch, "rate": RATE, "optimizer": "adam",
        "loss": article.loss, "seed": seed,
    }  # fmt: skip
    header = Header(
        article.network,
        dict(article.config),
        HEADER_TASK,
        network.scale,
        article.name,
        data=[*data],
        recipe=recipe,
        measured={f"training {article.loss}": round(float(np.mean(losses[-MEASURED_STEPS:])), 5)},
        created=today(),
    )
    save_checkpoint(file, header, network.state_dict(), torch.float16)
    return header


def _loss(article: Article, result: Tensor, clean: Tensor) -> Tensor:
    if article.loss == "bce":
        return functional.binary_cross_entropy(result, clean)
    return functional.mse_loss(result, clean)


def train_articles(folder: Path, crops: Crops, data: Sequence[str], minutes: float, say: Callable[[str], None]) -> None:
    """One file a network, in a folder that is made; each has the same share of the time."""
    folder.mkdir(parents=True, exist_ok=True)
    for article in ARTICLES.values():
        file = folder / f"{article.name}.safetensors"
        header = train_article(article, crops, file, data, 60 * minutes / len(ARTICLES))
        say(f"{file}: article {article.number}, {article.words}; {header.recipe['steps']} steps, {header.measured}")
