"""What networks are compared with: classical restorations, each (H, W, C) uint8 in and out.

A task names those of its own among its `baselines`.
"""

from __future__ import annotations

import numpy as np

from deconvdemo.errors import ControlError
from deconvdemo.units import GREY_LEVELS


def nothing(observed: np.ndarray, sigma: float) -> np.ndarray:
    """The noisy image itself, clipped and rounded: what denoising starts from."""
    return observed


def non_local_means(observed: np.ndarray, sigma: float) -> np.ndarray:
    """Averages of similar patches (Buades, Coll & Morel 2005), OpenCV's, each channel by itself, with h = 0.9 sigma."""
    import cv2

    channels = [
        cv2.fastNlMeansDenoising(channel.copy(), None, 0.9 * sigma, 7, 21) for channel in np.moveaxis(observed, 2, 0)
    ]
    return np.stack(channels, axis=2)


def wavelet(observed: np.ndarray, sigma: float) -> np.ndarray:
    """BayesShrink thresholds of wavelet coefficients (Chang, Yu & Vetterli 2000), scikit-image's."""
    restoration = _scikit_image()
    try:
        unit = restoration.denoise_wavelet(
            observed / GREY_LEVELS, sigma / GREY_LEVELS, channel_axis=2, convert2ycbcr=True, rescale_sigma=True
        )
    except ImportError:  # scikit-image looks for it only now
        raise ControlError("wavelet needs PyWavelets: `pip install PyWavelets` to have it") from None
    return np.clip(unit * GREY_LEVELS, 0, GREY_LEVELS).round().astype(np.uint8)


def bicubic(observed: np.ndarray, scale: int) -> np.ndarray:
    """Keys' cubic interpolation: super-resolution's plain resize."""
    import torch

    from deconvdemo.bicubic import resize

    images = torch.from_numpy(observed.astype(np.float32)).permute(2, 0, 1)[None]
    enlarged = resize(images, scale)[0].permute(1, 2, 0)
    return enlarged.clamp(0, GREY_LEVELS).round().numpy().astype(np.uint8)


def lanczos(observed: np.ndarray, scale: int) -> np.ndarray:
    """A windowed sinc of eight taps, OpenCV's."""
    import cv2

    height, width = observed.shape[:2]
    return cv2.resize(observed, (width * scale, height * scale), interpolation=cv2.INTER_LANCZOS4)


def telea(observed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fast marching from the hole's edge inwards (Telea 2004), OpenCV's with a radius of 5."""
    import cv2

    return cv2.inpaint(np.ascontiguousarray(observed), mask.astype(np.uint8), 5, cv2.INPAINT_TELEA)


def navier_stokes(observed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Lines of equal lightness continued as a fluid flows (Bertalmio et al. 2001), OpenCV's with a radius of 5."""
    import cv2

    return cv2.inpaint(np.ascontiguousarray(observed), mask.astype(np.uint8), 5, cv2.INPAINT_NS)


def biharmonic(observed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The smoothest surface through the hole's edge (Damelin & Hoang 2018), scikit-image's."""
    unit = _scikit_image().inpaint_biharmonic(observed / GREY_LEVELS, mask, channel_axis=2, split_into_regions=True)
    return np.clip(unit * GREY_LEVELS, 0, GREY_LEVELS).round().astype(np.uint8)


def _scikit_image():
    try:
        from skimage import restoration
    except ImportError:
        raise ControlError("this method is scikit-image's: `pip install scikit-image` to have it") from None
    return restoration
