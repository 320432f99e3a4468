"""Noise as a camera leaves it in a photo: born on the sensor, then demosaiced, colour-balanced, smoothed, tone-mapped.

Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019; Guo et al., "Toward convolutional blind
denoising of real photographs" (CBDNet), CVPR 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from deconvdemo.degradations.noise import PoissonGaussianNoise
from deconvdemo.degradations.operators import GaussianBlur
from deconvdemo.units import LUMA

DARKEST = 1e-6  # and 1 minus it the brightest: where the tone curve's S ends


@dataclass(frozen=True)
class CameraNoise:
    """y = x + camera(raw + n) − camera(raw), where raw is what the sensor of an RGGB camera saw when it took x.

    Only the noise is new: where shot = read = 0 the result is x to within rounding. A demosaiced clean image has
    artefacts of its own, which a denoiser is not to undo; as demosaicing is linear here, that of raw + n differs
    from that of raw by the demosaiced n alone, which is added to the clean linear light.
    """

    shot: float | Tensor  # PoissonGaussianNoise's, in raw light of [0, 1]
    read: float | Tensor
    red: float | Tensor = 2.0  # white-balance gains: raw red and blue are darker than green by these
    blue: float | Tensor = 1.7
    contrast: float | Tensor = 1.0  # of the tone curve: 1 and no lift is sRGB alone, 1.5 a camera's usual S
    lift: float | Tensor = 0.0  # how far it raises mid-grey: a shoulder that compresses highlights, their noise too
    saturation: float | Tensor = 1.0  # what the camera's colour matrix makes of the noise's colour
    # in-camera noise reduction: sigma in pixels by which the noise is smoothed, its colour apart from its lightness,
    chroma_blur: float | Tensor = 0.0
    luma_blur: float | Tensor = 0.0
    grain: float | Tensor = 0.0  # and the share of the fine grain that is left of the lightness's
    place: tuple[int, int] | None = None  # where in its RGGB cell the image begins, (0–1, 0–1); None: at random

    @classmethod
    def at_iso(cls, iso: float, **camera) -> CameraNoise:
        """A small sensor's noise at this sensitivity: 6,700 photons saturate it at ISO 100, half as many at 200.

        The read noise follows the shot noise as Brooks et al. fitted it: log read² = 2.18 log shot + 1.20.
        """
        shot = 1.5e-6 * iso
        return cls(shot, read_noise(torch.tensor(shot)).item(), **camera)

    def __call__(self, clean: Tensor, rng: torch.Generator) -> Tensor:
        """(N, 3, H, W) sRGB in [0, 1] → the same shape, clipped to [0, 1] as the camera does."""
        linear = linear_from_srgb(self._before_tone(clean.clamp(0, 1)))
        gains = _stacked(self.red, 1.0, self.blue, linear)
        noise = demosaiced_noise(linear / gains, PoissonGaussianNoise(self.shot, self.read), rng, self.place)
        seen = srgb_from_linear((linear + gains * noise).clamp(0, 1))
        noise = self._with_tone(seen) - clean
        luma = (noise * _luma(noise.device, noise.dtype)).sum(1, keepdim=True)
        colour = GaussianBlur(self.chroma_blur)(noise - luma) * self.saturation
        smooth = GaussianBlur(self.luma_blur)(luma)
        return (clean + smooth + self.grain * (luma - smooth) + colour).clamp(0, 1)

    def _with_tone(self, images: Tensor) -> Tensor:
        """An S from black to white: a straight line, easily inverted, where t is said as log(t / (1 − t))."""
        return torch.sigmoid(torch.logit(images, eps=DARKEST) * self.contrast + self.lift)

    def _before_tone(self, images: Tensor) -> Tensor:
        return torch.sigmoid((torch.logit(images, eps=DARKEST) - self.lift) / self.contrast)


def read_noise(shot: Tensor) -> Tensor:
    """The read noise's standard deviation that usually goes with `shot` (Brooks et al.'s fit to the cameras of DND)."""
    return (0.5 * (2.18 * shot.log() + 1.20)).exp()


def linear_from_srgb(images: Tensor) -> Tensor:
    """Linear light in [0, 1] of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return torch.where(images <= 0.04045, images / 12.92, _power((images + 0.055) / 1.055, 2.4))


def srgb_from_linear(images: Tensor) -> Tensor:
    """sRGB values in [0, 1] of linear light in [0, 1] (IEC 61966-2-1)."""
    return torch.where(images <= 0.0031308, images * 12.92, 1.055 * _power(images, 1 / 2.4) - 0.055)


def _power(images: Tensor, exponent: float) -> Tensor:
    return images.log().mul_(exponent).exp_()  # three times as fast as `**`, and training waits for it


def demosaiced_noise(
    raw: Tensor, noise: PoissonGaussianNoise, rng: torch.Generator, place: tuple[int, int] | None = None
) -> Tensor:
    """What `noise` on the Bayer mosaic of `raw`, (N, 3, H, W) in [0, 1], becomes by demosaicing: the same shape.

    The mosaic begins at `place`, or at a random one of its four places: to be told which, a program waits for the GPU.
    """
    height, width = raw.shape[-2:]
    down, right = place or torch.randint(2, (2,), generator=rng, device=raw.device).tolist()
    # two pixels that the filters see on each side, one more where the image begins or ends within a cell
    margins = (2 + right, 2 + (width + right) % 2, 2 + down, 2 + (height + down) % 2)
    padded = functional.pad(raw, margins, mode="replicate")
    mosaic = padded[:, 1:2].clone()
    mosaic[..., ::2, ::2] = padded[:, 0:1, ::2, ::2]
    mosaic[..., 1::2, 1::2] = padded[:, 2:3, 1::2, 1::2]
    cells = functional.conv2d(noise(mosaic, rng) - mosaic, _malvar(raw.device, raw.dtype), stride=2)
    return functional.pixel_shuffle(cells, 2)[..., down : down + height, right : right + width]


@cache
def _luma(device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(LUMA, device=device, dtype=dtype).view(1, 3, 1, 1)


@cache
def _malvar(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(12, 1, 6, 6): for R, G and B the four places of an RGGB cell, each from the mosaic around the cell.

    Malvar, He & Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color images", ICASSP
    2004: bilinear interpolation, corrected by the Laplacian of the colour that is known at the place.
    """
    known = torch.zeros(5, 5)
    known[2, 2] = 8
    green = torch.tensor([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]])
    beside = torch.tensor(
        [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
    )
    across = torch.tensor(
        [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]
    )
    places = (  # of an RGGB cell, row by row
        (known, beside, beside.T, across),  # red
        (green, known, known, green),
        (across, beside.T, beside, known),  # blue
    )
    filters = torch.zeros(12, 1, 6, 6)
    for channel, four in enumerate(places):
        for place, taps in enumerate(four):
            row, column = divmod(place, 2)
            filters[4 * channel + place, 0, row : row + 5, column : column + 5] = taps / 8
    return filters.to(device, dtype)


def _stacked(red: float | Tensor, green: float, blue: float | Tensor, like: Tensor) -> Tensor:
    """(N or 1, 3, 1, 1) of the three channels' numbers."""
    columns = [
        gain.to(like).reshape(-1, 1, 1, 1) if isinstance(gain, Tensor) else like.new_full((1, 1, 1, 1), gain)
        for gain in (red, green, blue)
    ]
    return torch.cat(torch.broadcast_tensors(*columns), dim=1)
