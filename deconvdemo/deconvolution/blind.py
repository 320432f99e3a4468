"""Blind help: how wide a Gaussian or a lens out of focus blurred a photo, told from the photo alone.

Photographs' spectra fall smoothly with the frequency (Field, "Relations between the statistics of natural images", JOSA
A 1987); a blur multiplies them by its transfer function: a Gaussian falls ever faster, a disc has zeros (Gennery,
"Determination of optical transfer function by inspection of frequency-domain plot", JOSA 1973). Each candidate's blur,
times a photograph's spectrum, plus noise, is fitted to the photo's; the likeliest one is told, with Laplace's
approximation for what else may vary (MacKay 1992). What photographs' spectra are like was measured on sharp ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from deconvdemo.deconvolution.kernels import WIDEST, WIDEST_SIGMA, defocus, gaussian
from deconvdemo.deconvolution.photo_spectra import SIDES, gradient, leaked, radii, rings, spectrum, white
from deconvdemo.errors import ControlError
from deconvdemo.units import LUMA

Kind = Literal["gaussian", "defocus", "sharp"]
WIDTHS: dict[Kind, tuple[float, float, int]] = {"gaussian": (0.4, 9.0, 24), "defocus": (0.8, 15.0, 46)}
# pixels: seen well enough; narrower ones are seen better in a larger photo
WIDE: dict[Kind, float] = {"gaussian": 2.7, "defocus": 5.0}
SLIGHT: dict[Kind, float] = {"gaussian": 0.5, "defocus": 1.0}  # pixels: no more than any lens does
MOST: dict[Kind, float] = {"gaussian": WIDEST_SIGMA, "defocus": float(WIDEST // 2)}  # that a kernel is made of
SMALLER = (4, 2, 1)  # times: a wide blur leaves nothing in a large photo that would tell it from a narrower one
# twice the difference of log likelihoods from which on it is a blur, times SMALLER, or more: a wide one is plain to see
EVIDENCE = 5.0

# log spectrum = (1, x, x², f, f²) · (MEAN + SPREAD z), z of unit variance, x = log₂ 8f, over what a slope of -2 gives
MEAN = np.array([3.47, -0.20, 0.01, 2.05, -9.23])
SPREAD = np.array([
    [3.264, 0, 0, 0, 0],
    [1.668, 0.961, 0, 0, 0],
    [0.289, 0.218, 0.102, 0, 0],
    [-21.707, -9.822, -0.093, 6.267, 0],
    [14.701, 5.087, -1.508, -7.538, 3.211],
])  # fmt: skip
_ROUNDING = 1 / 12  # squares of grey levels
_NOISE, _NOISE_SPREAD = 1.0, 2.5  # log of the noise's power where nothing is said of it, in squares of grey levels
_TOLD_SPREAD = 1.0  # the same, where it is: a JPEG's is less than a photo's estimate
_TILT = 1.0  # noise that is not white: of a JPEG, say
_ERROR, _RARE = 0.22, 4.0  # of log spectra: what else there is in a photo; rings of fewer than _RARE have more
_STEPS = 8


@dataclass(frozen=True)
class Blur:
    """`width` is a Gaussian's sigma or a disc's radius in pixels, 0 if sharp; `sure` is how likely the kind is, 0…1."""

    kind: Kind
    width: float
    sure: float

    def words(self) -> str:
        """As `kernels.kernel_named` takes it, "gaussian:2.1"; "none" if it is sharp."""
        return "none" if self.kind == "sharp" else f"{self.kind}:{self.width:.3g}"


def estimate_blur(pixels: np.ndarray, noise: float | None = None, seen: np.ndarray | None = None) -> Blur:
    """What blurred a photo, (H, W, C) of any of Photo's dtypes, all over: a Gaussian, a disc, or nothing.

    `noise` is its standard deviation in 8-bit grey levels, roughly; None: it is found, too. `seen`, (H, W) bool, is
    where there is a photo; None: everywhere. A Gaussian of 0.6 to 14 pixels or a disc of 1.2 to 50 is found; where a
    photo is too small, or shows nothing, it is called sharp, and `sure` is 0. ControlError for a noise below 0, or
    `seen` of another size.
    """
    if noise is not None and not noise >= 0:
        raise ControlError(f"noise is {noise:g}, but it must be 0 or more grey levels")
    if seen is not None and seen.shape != pixels.shape[:2]:
        raise ControlError(f"seen is of shape {seen.shape}, but the photo of {pixels.shape[:2]}: give one of its size")
    if noise is not None and pixels.shape[2] == 3:
        noise *= float(np.hypot.reduce(LUMA))
    found = Blur("sharp", 0.0, 0.0)
    for step in SMALLER:
        side = next((one for one in SIDES if one * step <= min(pixels.shape[:2])), None)
        power = None if side is None else spectrum(pixels, side, step, seen)
        if power is None or side is None:
            continue
        found = _likeliest(power, side, step, None if noise is None else noise / step)
        if found.width >= step * WIDE.get(found.kind, np.inf):
            break
    return found


def _likeliest(power: np.ndarray, side: int, step: int, noise: float | None) -> Blur:
    cost = _cost(power, side, noise)
    sharp, begins, best = cost[0], 1, dict[Kind, tuple[float, float]]()
    for name, (least, most, count) in WIDTHS.items():
        best[name] = _least(cost[begins : begins + count], np.geomspace(least, most, count))
        begins += count
    kind: Kind = "gaussian" if best["gaussian"][0] <= best["defocus"][0] else "defocus"
    asked = EVIDENCE * max(step, best[kind][1] / SLIGHT[kind] / 2)
    costs: dict[Kind, float] = {"sharp": sharp - asked, **{each: one for each, (one, _) in best.items()}}
    if costs["sharp"] <= costs[kind] or best[kind][1] < SLIGHT[kind]:
        kind = "sharp"
        costs["sharp"] = min(costs.values())
    chances: dict[Kind, float] = {each: float(np.exp((min(costs.values()) - one) / 2)) for each, one in costs.items()}
    width = 0.0 if kind == "sharp" else min(step * best[kind][1], MOST[kind])
    return Blur(kind, width, chances[kind] / sum(chances.values()))


def _least(cost: np.ndarray, widths: np.ndarray) -> tuple[float, float]:
    """The lowest cost, and where it is: between the candidates, a parabola tells it."""
    at = int(np.argmin(cost))
    if not 0 < at < len(cost) - 1:
        return float(cost[at]), float(widths[at])
    before, here, after = cost[at - 1 : at + 2]
    shift = 0.5 * (before - after) / max(before - 2 * here + after, 1e-12)
    return float(here - 0.25 * (before - after) * shift), float(widths[at] * (widths[1] / widths[0]) ** shift)


def _cost(power: np.ndarray, side: int, noise: float | None) -> np.ndarray:
    """(candidates,): -2 log likelihood of each."""
    seen, noisy = np.log(power), np.log(white(side))
    ring = np.arange(2, side // 2 + 1)
    frequency = ring / side
    octave, one = np.log2(8 * frequency), np.ones(len(ring))
    terms = np.stack([one, octave, octave**2, frequency, frequency**2], 1)
    told = _NOISE if noise is None else float(np.log(noise**2 + _ROUNDING))
    model = _Model(
        seen=seen,
        blurred=_blurred(side) + terms @ MEAN,
        noisy=noisy,
        own=terms @ SPREAD,
        tilt=np.stack([one, 4 * (frequency - 0.25)], 1),
        # what has less power than a grey level, rounding or a JPEG changed
        error=np.sqrt(_ERROR**2 * (1 + (_RARE / ring) ** 2) + np.exp(2 * (noisy - seen))),
        usual=np.array([0, 0, 0, 0, 0, told, 0]),
        known=np.array([1, 1, 1, 1, 1, (_NOISE_SPREAD if noise is None else _TOLD_SPREAD) ** -2, _TILT**-2]),
    )
    return np.minimum(model.least_cost(told), model.least_cost(float((seen - noisy).min()) - 0.1))


@dataclass(frozen=True)
class _Model:
    """log power = log(blurred spectrum + noise): unknown are the photo's own spectrum, and noise's power and tilt.

    Of each candidate there are the five z of SPREAD and the two of noise, `usual` if nothing is seen, and `known` that
    well (one over their variance).
    """

    seen: np.ndarray  # (rings,)
    blurred: np.ndarray  # (candidates, rings)
    noisy: np.ndarray
    own: np.ndarray  # (rings, 5)
    tilt: np.ndarray  # (rings, 2)
    error: np.ndarray
    usual: np.ndarray  # (7,)
    known: np.ndarray

    def least_cost(self, noise: float) -> np.ndarray:
        """(candidates,), by Levenberg's and Marquardt's steps of all candidates at once, from this noise's log power.

        Laplace's approximation sums up what is unknown.
        """
        at = np.tile(self.usual, (len(self.blurred), 1))
        at[:, 0] = (self.seen - self.blurred)[:, : len(self.seen) // 6].mean(axis=1) / SPREAD[0, 0]
        at[:, 5] = noise
        left, share, cost = self._misfit(at)
        damping = np.full(len(at), 1e-2)
        for _ in range(_STEPS):
            curvature, downhill = self._slopes(at, left, share)
            damped = curvature + damping[:, None, None] * curvature * np.eye(len(self.known))
            there = at + np.linalg.solve(damped, downhill[..., None])[..., 0]
            new_left, new_share, new_cost = self._misfit(there)
            better = new_cost < cost
            damping = np.where(better, damping / 5, damping * 8)
            at = np.where(better[:, None], there, at)
            left, share = np.where(better[:, None], new_left, left), np.where(better[:, None], new_share, share)
            cost = np.where(better, new_cost, cost)
        return cost + np.linalg.slogdet(self._slopes(at, left, share)[0])[1]

    def _misfit(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is left at each ring, in units of its error; the photo's share of its power; and the cost."""
        photo, floor = self.blurred + at[:, :5] @ self.own.T, self.noisy + at[:, 5:] @ self.tilt.T
        both = np.logaddexp(photo, floor)
        left = (self.seen - both) / self.error
        return left, np.exp(photo - both), (left**2).sum(axis=1) + (at - self.usual) ** 2 @ self.known

    def _slopes(self, at: np.ndarray, left: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gauss's and Newton's curvature, (candidates, 7, 7), and the way down, (candidates, 7)."""
        slopes = np.concatenate([share[..., None] * self.own, (1 - share)[..., None] * self.tilt], 2)
        slopes /= self.error[:, None]
        across = slopes.transpose(0, 2, 1)
        downhill = (across @ left[..., None])[..., 0] - (at - self.usual) * self.known
        return across @ slopes + np.diag(self.known), downhill


@lru_cache
def _blurred(side: int) -> np.ndarray:
    """(candidates, rings): the log spectrum of a photo whose slope is -2, sharp, then blurred by each of WIDTHS."""
    plain = gradient(side) / np.maximum(radii(side), 0.7 / side) ** 2
    found = [rings(leaked(plain))]
    for kind, (least, most, count) in WIDTHS.items():
        for width in np.geomspace(least, most, count):
            kernel = (gaussian if kind == "gaussian" else defocus)(float(width)).numpy()
            found.append(rings(leaked(plain * np.abs(_transfer(kernel, side)) ** 2)))
    return np.log(np.stack(found) + 1e-12)


def _transfer(kernel: np.ndarray, side: int) -> np.ndarray:
    """(side, side // 2 + 1): the kernel's Fourier transform, wherever its middle is; larger ones wrap around."""
    wrapped = np.zeros((side, side))
    rows, columns = (np.arange(taps) % side for taps in kernel.shape)
    np.add.at(wrapped, (rows[:, None], columns[None]), kernel)
    return np.fft.rfft2(wrapped)
