"""Denoising: y = x + n, the network knows the noise's sigma (or judges it by itself) and estimates the noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deconvdemo.image.noise_estimation import estimate_sigma
from deconvdemo.tasks.classical import non_local_means, nothing, wavelet
from deconvdemo.tasks.common_controls import STRENGTH, WRAP, noise_level, variants
from deconvdemo.tasks.control import Variant
from deconvdemo.tasks.declared import Axis, Baseline, Degraded, Example
from deconvdemo.tasks.harm import Harm, ramp
from deconvdemo.tasks.task import PHOTO, STANDARD, UNKNOWN_SIGMA, Task
from deconvdemo.tasks.wild import SEVERITIES, photographed, seen_as
from deconvdemo.units import GREY_LEVELS

if TYPE_CHECKING:
    from torch import Tensor

MAX_SIGMA = 75.0
NOTHING_TO_REMOVE = "a clean photo, nothing to remove"
# of the level that is judged, where harm is slight and where it is much: too much takes fine texture, too little leaves
# noise
TOLD, MUCH, SLIGHT_TO_MUCH = 0.9, 1.15, (6.0, 12.0)  # grey levels
# and where a photo is soft: there is no fine texture to lose
OF_SOFT, SHARP_TO_SOFT = 1.2, (0.8, 1.2)  # pixels
OF_NOISE = 0.7  # what JPEG leaves of the noise, at least
LEAST_TOLD, OF_TRACES = 3.0, 1.0  # grey levels, for a photo with noise, and for a JPEG file that leaves traces
FAINTEST = 0.01  # grey levels: an estimate below is no noise
SIGMAS = (15.0, 25.0, 50.0)  # the literature's
ISOS = (400, 1600, 6400)
QUALITIES = (10, 20, 40)  # of the JPEG alone, as papers on removing its traces have it
CAMERA_QUALITY = 92  # of the JPEG that the camera writes, with halved chroma
# a camera's usual curve and noise reduction: the middle of what training draws
USUAL = {"contrast": 1.6, "lift": 0.6, "saturation": 1.2, "chroma_blur": 1.5, "luma_blur": 1.2, "grain": 0.3}


def told_of(harm: Harm, share: float | None = None) -> float:
    """The level, in grey levels, that the network for photos is told: a `share` of what is judged, more of more."""
    if share is None:
        share = TOLD + (MUCH - TOLD) * ramp(harm.level, *SLIGHT_TO_MUCH)
        share += (OF_SOFT - share) * ramp(harm.blur, *SHARP_TO_SOFT)
    return max(share * harm.level, OF_NOISE * harm.noise)


class Denoise(Task):
    name = "denoise"
    verb = "Denoise"
    title = "Denoise"
    promise = "Removes grain and sensor noise while keeping what the photo shows."
    controls = (
        noise_level(
            "How far noise moves a pixel (root mean square), in grey levels of 0–255: 5 is faint, 25 is strong grain, "
            "50 hides details. Too high smooths the photo, too low leaves noise.",
            MAX_SIGMA,
        ),
        STRENGTH,
        variants(
            standard=Variant("Even noise", "Grain of one strength everywhere: film scans, renderings, test images."),
            # trained with the level of all that disturbs a photo in half of its patches, with none in the others
            photo=Variant(
                "Camera photos",
                "Noise of real cameras and traces of JPEG: most pictures from phones and the web.",
                judges=("sigma",),
            ),
            fast=Variant("Speed", "A smaller network for even noise: quicker, less thorough."),
        ),
        WRAP,
    )
    examples = (
        Example("Portrait, noise of sigma 25", "astronaut-noisy.webp"),
        Example("Cat, noise of sigma 40", "cat-noisy.webp"),
    )
    tag = "denoising"
    arguments = "photo.jpg -o clean.jpg"
    protocols: ClassVar = {STANDARD: {"sigma": Axis("noise levels", SIGMAS)}, PHOTO: {"iso": Axis("ISO", ISOS)}}
    sets = ("cbsd68", "kodak24", "mcmaster", "polyu", "urban100")
    watched = ("cbsd68", "polyu")
    wild: ClassVar = {"severity": Axis("severities", tuple(SEVERITIES))}
    benched: ClassVar = ({"quality": Axis("JPEG's quality", QUALITIES)},)
    pairs: ClassVar = {"_noisy": {}}
    real = "real noise"
    baselines = (
        Baseline("nothing", nothing),
        Baseline("nlm", non_local_means, "Non-local means"),
        Baseline("wavelet", wavelet, quick=False),
    )
    duelled: ClassVar = {"sigma": (15.0, 25.0, 40.0)}
    usual: ClassVar = {"sigma": 25.0}
    keeps_clean = True
    own_pair = "noisy"
    expert = "fast"

    def choosing(self, controls: dict[str, Any], harm: Harm | None = None) -> dict[str, Any]:
        """White noise goes to the standard network, all else to the one for photos, which is told how much there is.

        Told so it leaves good photos alone, and removes more from bad ones, than when it judges by itself.
        """
        chosen = super().choosing(controls, harm)
        if harm is None or not self.differs(controls):
            return chosen
        left_open = controls["sigma"] is None
        if left_open and harm.is_faint:
            return {**chosen, "sigma": 0.0}
        if harm.is_white:
            return chosen
        return {**chosen, "variant": PHOTO, "sigma": _level_for(harm) if left_open else controls["sigma"]}

    def saw(self, controls: Mapping[str, Any], harm: Harm) -> str:
        return NOTHING_TO_REMOVE if controls["sigma"] == 0 and harm.is_faint else super().saw(controls, harm)

    def goes_by_softness(self, controls: Mapping[str, Any], harm: Harm) -> bool:
        level = _level_for(harm)
        return controls["variant"] == PHOTO and controls["sigma"] == level != _level_for(replace(harm, blur=0.0))

    def settled(self, pixels: np.ndarray, controls: dict[str, Any], seen: np.ndarray | None = None) -> dict[str, Any]:
        if controls["sigma"] is not None or "sigma" in self.judged(controls):
            return controls
        sigma = min(estimate_sigma(pixels, seen), MAX_SIGMA)
        # 0 is for a photo without any: what is faint, such as traces of JPEG, goes to the network all the same
        return {**controls, "sigma": max(round(sigma, 1), 0.1) if sigma > FAINTEST else 0.0}

    def strength(self, controls: Mapping[str, Any]) -> float:
        # no noise, nothing to remove: a network leaves a few levels of its own even on a clean flat grey
        return 0.0 if controls["sigma"] == 0 else super().strength(controls)

    def inputs(self, observed: Tensor, holes: Tensor | None, controls: Mapping[str, Any]) -> Tensor:
        import torch

        sigma = UNKNOWN_SIGMA if controls["sigma"] is None else controls["sigma"]
        level = torch.full_like(observed[:, :1], sigma / GREY_LEVELS)
        return torch.cat([observed, level], dim=1)

    def degraded(
        self, clean: np.ndarray, setting: Mapping[str, Any], seed: int, mask: np.ndarray | None = None
    ) -> Degraded:
        """White noise that is neither clipped nor rounded; for the photo variant a camera's, and its JPEG.

        With a quality: JPEG alone. With a severity: as people's photos are.
        """
        if "severity" in setting:
            return seen_as(clean, photographed(clean, setting["severity"], seed), setting["severity"])
        if "quality" in setting:
            from deconvdemo.degradations.jpeg import jpeg_file, read_back

            quality = setting["quality"]
            file = jpeg_file(clean, quality, subsampling=2)
            return Degraded(
                clean, read_back(file), f"jpeg {quality}", f"kept as a JPEG of quality {quality}", file=file
            )
        import torch

        from deconvdemo.degradations import CameraNoise, GaussianNoise, Jpeg
        from deconvdemo.image.pixels import as_images, as_pixels, eight_bits

        images, rng = as_images(clean), torch.Generator().manual_seed(seed)
        if "iso" in setting:
            iso = setting["iso"]
            observed = eight_bits(Jpeg(CAMERA_QUALITY)(CameraNoise.at_iso(iso, **USUAL)(images, rng)))
            return Degraded(clean, observed, f"camera ISO {iso}", f"a camera's noise at ISO {iso} and its JPEG")
        sigma = setting["sigma"]
        observed = as_pixels(GaussianNoise(sigma)(images, rng))
        words = f"Noise of sigma {sigma:g} was added"
        return Degraded(
            clean, observed, f"sigma {sigma:g}", f"noise of sigma {sigma:g}", {"sigma": sigma}, sentence=words
        )

    def told(self, observed: np.ndarray, controls: Mapping[str, Any], mask: np.ndarray | None) -> tuple[float]:
        sigma = controls.get("sigma")
        return (estimate_sigma(observed) if sigma is None else sigma,)


def _level_for(harm: Harm) -> float:
    least = LEAST_TOLD if harm.is_noisy else OF_TRACES if harm.is_marked else 0.0
    return min(round(max(told_of(harm), least), 1), MAX_SIGMA)
