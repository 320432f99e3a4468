"""Whether the filling of a large hole looks like the photo around it, without knowing what was lost.

PSNR prefers a mean of all that could have been there, which is fog, and a learned distance needs somebody else's
network. These three are statistics of gradients and spectra (as in Portilla & Simoncelli's account of texture, IJCV
2000); none of them sees whether a filling makes sense: eyes do. Pixels are (H, W, 3) uint8; `holes` (H, W) bool.

- *gradients*: gradient energy inside over that around: 1 is as much texture, near 0 fog, far above 1 rubble.
- *spectrum*: how many dB the power at each spatial frequency differs from that around, on average: 0 is alike.
- *edges*: how much of the slopes along the hole's border goes on inside: 1 is all, 0 is that edges end there.
"""

from __future__ import annotations

import cv2
import numpy as np

from deconvdemo.image.fog import LUMA, gradient_ratio

WINDOW = 32  # pixels a side, of which spectra are taken
BANDS = 8  # of spatial frequency, from one period in a window to one in two pixels
INWARDS = 3  # pixels inside the border, where edges are looked for


def hole_figures(filled: np.ndarray, holes: np.ndarray) -> dict[str, float]:
    """Each figure of a filled photo; NaN where the holes have no room for it."""
    depth, away = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
                   for part in (holes, ~holes))  # fmt: skip
    around = ~holes & (away <= depth.max())
    grey = filled.astype(np.float64) @ LUMA
    return {
        "gradients": gradient_ratio(filled, holes, around),
        "spectrum": _spectrum_distance(grey, holes, around),
        "edges": _edges(grey, holes, depth),
    }


def _spectrum_distance(grey: np.ndarray, inside: np.ndarray, around: np.ndarray) -> float:
    """Mean over bands of frequency of |10 log10(power inside / power around)|, in dB."""
    one, other = _spectrum(grey, inside), _spectrum(grey, around)
    return float("nan") if one is None or other is None else float(np.abs(one - other).mean())


def _spectrum(grey: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """(BANDS,) mean power in dB of the windows in `where`; half a squared grey level is added, for rounding."""
    taper = np.outer(np.hanning(WINDOW), np.hanning(WINDOW))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(WINDOW), np.fft.fftfreq(WINDOW)))
    band = np.digitize(frequency, np.linspace(0.5 / WINDOW, 0.5, BANDS + 1)) - 1
    power = []
    for row in range(0, grey.shape[0] - WINDOW + 1, WINDOW // 2):
        for column in range(0, grey.shape[1] - WINDOW + 1, WINDOW // 2):
            window = slice(row, row + WINDOW), slice(column, column + WINDOW)
            if where[window].mean() > 0.9:
                part = grey[window]
                power.append(np.abs(np.fft.fft2((part - part.mean()) * taper)) ** 2 / (taper**2).sum())
    if not power:
        return None
    mean = np.mean(power, axis=0)
    return np.array([10 * np.log10(mean[band == number].mean() + 0.5) for number in range(BANDS)])


def _edges(grey: np.ndarray, holes: np.ndarray, depth: np.ndarray) -> float:
    """The regression of slopes just inside on those of the nearest known pixels: Σ s·s' / Σ s·s.

    Slopes along the border, that is: those of edges that cross it.
    """
    from scipy.ndimage import distance_transform_edt

    soft = cv2.GaussianBlur(grey, (0, 0), 1.0)
    gradients = np.stack(np.gradient(soft))
    inside = np.nonzero((depth > INWARDS - 0.5) & (depth <= INWARDS + 0.5))
    nearest = distance_transform_edt(holes, return_distances=False, return_indices=True)
    known = tuple(axis[inside] for axis in nearest)
    normal = np.stack(inside) - np.stack(known)
    along = np.stack([-normal[1], normal[0]]) / np.maximum(np.hypot(*normal), 1)
    within, at = ((gradients[:, *places] * along).sum(axis=0) for places in (inside, known))
    energy = float((at * at).sum())
    return float((within * at).sum()) / energy if energy else float("nan")
