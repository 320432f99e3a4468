"""HarmJudge: what harms a photo, told from the statistics of its 8×8 blocks by a small perceptron.

Clean photos have quiet places. There, what is left says what came over them: white noise fills all frequencies and
channels alike (Pyatykh et al. 2013 and Chen et al. 2015 estimate it so), a camera's is coloured and correlated, noise
reduction takes the high frequencies away, and JPEG leaves a grid on which many coefficients are zero (Fan & de Queiroz
2003).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvdemo.cosines import BLOCK, cosines
from deconvdemo.networks.arguments import Argument, Whole
from deconvdemo.units import LUMA

BLOCKS = 4000  # about as many are looked at, wherever they lie on JPEG's grid
GRID = 520  # pixels: JPEG's grid is looked for in the middle
CLIPPED = 0.1  # share of a block's pixels that may be black or white
DIAGONALS = 2 * BLOCK - 1
TINY = 1e-3  # squared grey levels: rounding leaves about 0.08
# parts of the blocks in the order of their contrast: the quietest, quiet, middle and busy ones
SHARES = ((0.0, 0.05), (0.05, 0.15), (0.15, 0.5), (0.85, 1.0))
QUIET = 0.5  # the part of them whose brightness is told apart
BRIGHTNESS = ((0, 70), (70, 160), (160, 256))  # grey levels
PAIRS = ((0, 1), (1, 2), (0, 2))  # of channels
QUANTA = range(1, 17)  # JPEG's, of low frequencies
RESULTS = 5
LEVEL, WHITE, JPEG, NOISE, BLUR = range(RESULTS)
LEVELS = [LEVEL, NOISE, BLUR]  # logarithms; the others are logits
HIDDEN = 64
UNUSUAL = 5.0  # standard deviations: what is further off says no more


class HarmJudge(nn.Module):
    """(N, 3, H, W) in [0, 1] → (N, 5, 1, 1): log₂ of the RMS (grey levels) of all that disturbs, plus ¼; the logit of
    white noise alone; the logit of JPEG traces; log₂ of the noise's RMS plus ¼; log₂ of a blur's sigma (pixels) plus ½.
    """

    ARGUMENTS: ClassVar[dict[str, Argument]] = {"hidden": Whole(1, 1024)}
    scale = 1
    stride = 1
    radius = GRID
    image_channels, side_channels, result_channels = 3, 0, RESULTS
    mean: Tensor
    spread: Tensor

    def __init__(self, hidden: int = HIDDEN):
        super().__init__()
        self.config = {"hidden": hidden}
        count = len(SHARES) * (2 * (DIAGONALS - 1) + 3) + 2 * len(BRIGHTNESS) + 4 + len(QUANTA)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.head = nn.Sequential(
            nn.Linear(count, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, RESULTS)
        )

    def forward(self, images: Tensor) -> Tensor:
        found = torch.stack([statistics(image.float()) for image in images])
        return self.head(self.standardised(found))[..., None, None]

    def standardised(self, found: Tensor) -> Tensor:
        return ((found - self.mean) / self.spread).clamp(-UNUSUAL, UNUSUAL)


def statistics(image: Tensor) -> Tensor:
    """(3, H, W) in [0, 1] → a vector of what its blocks say."""
    image = 255 * image
    height, width = image.shape[-2:]
    image = functional.pad(image[None], (0, max(16 - width, 0), 0, max(16 - height, 0)), mode="replicate")[0]
    return torch.cat([_spectra(image), _grid(image)])


def _spectra(image: Tensor) -> Tensor:
    """Of quiet to busy blocks: the energies of luma and chroma by frequency, and how channels correlate."""
    blocks = _blocks(image, _step(image))
    shown = ((blocks > 1.5) & (blocks < 253.5)).any(1).float().mean((1, 2)) >= 1 - CLIPPED
    blocks = blocks[shown] if shown.sum() >= 32 else blocks
    coefficients = _dct(_opponent(blocks))  # (B, 3, 8, 8)
    energies = coefficients.square()
    low = energies[:, 0].sum((1, 2)) - energies[:, 0, 0, 0]
    order = low.argsort()
    found = []
    for begin, end in SHARES:
        first, last = int(begin * len(order)), max(int(end * len(order)), int(begin * len(order)) + 8)
        chosen = energies[order[first:last]].mean(0)
        luma, chroma = _by_diagonal(chosen[0]), _by_diagonal(chosen[1:].mean(0))
        rgb = _dct(blocks[order[first:last]])[:, :, 3:, 3:]
        found += [(luma + TINY).log2(), (chroma + TINY).log2(), _correlations(rgb)]
    quiet = order[: max(int(QUIET * len(order)), 8)]
    return torch.cat([*found, _by_brightness(energies[quiet], blocks[quiet].mean((1, 2, 3)))])


def _by_brightness(energies: Tensor, levels: Tensor) -> Tensor:
    """A camera's noise grows with light and falls towards white: high and middle frequencies in the dark, and so on."""
    found = []
    for low, high in BRIGHTNESS:
        chosen = energies[(levels >= low) & (levels < high)]
        chosen = chosen if len(chosen) >= 8 else energies
        found += [chosen[:, 0, 4:, 4:].mean(), chosen[:, 0, 2:4, 2:4].mean()]
    return (torch.stack(found) + TINY).log2()


def _grid(image: Tensor) -> Tensor:
    """How many high coefficients are zero on the best of the 64 grids, on the usual one, and on the others; and on the
    best one, for each quantum, how the low coefficients gather at its multiples."""
    height, width = image.shape[-2:]
    tall, wide = min(height, GRID) // BLOCK * BLOCK, min(width, GRID) // BLOCK * BLOCK
    # the middle, from a corner of the usual grid on
    top, left = (height - tall) // 2 // BLOCK * BLOCK, (width - wide) // 2 // BLOCK * BLOCK
    window = image[:, top : top + tall, left : left + wide]
    luma = (window * window.new_tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
    places = [(row, column) for row in range(BLOCK) for column in range(BLOCK)]
    found = [_busy_coefficients(luma, *place) for place in places]
    high = (torch.arange(BLOCK)[:, None] + torch.arange(BLOCK)) >= BLOCK - 1
    shares = torch.stack([(one[:, high].abs() < 0.8).float().mean() for one in found])
    rest = shares.sort().values
    best = found[int(shares.argmax())]
    gathered = torch.stack([_gathering(best, quantum) for quantum in QUANTA])
    usual = rest[len(rest) // 2]
    return torch.cat([torch.stack([rest[-1], rest[-2] - usual, rest[-1] - usual, shares[0] - usual]), gathered])


def _busy_coefficients(luma: Tensor, row: int, column: int) -> Tensor:
    """(B, 8, 8) of the blocks on one of the grids that are not flat; of all, where there are few."""
    tall, wide = luma.shape[-2] - (BLOCK if row else 0), luma.shape[-1] - (BLOCK if column else 0)
    coefficients = _dct(_blocks(luma[:, row : row + tall, column : column + wide], BLOCK))[:, 0]
    busy = coefficients.abs().sum((1, 2)) - coefficients[:, 0, 0].abs() > 2 * BLOCK
    return coefficients[busy] if busy.sum() >= 8 else coefficients


def _gathering(coefficients: Tensor, quantum: int) -> Tensor:
    """1 where the low frequencies' coefficients are multiples of `quantum`, 0 where they are anything."""
    low = torch.stack([coefficients[:, row, column] for row, column in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0))])
    counted = low.abs() > quantum / 2
    waves = torch.cos(2 * math.pi * low / quantum) * counted
    return waves.sum() / (counted.sum() + 8)


def _step(image: Tensor) -> int:
    """Between blocks: odd, so that they lie anywhere on a grid of 8."""
    step = max(5, math.ceil(math.sqrt(image.shape[-2] * image.shape[-1] / BLOCKS)))
    return step + 1 - step % 2


def _blocks(image: Tensor, step: int) -> Tensor:
    """(C, H, W) → (B, C, 8, 8)"""
    windows = image.unfold(1, BLOCK, step).unfold(2, BLOCK, step)
    return windows.flatten(1, 2).transpose(0, 1)


def _opponent(blocks: Tensor) -> Tensor:
    """Luma and the two colour differences, so scaled that white noise is as strong in each."""
    red, green, blue = blocks.unbind(1)
    luma, first, second = red + green + blue, red - blue, red - 2 * green + blue
    return torch.stack([luma / math.sqrt(3), first / math.sqrt(2), second / math.sqrt(6)], 1)


def _dct(blocks: Tensor) -> Tensor:
    """The orthonormal cosine transform of (…, 8, 8)."""
    basis = blocks.new_tensor(cosines())
    return basis @ blocks @ basis.T


def _by_diagonal(energies: Tensor) -> Tensor:
    """(8, 8) → (14,): means over the frequencies of one distance, without the block's mean."""
    places = torch.arange(BLOCK)
    diagonal = (places[:, None] + places).flatten()
    sums = torch.zeros(DIAGONALS).index_add_(0, diagonal, energies.flatten())
    return (sums / torch.bincount(diagonal))[1:]


def _correlations(coefficients: Tensor) -> Tensor:
    """(B, 3, …) → (3,): of red with green, green with blue, red with blue."""
    channels = coefficients.transpose(0, 1).flatten(1)
    norms = channels.square().mean(1).sqrt() + TINY
    products = [(channels[one] * channels[other]).mean() / (norms[one] * norms[other]) for one, other in PAIRS]
    return torch.stack(products)
