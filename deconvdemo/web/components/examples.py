"""The photos that a visitor can try without one of their own.

Made from scikit-image's sample images: "astronaut" (NASA, public domain), "chelsea" (Stéfan van der Walt, CC0) and
"coffee" (Rachel Michetti, CC0), cropped or shrunk and then degraded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deconvdemo.web.asset import ASSETS

FOLDER = ASSETS / "examples"


@dataclass(frozen=True)
class Example:
    """A photo, and for inpainting the mask that goes with it."""

    label: str
    photo: Path
    mask: Path | None = None


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "denoise": (
        Example("Portrait, noise of sigma 25", FOLDER / "astronaut-noisy.webp"),
        Example("Cat, noise of sigma 40", FOLDER / "cat-noisy.webp"),
    ),
    "upscale": (
        Example("Small cat", FOLDER / "cat-small.png"),
        Example("Small portrait", FOLDER / "astronaut-small.png"),
    ),
    "inpaint": (
        Example("Scratched coffee", FOLDER / "coffee-scratched.png", FOLDER / "coffee-scratched-mask.png"),
        Example("Cat under writing", FOLDER / "cat-writing.png", FOLDER / "cat-writing-mask.png"),
    ),
}
