"""Inpainting: the pixels under a mask are lost; a conv encoder and deconv decoder continue what surrounds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deconvdemo.errors import PhotoError
from deconvdemo.tasks.classical import biharmonic, navier_stokes, telea
from deconvdemo.tasks.common_controls import STRENGTH, variants
from deconvdemo.tasks.control import Number, Switch, Variant
from deconvdemo.tasks.declared import Baseline, Degraded, Example, Tile
from deconvdemo.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

# pixels to the nearest known one, up to which the bundled network continues a photo. In the middle of discs of this
# radius its gradient energy is a tenth of what was lost (a quarter at 4 pixels, a twentieth at 12; in the middle of
# bars less: medians over 14 photos, docs/results.md): farther in it paints fog
CONTINUED = 8


class Inpaint(Task):
    name = "inpaint"
    verb = "Fill in"
    title = "Inpaint"
    promise = "Paint over scratches, writing or a blemish, and the network fills in what could be there."
    needs_mask = True
    limit = (
        CONTINUED,
        f"Some of this is farther than {CONTINUED} pixels from what is left of the photo, which is as far as the "
        "network can continue it. What is farther in will be invented: copied from elsewhere in the photo, or smooth.",
    )
    reach, grid = 72, 4  # coarse_fill's REACH and CELL, which cannot be imported without torch (a test compares them)
    controls = (
        Number(
            "grow",
            "Grow the mask",
            "Pixels by which the painted area is widened: catches the soft edge of a scratch or of writing.",
            default=0,
            maximum=50,
            step=1,
        ),
        Number(
            "feather",
            "Feather",
            "Width in pixels of the soft seam outside the painted area: 0 leaves every unpainted pixel untouched.",
            default=0,
            maximum=50,
            step=1,
        ),
        STRENGTH,
        variants(
            standard=Variant("Quality", "The most plausible filling that a network here finds."),
            fast=Variant("Speed", "A smaller network: quicker, for thin scratches and writing."),
        ),
        Switch(
            "smooth",
            "Smooth large holes",
            f"The middle of holes, farther than {CONTINUED} pixels from what is known, gets texture from elsewhere in "
            "the photo where a smooth filling would look like fog. This fills it smoothly all the same.",
            default=False,
        ),
    )
    examples = (
        Example("Scratched coffee", "coffee-scratched.png", "coffee-scratched-mask.png"),
        Example("Cat under writing", "cat-writing.png", "cat-writing-mask.png"),
    )
    tag = "inpainting"
    arguments = "photo.png --mask mask.png -o whole.png"
    tile = Tile("coffee", 80, 80, "Rachel Michetti, CC0", seed=2)
    sets = ("inpaint",)
    watched = ("inpaint",)
    pairs: ClassVar = {}
    baselines = (
        Baseline("telea", telea, "Telea's fast marching"),
        Baseline("navier-stokes", navier_stokes, "Navier–Stokes"),
        Baseline("biharmonic", biharmonic, quick=False),
    )
    usual: ClassVar = {"smooth": True}  # a network is judged by what is its own
    altered: ClassVar = {"grow": 3}
    flat = 4.0  # an invented filling moves more than a correction
    own_pair = "holes"

    def hole_weight(self, mask: np.ndarray | None, controls: Mapping[str, Any]) -> np.ndarray:
        if mask is None:
            raise PhotoError("inpaint needs a mask: paint over what is to be filled in, or give a mask image")
        if not mask.any():
            raise PhotoError("the mask is empty: paint over (or mark in white) what is to be filled in")
        if mask.all():
            raise PhotoError("the mask covers the whole photo: leave some of it for the network to go by")
        weight = (_grown(mask, controls["grow"]) if controls["grow"] else mask).astype(np.float32)
        if controls["feather"]:
            import cv2

            outside = cv2.distanceTransform((weight == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            weight = np.clip(1 - outside / (controls["feather"] + 1), 0, 1).astype(np.float32)
        return weight

    def textures(self, controls: Mapping[str, Any]) -> bool:
        return not controls["smooth"]

    def inputs(self, observed: Tensor, holes: Tensor | None, controls: Mapping[str, Any]) -> Tensor:
        import torch

        from deconvdemo.networks.coarse_fill import coarse_fill

        assert holes is not None
        return torch.cat([coarse_fill(observed, holes), holes], dim=1)

    def degraded(
        self, clean: np.ndarray, setting: Mapping[str, Any], seed: int, mask: np.ndarray | None = None
    ) -> Degraded:
        """Black where pixels are lost, along scratches if nobody says where.

        Large holes are to be filled smoothly: PSNR, by which networks are compared, prefers fog to any texture.
        """
        if mask is None:
            from deconvdemo.degradations.holes import scratches

            height, width = clean.shape[:2]
            mask = scratches(np.random.default_rng(seed), max(height, width))[:height, :width].astype(bool)
        observed = np.where(mask[..., None], 0, clean).astype(np.uint8)
        return Degraded(clean, observed, "holes", "scratched", self.usual, mask)


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    import cv2

    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), disc)
