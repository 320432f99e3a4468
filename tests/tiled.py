"""Law 3 for tests: a tiled result is the whole photo's but for rounding. See `engine.rounding` for what that means."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from deconvdemo.engine.restorer import Restorer
from deconvdemo.engine.rounding import Rounding
from deconvdemo.engine.tiles import plan
from deconvdemo.tasks import TASKS

WHOLE = 4096  # pixels: no test's photo is larger


def assert_tiled_is_whole(
    restorer: Restorer,
    task: str,
    cases: Iterable[tuple[np.ndarray, np.ndarray | None, int]],
    controls: dict[str, Any] | None = None,
    least: int = 20_000,
) -> None:
    """Restores each (photo, mask, tile size) in tiles and whole, and judges all of them together.

    Together, for one of 20,000 to mean something: they must have at least that many values.
    """
    compared, controls = Rounding(), controls or {}
    for photo, mask, size in cases:
        tiled, whole = (
            Restorer(restorer.weights, restorer.compute_on, tile, restorer.max_pixels).restore(
                task, photo, mask, **controls
            )
            for tile in (size, WHOLE)
        )
        assert tiled.tiles > whole.tiles
        scale = TASKS[task].scale(tiled.controls)
        network = restorer.weights.load(tiled.checkpoint["name"]).network()
        stride = math.lcm(int(network.stride), TASKS[task].grid)
        height, width = photo.shape[:2]
        cores = plan(height, width, size, 0, stride)  # which surroundings they have is of no matter here
        compared.add(tiled.photo.pixels, whole.photo.pixels, cores, scale)
    assert compared.values >= least
    assert not compared.broken(), compared.broken()  # pytest explains asserts in files of tests alone
    assert compared.at_edges > 0
