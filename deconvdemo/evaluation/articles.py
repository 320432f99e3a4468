"""What the articles' networks reach, beside ours and beside doing nothing, and their faults as numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.engine.restorer import Restorer
from deconvdemo.image.metrics import psnr, psnr_inside, ssim
from deconvdemo.image.pixels import as_images, eight_bit_rgb, eight_bits
from deconvdemo.image.reading import read_photo
from deconvdemo.tasks.articles import ARTICLES, GENERATION, SIGMA, Article
from deconvdemo.tasks.classical import bicubic

SIDE = 256  # pixels of each photo's middle that are measured
GENERATED = 64  # pixels a side
FLAT, GREY = 32, 0.5  # pixels a side, and level, of the field on which checkerboards and noise are looked for
Method = Callable[[np.ndarray, np.ndarray | None], np.ndarray]  # observed and mask, both as the task has them, → uint8


@dataclass(frozen=True)
class Row:
    """One method of one article on all photos."""

    article: str
    method: str  # "article", "ours" or what doing nothing is called
    psnr: float  # dB over RGB, in the holes where there are any; the photos' mean
    ssim: float
    edges: float  # how much of the clean photos' gradient energy is there: under 1 soft, over 1 noisy
    checkerboard: float | None = None  # grey levels on a flat grey: the worst place's mean in the 4×4 cell, less all's
    noise: float | None = None  # grey levels that noise of sigma 25 leaves on a flat grey, or what a network adds to it


@dataclass(frozen=True)
class Shown:
    """One photo by all methods of an article, for a picture."""

    article: Article
    pictures: Mapping[str, np.ndarray]  # (H, W, 3) uint8: observed, by article, ours, clean


def middles(files: list[Path]) -> list[np.ndarray]:
    """The middle of each photo, square, (SIDE, SIDE, 3) or less, with sides that 4 divides."""
    found = []
    for file in files:
        pixels = eight_bit_rgb(read_photo(file).pixels)
        side = min(SIDE, *pixels.shape[:2]) // 4 * 4
        top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        found.append(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return found


def measured(folder: Path, photos: list[np.ndarray], restorer: Restorer) -> Iterator[tuple[list[Row], Shown]]:
    """Of each article whose weights are in the folder, but for generation, which has no clean photo to be near."""
    for article in ARTICLES.values():
        file = folder / f"{article.name}.safetensors"
        if article.name == GENERATION or not file.exists():
            continue
        methods = {article.nothing: _nothing(article), "article": _theirs(file), "ours": _ours(article, restorer)}
        results = {
            name: [method(*_observed(article, photo, at)) for at, photo in enumerate(photos)]
            for name, method in methods.items()
        }
        rows = [_row(article, name, photos, results[name], methods[name]) for name in methods]
        pictures = {name: found[0] for name, found in results.items()}
        yield rows, Shown(article, {**pictures, "clean": photos[0]})


def generated(folder: Path, count: int, seed: int = 0) -> np.ndarray | None:
    """(count, 64, 64, 3) uint8 that the third article's network makes of noise; None where it was not trained."""
    file = folder / f"{GENERATION}.safetensors"
    if not file.exists():
        return None
    network, article = load_checkpoint(file).network(), ARTICLES[GENERATION]
    with torch.inference_mode():
        made = network(article.shown(torch.zeros(count, 3, GENERATED, GENERATED), seed))
    return np.stack([eight_bits(one[None]) for one in made])


def _observed(article: Article, clean: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """As a file has it, rounded and clipped, and the mask of what is lost."""
    shown = article.shown(as_images(clean), seed)
    mask = shown[0, 3].numpy() > 0 if shown.shape[1] == 4 else None
    return eight_bits(shown[:, :3]), mask


def _theirs(file: Path) -> Method:
    network = load_checkpoint(file).network()

    def restored(observed: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        images = as_images(observed)
        if mask is not None:
            images = torch.cat([images, torch.from_numpy(mask).float()[None, None]], dim=1)
        with torch.inference_mode():
            return eight_bits(network(images))

    return restored


def _ours(article: Article, restorer: Restorer) -> Method:
    known: dict[str, dict[str, Any]] = {"denoise": {"sigma": SIGMA}, "upscale": {"scale": 2}}
    controls = {"variant": "standard", **known.get(article.ours, {})}
    return lambda observed, mask: eight_bit_rgb(restorer.restore(article.ours, observed, mask, **controls).photo.pixels)


def _nothing(article: Article) -> Method:
    return (
        (lambda observed, mask: bicubic(observed, 2)) if article.ours == "upscale" else lambda observed, mask: observed
    )


def _row(article: Article, name: str, photos: list[np.ndarray], results: list[np.ndarray], method: Method) -> Row:
    masks = [_observed(article, photo, at)[1] for at, photo in enumerate(photos)]
    scores = [
        psnr(result, photo) if mask is None else psnr_inside(result, photo, mask)
        for result, photo, mask in zip(results, photos, masks, strict=True)
    ]
    pairs = list(zip(results, photos, strict=True))
    edges = np.mean([_gradient_energy(one) / _gradient_energy(other) for one, other in pairs])
    faults: dict[str, float] = {} if masks[0] is not None else {
        "checkerboard": round(checkerboard(lambda flat: method(flat, None)), 2),
        "noise": round(noise_left(lambda noisy: method(noisy, None)), 1),
    }  # fmt: skip
    return Row(
        article.name,
        name,
        round(float(np.mean(scores)), 2),
        round(float(np.mean([ssim(one, other) for one, other in pairs])), 3),
        round(float(edges), 2),
        **faults,
    )


def checkerboard(restore: Callable[[np.ndarray], np.ndarray], period: int = 4) -> float:
    """Grey levels by which the places of a cell differ on a flat grey, in its middle: 0 where nothing is drawn."""
    result = restore(np.full((FLAT, FLAT, 3), round(255 * GREY), np.uint8)).astype(np.float64)
    side = result.shape[0] // 4 // period * period
    middle = result[side : 3 * side, side : 3 * side]
    cells = middle.reshape(middle.shape[0] // period, period, middle.shape[1] // period, period, 3).mean((0, 2))
    return float(np.abs(cells - cells.mean((0, 1))).max())


def noise_left(restore: Callable[[np.ndarray], np.ndarray]) -> float:
    """Standard deviation, in grey levels, of what is made of a flat grey with noise of sigma 25."""
    noise = np.random.default_rng(0).normal(0, SIGMA, (FLAT, FLAT, 3))
    return float(restore(np.clip(255 * GREY + noise, 0, 255).round().astype(np.uint8)).std((0, 1)).mean())


def _gradient_energy(image: np.ndarray) -> float:
    unit = image.astype(np.float64)
    return float(sum((np.diff(unit, axis=axis) ** 2).mean() for axis in (0, 1)))


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]
