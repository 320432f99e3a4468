"""Super-resolution: y is x, shrunk; the network paints the larger image with a learned deconvolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deconvdemo.image.metrics import GREY_LEVELS
from deconvdemo.tasks.control import Number, Variant
from deconvdemo.tasks.task import STRENGTH, UNKNOWN_SIGMA, WRAP, Task, variants

if TYPE_CHECKING:
    from torch import Tensor

SCALES = (2, 3, 4)


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
            fast=Variant("Speed", "A smaller network for clean pictures: quicker, less sharp."),
        ),
        WRAP,
    )

    def weights(self, controls: Mapping[str, Any]) -> str:
        return self._named(f"{self.name}-x{controls['scale']}", controls)

    def scale(self, controls: Mapping[str, Any]) -> int:
        return controls["scale"]

    def inputs(self, observed: Tensor, holes: Tensor | None, controls: Mapping[str, Any]) -> Tensor:
        if controls.get("variant") != "photo":
            return observed
        import torch

        # half of that network's training had the level of what was to be cleaned up in this channel, half this
        level = torch.full_like(observed[:, :1], UNKNOWN_SIGMA / GREY_LEVELS)
        return torch.cat([observed, level], dim=1)

    def plain(self, observed: Tensor, controls: Mapping[str, Any]) -> Tensor:
        """Bicubic: what the network's correction is added to."""
        from deconvdemo.networks.bicubic import resize

        return resize(observed, controls["scale"])
