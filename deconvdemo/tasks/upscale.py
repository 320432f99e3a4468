"""Super-resolution: y is x, shrunk; the network paints the larger image with a learned deconvolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deconvdemo.tasks.classical import bicubic, lanczos
from deconvdemo.tasks.common_controls import STRENGTH, WRAP, variants
from deconvdemo.tasks.control import Number, Variant
from deconvdemo.tasks.declared import Axis, Baseline, Degraded, Example, Tile
from deconvdemo.tasks.harm import Harm, ramp
from deconvdemo.tasks.task import PHOTO, STANDARD, UNKNOWN_SIGMA, Task
from deconvdemo.tasks.wild import SEVERITIES, seen_as, shrunk
from deconvdemo.units import GREY_LEVELS

if TYPE_CHECKING:
    from torch import Tensor

SCALES = (2, 3, 4)
CLEAN = 1.0  # grey levels: what disturbs a picture less is not seen when it is enlarged
QUALITIES = (75, 40)  # of the JPEG that is to be enlarged: the web's, and a poor one
HALVED_CHROMA = 2  # Pillow's word for 4:2:0, which both have
# what Auto cleans first, more and more from one to the other: the noise in grey levels, and its share of all that
# disturbs. What JPEG alone did, the networks for photos undo better, and some of it looks like noise to the judge;
# but not what a file of poor quality did, as its tables tell
NOISE, SHARE, POOR = (1.0, 3.0), (0.45, 0.7), (75, 60)
GAINING = (2, 3)  # the scales at which that measures better
MOST_CLEANED = 0.5  # by Auto: more costs photos of fine texture, which looks like noise, too

CLEANUP = Number(
    "cleanup",
    "Clean-up",
    "How much of the noise and JPEG traces is removed before the photo is enlarged: 0 none, 1 strong.",
    default=None,
    step=0.05,
    automatic=True,
)


class Upscale(Task):
    name = "upscale"
    verb = "Upscale"
    title = "Super-resolution"
    promise = "Enlarges a photo two, three or four times with sharper edges than resizing gives."
    controls = (
        Number("scale", "Scale", "How many times longer each side becomes.", default=2, choices=SCALES),
        STRENGTH,
        variants(
            standard=Variant("Clean pictures", "Pictures without traces of compression: PNG, renderings, fine JPEG."),
            photo=Variant(
                "JPEG photos", "Compressed photos: the blocks and ringing of JPEG are not enlarged with them."
            ),
            vivid=Variant(
                "Sharper: invents detail",
                "Texture where the photo has none left: likely, not what was there.",
            ),
            fast=Variant("Speed", "A smaller network for clean pictures: quicker, less sharp."),
        ),
        WRAP,
        CLEANUP,
    )
    found_by_auto = (CLEANUP.name,)
    blind = (PHOTO, "vivid")
    examples = (Example("Small cat", "cat-small.png"), Example("Small portrait", "astronaut-small.png"))
    tag = "super-resolution"
    arguments = "photo.jpg --scale 2 -o large.png"
    tile = Tile("cat", 50, 70, "Stéfan van der Walt, CC0")
    protocols: ClassVar = {
        STANDARD: {"scale": Axis("scales", SCALES)},
        PHOTO: {"scale": Axis("scales", SCALES), "quality": Axis("JPEG's quality", QUALITIES)},
    }
    sets = ("set5", "set14", "bsd100", "urban100")
    watched = ("set5",)
    wild: ClassVar = {"scale": Axis("scales", SCALES), "severity": Axis("severities", tuple(SEVERITIES))}
    pairs: ClassVar = {f"_lr_x{scale}": {"scale": scale} for scale in SCALES}
    real = "pairs"
    on_luma = True
    baselines = (Baseline("bicubic", bicubic, "Bicubic"), Baseline("lanczos", lanczos, "Lanczos"))
    duelled: ClassVar = {"scale": (2, 3)}
    own_pair = "self"

    def choosing(self, controls: dict[str, Any], harm: Harm | None = None) -> dict[str, Any]:
        """Clean pictures go to the standard network, compressed and noisy ones to the one for photos, cleaned first."""
        chosen = super().choosing(controls, harm)
        if harm is None or not self.differs(controls):
            return chosen
        harmed = harm.noise >= CLEAN or (harm.is_compressed and harm.level >= CLEAN)
        if not harmed:
            return chosen
        cleanup = controls["cleanup"]
        if cleanup is None:
            cleanup = _cleanup_for(harm) if controls["scale"] in GAINING else 0.0
        return {**chosen, "variant": PHOTO, "cleanup": cleanup}

    def chosen_in_words(self, controls: Mapping[str, Any]) -> str:
        network = super().chosen_in_words(controls)
        return f"cleaned first, {network}" if self.cleaning(controls) else network

    def settled(self, pixels: np.ndarray, controls: dict[str, Any], seen: np.ndarray | None = None) -> dict[str, Any]:
        return {**controls, "cleanup": self.cleaning(controls)}

    def cleaning(self, controls: Mapping[str, Any]) -> float:
        return controls.get("cleanup") or 0.0

    def weights(self, controls: Mapping[str, Any]) -> str:
        return self._named(f"{self.name}-x{controls['scale']}", controls)

    def scale(self, controls: Mapping[str, Any]) -> int:
        return controls["scale"]

    def inputs(self, observed: Tensor, holes: Tensor | None, controls: Mapping[str, Any]) -> Tensor:
        if controls.get("variant") not in self.blind:
            return observed
        import torch

        # half of those networks' training had the level of what was to be cleaned up in this channel, half this
        level = torch.full_like(observed[:, :1], UNKNOWN_SIGMA / GREY_LEVELS)
        return torch.cat([observed, level], dim=1)

    def plain(self, observed: Tensor, controls: Mapping[str, Any]) -> Tensor:
        """Bicubic: what the network's correction is added to."""
        from deconvdemo.bicubic import resize

        return resize(observed, controls["scale"])

    def degraded(
        self, clean: np.ndarray, setting: Mapping[str, Any], seed: int, mask: np.ndarray | None = None
    ) -> Degraded:
        """Shrunk by MATLAB-like bicubic and rounded; for the photo variant as a JPEG.

        With a severity: as people's small photos are.
        """
        from deconvdemo.degradations import BicubicDownscale
        from deconvdemo.degradations.jpeg import jpeg_file, read_back
        from deconvdemo.image.pixels import as_images, eight_bits

        scale, quality = setting["scale"], setting.get("quality")
        images, shrink = as_images(clean), BicubicDownscale(scale)
        if "severity" in setting:
            cropped = eight_bits(shrink.crop(images))
            return seen_as(cropped, shrunk(cropped, scale, setting["severity"], seed), setting["severity"], scale)
        small = eight_bits(shrink(images))
        file = None if quality is None else jpeg_file(small, quality, HALVED_CHROMA)
        return Degraded(
            eight_bits(shrink.crop(images)),
            small if file is None else read_back(file),
            f"×{scale}" + ("" if quality is None else f" jpeg {quality}"),
            f"made {scale} times smaller" + ("" if quality is None else f", JPEG of quality {quality}"),
            {"scale": scale},
            file=file,
        )

    def told(self, observed: np.ndarray, controls: Mapping[str, Any], mask: np.ndarray | None) -> tuple[int]:
        return (controls["scale"],)


def _cleanup_for(harm: Harm) -> float:
    share = harm.noise / max(harm.level, harm.noise, CLEAN)
    by_noise = ramp(harm.noise, *NOISE) * ramp(share, *SHARE)
    by_file = 0.0 if harm.quality is None else ramp(harm.quality, *POOR)
    return round(MOST_CLEANED * max(by_noise, by_file), 2)
