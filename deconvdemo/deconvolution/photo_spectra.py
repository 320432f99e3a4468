"""The power spectrum of a photo's liveliest places, by frequency alone: what a blur leaves its mark on.

Patches are squares of SIDES pixels. Spectra are of luma's gradient, in 8-bit grey levels squared, a mean over each ring
of frequencies k / side cycles a pixel, k = 2, 3, … side / 2: white noise of deviation s has s² · `white(side)`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from deconvdemo.units import GREY_LEVELS, LUMA

SIDES = (128, 64, 32)
MOST = 128  # patches that are looked at, however large the photo is; fewer of a photo that is made smaller
LIVELY = 0.3  # the share of them with the strongest edges: their blur is seen best
FEWEST = 4
SOME = 4  # every so many pixels tell of a patch's rows and columns
CLIPPED = 0.1  # the share of a patch's samples from which on what was clipped says more than the blur
_STRENGTH = (0.03, 0.25)  # cycles a pixel between which edges are told from noise


def spectrum(pixels: np.ndarray, side: int, step: int = 1, seen: np.ndarray | None = None) -> np.ndarray | None:
    """(side / 2 - 1,) of (H, W, C) pixels of any of Photo's dtypes; None where no patch shows anything.

    `step` looks at the photo made so many times smaller. `seen`, (H, W) bool, is where there is a photo.
    """
    patches = _told(_patches(pixels, side * step, MOST // step, seen), step)
    if not len(patches):
        return None
    coarse = _smaller(patches, 2)
    strength = sum(np.square(np.diff(coarse, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
    count = max(FEWEST, round(LIVELY * len(patches)))
    patches = patches[np.argsort(-strength, kind="stable")[:count]]
    window = _window(side)
    power = np.zeros((len(patches), side, side // 2 + 1), np.float32)
    for axis in (1, 2):
        slope = np.roll(patches, -1, axis) - patches  # what wraps around lies where the window is 0
        power += np.square(np.abs(np.fft.rfft2(slope * window)))
    spectra = np.stack([rings(one) for one in power])
    low, high = (round(end * side) - 2 for end in _STRENGTH)
    strength = spectra[:, low:high].sum(axis=1)
    lively = strength > 0
    if not lively.any():
        return None
    weight = 1 / strength[lively]  # no patch outshines the others
    return weight @ spectra[lively] / weight.sum()


def white(side: int) -> np.ndarray:
    """Of noise with a standard deviation of 1."""
    return rings(gradient(side))


def gradient(side: int) -> np.ndarray:
    """(side, side // 2 + 1): by what the gradient multiplies each frequency's power."""
    down, across = _frequencies(side)
    return 4 - 2 * np.cos(2 * np.pi * down) - 2 * np.cos(2 * np.pi * across)


def radii(side: int) -> np.ndarray:
    """(side, side // 2 + 1): cycles a pixel."""
    return np.hypot(*_frequencies(side))


def leaked(power: np.ndarray) -> np.ndarray:
    """What a patch's window makes of a spectrum (side, side // 2 + 1): each frequency a little of its neighbours'."""
    power = (np.roll(power, 1, 0) + np.roll(power, -1, 0)) / 6 + power * 2 / 3
    before, after = (
        np.concatenate(parts, 1) for parts in ((power[:, 1:2], power[:, :-1]), (power[:, 1:], power[:, -2:-1]))
    )
    return (before + after) / 6 + power * 2 / 3


def rings(power: np.ndarray) -> np.ndarray:
    """(side, side // 2 + 1) → (side / 2 - 1,), the mean over each ring."""
    side = len(power)
    ring, weight, total = _rings(side)
    return np.bincount(ring, weights=power.ravel() * weight)[2 : side // 2 + 1] / total[2 : side // 2 + 1]


@lru_cache
def _rings(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ring = np.rint(radii(side) * side).astype(int).ravel()
    across = _frequencies(side)[1]
    # a real image's other half mirrors this one, but for its first and last columns
    weight = np.broadcast_to(np.where((across == 0) | (across == 0.5), 1.0, 2.0), (side, side // 2 + 1)).ravel()
    return ring, weight, np.bincount(ring, weights=weight)


def _frequencies(side: int) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]


@lru_cache
def _window(side: int) -> np.ndarray:
    hann = np.hanning(side + 1)[:side]
    window = np.outer(hann, hann)
    return (window / np.sqrt(np.square(window).sum())).astype(np.float32)


def _patches(pixels: np.ndarray, side: int, most: int, seen: np.ndarray | None) -> np.ndarray:
    """(patches, side, side, C), half overlapping or farther apart, of what is seen."""
    rows, columns = (
        np.unique(np.linspace(0, length - side, 2 * -(-length // side) - 1).astype(int)) for length in pixels.shape[:2]
    )
    places = [(top, left) for top in rows for left in columns]
    if len(places) > most:
        places = [places[one] for one in np.linspace(0, len(places) - 1, most).astype(int)]
    whole = [
        pixels[top : top + side, left : left + side]
        for top, left in places
        if seen is None or seen[top : top + side, left : left + side].all()
    ]
    return np.stack(whole) if whole else np.empty((0, side, side, pixels.shape[2]), pixels.dtype)


def _told(patches: np.ndarray, step: int) -> np.ndarray:
    """(patches, side, side) luma in grey levels, of patches without bars or margins, with little clipped, if any."""
    if not len(patches):
        return patches[..., 0]
    top = {"uint8": 255.0, "uint16": 65535.0}.get(patches.dtype.name, 1.0)
    few = patches[:, ::SOME, ::SOME]
    clipped = ((few <= 0) | (few >= top)).reshape(len(few), -1).mean(axis=1) > CLIPPED
    shares = [1.0] if patches.shape[3] == 1 else LUMA
    luma = np.zeros(patches.shape[:3], np.float32)
    for at, share in enumerate(shares):
        luma += patches[..., at] * np.float32(share * GREY_LEVELS / top)
    painted = (np.ptp(luma[:, :, ::SOME], axis=2) == 0).any(axis=1) | (np.ptp(luma[:, ::SOME], axis=1) == 0).any(axis=1)
    for spoiled in (clipped | painted, painted):
        if not spoiled.all():
            luma = luma[~spoiled]
            break
    return _smaller(luma, step)


def _smaller(luma: np.ndarray, step: int) -> np.ndarray:
    """(patches, H, W) → (patches, H / step, W / step), means of squares of pixels."""
    shifted = [luma[:, down::step, across::step] for down in range(step) for across in range(step)]
    return sum(shifted[1:], shifted[0]) / np.float32(step * step)
