"""Deblurring: y = k ∗ x + n, the kernel is known, drawn or judged; the denoiser knows what photos look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deconvdemo.image.noise_estimation import estimate_sigma
from deconvdemo.tasks.common_controls import STRENGTH, WRAP, noise_level, variants
from deconvdemo.tasks.control import AUTO, Variant
from deconvdemo.tasks.declared import Axis, Baseline, Degraded, Example
from deconvdemo.tasks.kernel import NONE, TAPS, Kernel, kernel_of
from deconvdemo.tasks.task import STANDARD, Task
from deconvdemo.units import GREY_LEVELS

if TYPE_CHECKING:
    from torch import Tensor

    from deconvdemo.deconvolution.splitting import Turns

MAX_SIGMA = 50.0
LEAST_SIGMA = 0.5  # grey levels: a photo's file has been rounded, at least
MOVED = "motion:17,25"  # in the example
KERNELS = ("gaussian:1.6", "defocus:3", "motion:15,30")
NOISES = (2.55, 7.65)  # the literature's: 1 % and 3 % of white
ROUNDS = {"wiener": 8, "variation": 3}  # in which what lies beyond the borders is guessed anew
TINY = 1e-9  # what is divided by where a blur left nothing: the inverse filter itself would divide by 0
LUCY = (5.0, 30, 12)  # iterations of Richardson and Lucy's where there is less noise than this, and where there is more
SHARP = "neither soft nor out of focus; a camera that moved must be told, or drawn"
FOUND = {"gaussian": "softened, by about {:.1f} pixels", "defocus": "out of focus, by about {:.1f} pixels"}


class Deblur(Task):
    name = "deblur"
    verb = "Deblur"
    title = "Deblur"
    promise = "Undoes a blur whose shape is known, drawn or judged: a lens out of focus, a camera that moved."
    nothing = "nothing to undo"
    by_turns = True
    trains = False
    controls = (
        Kernel("kernel", "Blur", "What blurred the photo: how far, and how, a point of light was spread.", AUTO),
        noise_level(
            "How far noise moves a pixel, in grey levels of 0–255. More is softer, and forgives a blur that is not "
            "quite the right one.",
            MAX_SIGMA,
        ),
        STRENGTH,
        variants(
            "Method",
            standard=Variant("Denoiser as prior", "Our denoiser says, in turns with the blur, what photos look like."),
            fast=Variant("Small denoiser", "The same with the smaller network: quicker, a little less thorough."),
            wiener=Variant("Wiener", "One division in the Fourier domain, tempered by the noise.", network=False),
            lucy=Variant("Richardson–Lucy", "Step by step towards what would look so blurred.", network=False),
            variation=Variant("Total variation", "As few edges as explain what is seen.", network=False),
            inverse=Variant("Inverse", "The plain division: exact without noise, and drowned by it.", network=False),
        ),
        WRAP,
    )
    examples = (
        Example("Portrait, out of focus", "astronaut-defocused.webp", controls={"kernel": AUTO}),
        Example("Cat, camera moved", "cat-moved.webp", controls={"kernel": MOVED}),
    )
    tag = "image-to-image"
    arguments = "photo.jpg --kernel motion:15,30 -o sharp.png"
    protocols: ClassVar = {STANDARD: {"kernel": Axis("blurs", KERNELS), "noise": Axis("noise levels", NOISES)}}
    sets = ("set3c",)
    pairs: ClassVar = {"_blurred": {}}
    baselines = (
        Baseline("wiener", lambda *given: _classical("wiener", *given), "Wiener's filter"),
        Baseline("richardson-lucy", lambda *given: _classical("lucy", *given), "Richardson–Lucy"),
        Baseline("total-variation", lambda *given: _classical("variation", *given), "Total variation"),
        Baseline("inverse", lambda *given: _classical("inverse", *given)),
    )
    duelled: ClassVar = {"kernel": KERNELS, "noise": NOISES[:1]}
    usual: ClassVar = {"kernel": KERNELS[0], "sigma": NOISES[0]}

    def weights(self, controls: Mapping[str, Any]) -> str:
        """The denoiser's."""
        return "denoise-fast" if controls.get("variant") == "fast" else "denoise"

    def settled(self, pixels: np.ndarray, controls: dict[str, Any], seen: np.ndarray | None = None) -> dict[str, Any]:
        sigma, kernel = controls["sigma"], controls["kernel"]
        if sigma is None:
            sigma = round(min(max(estimate_sigma(pixels, seen), LEAST_SIGMA), MAX_SIGMA), 1)
        if kernel == AUTO:
            from deconvdemo.deconvolution.blind import estimate_blur

            kernel = estimate_blur(pixels, sigma, seen).words()
        return {**controls, "sigma": sigma, "kernel": kernel}

    def found(self, asked: Mapping[str, Any], settled: Mapping[str, Any]) -> str:
        kind, _, width = settled["kernel"].partition(":")
        if asked["kernel"] != AUTO:
            return ""
        return SHARP if kind == NONE else FOUND[kind].format(float(width))

    def strength(self, controls: Mapping[str, Any]) -> float:
        return 0.0 if controls["kernel"] == NONE else super().strength(controls)

    def turns(self, observed: Tensor, controls: Mapping[str, Any]) -> Turns:
        import torch

        from deconvdemo.deconvolution.borders import beyond_guessed, cropped, extended, known_of
        from deconvdemo.deconvolution.splitting import splitting_turns

        kernel, sigma = kernel_of(controls["kernel"]), max(controls["sigma"], LEAST_SIGMA)
        shown, known = observed, None
        if not self.wraps(controls) and controls["variant"] != "lucy":  # whose scene is larger than the photo by itself
            shown = extended(observed, kernel)
            known = known_of(shown, observed)
        if plainly := _plainly(controls["variant"], kernel, sigma):
            rounds = ROUNDS.get(controls["variant"], 0)
            planes = [
                plainly(one) if known is None else beyond_guessed(one, kernel, known, plainly, rounds)
                for one in shown.split(1, dim=1)  # a third of the memory
            ]
            return cropped(torch.cat(planes, 1), observed).to(observed.dtype)
        found = yield from splitting_turns(shown, kernel, sigma, known=known)
        return cropped(found, observed)

    def degraded(
        self, clean: np.ndarray, setting: Mapping[str, Any], seed: int, mask: np.ndarray | None = None
    ) -> Degraded:
        """Blurred circularly, as the literature does, with white noise that is neither clipped nor rounded."""
        import torch

        from deconvdemo.deconvolution.operators import Convolution
        from deconvdemo.image.pixels import as_images, as_pixels

        kernel, noise = setting["kernel"], float(setting["noise"])
        blurred = Convolution(kernel_of(kernel))(as_images(clean).double())
        drawn = torch.randn(blurred.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        observed = as_pixels((blurred + noise / GREY_LEVELS * drawn).float())
        told = {"kernel": kernel, "sigma": noise, "wrap": True}
        words = "kernels of files" if kernel.startswith(TAPS) else kernel
        return Degraded(
            clean, observed, f"{words}, {noise:g}", f"blurred by {words}, with noise of sigma {noise:g}", told
        )

    def told(self, observed: np.ndarray, controls: Mapping[str, Any], mask: np.ndarray | None) -> tuple[Any, ...]:
        settled = self.settled(observed, {"kernel": AUTO, "sigma": None, **controls})
        return settled["kernel"], settled["sigma"], self.wraps(controls)


def _plainly(method: str, kernel: Tensor, sigma: float) -> Callable[[Tensor], Tensor] | None:
    """The classical method of this variant, of periodic images; None for a network's."""
    from deconvdemo.deconvolution.inverse import tikhonov, wiener
    from deconvdemo.deconvolution.richardson_lucy import richardson_lucy
    from deconvdemo.deconvolution.splitting import sparse_gradients

    iterations = LUCY[1] if sigma < LUCY[0] else LUCY[2]
    return {
        "wiener": lambda observed: wiener(observed, kernel, sigma),
        "lucy": lambda observed: richardson_lucy(observed, kernel, iterations),
        "variation": lambda observed: sparse_gradients(observed, kernel, sigma),
        "inverse": lambda observed: tikhonov(observed, kernel, TINY),
    }.get(method)


def _classical(method: str, observed: np.ndarray, kernel: str, sigma: float, wrap: bool) -> np.ndarray:
    """(H, W, 3) uint8 as the variant of this name restores it, for who compares methods without a restorer."""
    from deconvdemo.image.pixels import as_images, eight_bits

    if kernel == NONE:
        return observed
    controls = {"kernel": kernel, "sigma": sigma, "variant": method, "wrap": wrap}
    try:
        next(Deblur().turns(as_images(observed), controls))
    except StopIteration as ended:
        return eight_bits(ended.value)
    raise AssertionError("a classical method asks no denoiser")
