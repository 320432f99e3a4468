"""One restoration under way: the photo, its result so far, and how one tile of it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deconvdemo.bicubic import linear, resize
from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.tiles import Tile, window_of
from deconvdemo.errors import DeviceError
from deconvdemo.image.alpha import visible_colours
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import as_images, as_pixels
from deconvdemo.tasks import Task


@dataclass
class Work:
    """`result` has the photo's dtype and is filled tile by tile: floats exist for one tile at a time."""

    task: Task
    controls: Mapping[str, Any]
    photo: Photo
    mask: np.ndarray | None
    weight: np.ndarray | None  # (H, W) float32: the task's hole_weight
    seen: np.ndarray | None  # (H, W) bool: where the photo is visible; None: everywhere
    network: nn.Module
    checkpoint: Checkpoint
    compute_on: Compute
    result: np.ndarray = field(init=False)
    colours: np.ndarray = field(init=False)  # the photo's, with visible ones in place of those that nobody sees
    middle: np.ndarray | None = None  # (H, W) bool: what is filled already, in `shown`, as a deep hole's middle is
    shown: np.ndarray | None = None  # the photo with it, or cleaned: what the network is shown
    notes: list[str] = field(default_factory=list)
    saw: str = ""
    cleaner: Work | None = None  # what removes noise and JPEG traces from the photo before the network is shown it

    def __post_init__(self):
        self.colours = self.photo.pixels
        if self.seen is not None:
            known = self.seen if self.weight is None else self.seen & (self.weight == 0)
            self.colours = visible_colours(self.photo.pixels, known, ~self.seen, self.wraps)
        height, width, channels = self.photo.pixels.shape
        self.result = np.empty((height * self.scale, width * self.scale, channels), self.photo.pixels.dtype)

    @property
    def scale(self) -> int:
        return self.task.scale(self.controls)

    @property
    def wraps(self) -> bool:
        return self.task.wraps(self.controls)

    def note(self, text: str) -> None:
        """Adds something the user should be told, once."""
        if text not in self.notes:
            self.notes.append(text)

    @torch.inference_mode()
    def run(self, tile: Tile, estimate: Tensor | None = None) -> None:
        """Computes `tile` and puts its core into the result: plain + strength · weight · (estimate − plain).

        The estimate is the network's, unless one is given, as large as the tile's window.
        """
        core = (..., *tile.kept(self.scale))
        shown = as_images(window_of(self.colours if self.shown is None else self.shown, tile))
        filled = None if self.middle is None else torch.from_numpy(window_of(self.middle, tile))
        weight = None if self.weight is None else as_images(window_of(self.weight, tile)[..., None])
        restored = self._plain(tile)[core]
        strength = self.task.strength(self.controls) * (torch.ones(()) if weight is None else weight[core])
        if self.seen is not None and weight is None and self.scale == 1:  # what nobody sees stays as it is
            strength = strength * as_images(window_of(self.seen, tile)[..., None])[core]
        if strength.any():
            # exact where the strength is 0 or 1: there, rounding lets nothing through of what was lost
            estimate = self._estimate(shown, weight, filled) if estimate is None else estimate
            restored = torch.lerp(restored, estimate[core], strength)
        if self.scale > 1 and self.photo.alpha is not None:
            alpha = as_images(window_of(self.photo.alpha, tile)[..., None])
            restored = restored + towards_visible(shown, alpha, self.scale)[core]
        self.result[tile.placed(self.scale)] = as_pixels(restored, self.result.dtype)

    def _plain(self, tile: Tile) -> Tensor:
        """The image at strength 0: as large as the photo it has its hidden colours, too; larger, visible ones alone."""
        shown = self.photo.pixels if self.scale == 1 else self.colours
        return self.task.plain(as_images(window_of(shown, tile)), self.controls)

    def _estimate(self, observed: Tensor, weight: Tensor | None, filled: Tensor | None) -> Tensor:
        """The network's full result for one window, in the photo's own channels; what is `filled` stays."""
        holes = None if weight is None else (weight > 0).float()
        if holes is not None and filled is not None:
            holes = holes * ~filled
        inputs = self.task.inputs(observed.expand(-1, 3, -1, -1), holes, self.controls)
        estimate = self._call(inputs, self.compute_on)
        if not torch.isfinite(estimate).all():
            self.note(f"{self.compute_on.precision} overflowed: some tiles were computed again in fp32")
            estimate = self._call(inputs, self.compute_on.in_fp32())
        if not torch.isfinite(estimate).all():
            raise DeviceError(
                f"{self.checkpoint.name} gave a result that is not finite, even in fp32: "
                "use other weights or another photo"
            )
        estimate = estimate if observed.shape[1] == 3 else estimate.mean(dim=1, keepdim=True)
        return estimate if filled is None else torch.where(filled, observed, estimate)

    def _call(self, inputs: Tensor, compute_on: Compute) -> Tensor:
        with compute_on.autocast():
            return self.network(compute_on.images(inputs)).float().cpu()


def towards_visible(colours: Tensor, alpha: Tensor, scale: int) -> Tensor:
    """How far each colour of an enlarged photo has to move for every pixel to count as much as it is visible.

    (1, C, H, W) and (1, 1, H, W) in [0, 1] → (1, C, scale·H, scale·W). Of a white disc and its faint black shadow, what
    lies between is almost white (Porter & Duff 1984 resize premultiplied colours for this). The two means are linear
    ones: without negative weights, their quotient stays between the colours. It is 0 where alpha is even.
    """
    if (alpha == alpha[..., :1, :1]).all():
        return torch.zeros((1, 1, scale * alpha.shape[2], scale * alpha.shape[3]))
    share, mean = resize(alpha, scale, linear), resize(colours, scale, linear)
    visible = resize(colours * alpha, scale, linear) / share.clamp(min=1e-6)
    return torch.where(share > 1e-6, visible - mean, 0.0)
