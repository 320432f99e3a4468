"""What a file does to an image: rounding to 8 bits, and JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deconvdemo.units import GREY_LEVELS

GRID = 16  # pixels: JPEG's blocks of 8×8, of 16×16 where chroma is halved, begin at multiples of this


def quantised(images: Tensor) -> Tensor:
    """Clipped to [0, 1] and rounded to 8 bits, still as floats: what a PNG of the image would hold."""
    return (images.clamp(0, 1) * GREY_LEVELS).round() / GREY_LEVELS


@dataclass(frozen=True)
class Jpeg:
    """Written as a JPEG file and read again, by Pillow's libjpeg: the real thing, on 8 bits.

    `quality` is libjpeg's 1–100 (cameras write 85–98, the web 60–85). `subsampling` is Pillow's: 0 keeps chroma whole
    (4:4:4), 1 halves its width (4:2:2), 2 both sides (4:2:0). `down` and `right` are where in the image the grid of
    blocks begins, 0–15 pixels: 0 but for a photo that was cropped after an earlier JPEG.
    """

    quality: float | Tensor
    subsampling: int | Tensor = 2
    down: int | Tensor = 0
    right: int | Tensor = 0

    def __call__(self, clean: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(N, 3, H, W) in [0, 1] → the same shape, of multiples of 1/255 in [0, 1]."""
        pixels = (clean.detach().clamp(0, 1) * GREY_LEVELS).round().to(torch.uint8)
        arrays = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        parameters = zip(
            *(
                torch.as_tensor(value).reshape(-1).expand(len(arrays)).tolist()
                for value in (self.quality, self.subsampling, self.down, self.right)
            ),
            strict=True,
        )
        read = [_written(array, *map(round, one)) for array, one in zip(arrays, parameters, strict=True)]
        back = torch.from_numpy(np.stack(read)).to(clean.device)
        return back.permute(0, 3, 1, 2).to(clean.dtype) / GREY_LEVELS


def _written(pixels: np.ndarray, quality: int, subsampling: int, down: int, right: int) -> np.ndarray:
    """(H, W, 3) uint8 through a JPEG whose grid begins at (down, right)."""
    above, before = -down % GRID, -right % GRID
    height, width = pixels.shape[:2]
    # what is outside the image continues its edge, as the encoder itself does on the other two sides
    padded = np.pad(pixels, ((above, 0), (before, 0), (0, 0)), mode="edge") if above or before else pixels
    read = read_back(jpeg_file(padded, quality, subsampling))
    return read[above : above + height, before : before + width]


def jpeg_file(pixels: np.ndarray, quality: int, subsampling: int) -> bytes:
    """(H, W, 3) uint8 as the bytes of a JPEG file, its grid in the corner."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def read_back(file: bytes) -> np.ndarray:
    """(H, W, 3) uint8 of what `jpeg_file` wrote."""
    return np.asarray(Image.open(io.BytesIO(file)))
