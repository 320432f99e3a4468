"""Law 3's measure: rounding passes, however a processor does it; a seam does not, however faint."""

import numpy as np
import pytest
import tiny
import torch
from tiled import assert_tiled_is_whole

from deconvdemo.checkpoints.header import Header
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.engine.rounding import EDGE, ONE_IN, Rounding
from deconvdemo.engine.tiles import plan

SIDE, TILE = 400, 100
TILES = plan(SIDE, SIDE, TILE, 8, 4)
VALUES = SIDE * SIDE * 3
ALLOWED = VALUES // ONE_IN


def grey() -> np.ndarray:
    return np.full((SIDE, SIDE, 3), 100, np.uint8)


def judged(changed: np.ndarray, scale: int = 1) -> str:
    rounding = Rounding()
    rounding.add(
        changed, grey(), TILES if scale == 1 else plan(SIDE // scale, SIDE // scale, TILE // scale, 8, 4), scale
    )
    return rounding.broken()


def scattered(count: int, by: int = 1, seed: int = 0) -> np.ndarray:
    changed = grey().reshape(-1)
    changed[np.random.default_rng(seed).choice(changed.size, count, replace=False)] += np.uint8(by)
    return changed.reshape(SIDE, SIDE, 3)


@pytest.mark.parametrize("seed", range(20))
def test_a_level_here_and_there_is_rounding(seed):
    assert not judged(scattered(ALLOWED, seed=seed))
    assert not judged(scattered(ALLOWED, seed=seed), scale=2)
    assert not judged(scattered(0))


def test_two_levels_are_not():
    assert judged(scattered(1, by=2)) == "a value differs by 2 levels, 1 at most is rounding"


def test_more_than_one_value_of_20000_is_not():
    assert judged(scattered(ALLOWED + 1)) == f"25 of {VALUES} values differ, 24 at most is rounding"


@pytest.mark.parametrize("place", ["above", "below", "left", "far"])
def test_few_values_along_an_edge_are_a_seam(place):
    changed = grey()
    where = {
        "above": np.s_[TILE - 1, 30:38, 0],
        "below": np.s_[TILE + EDGE - 1, 130:138, 0],
        "left": np.s_[200:208, 3 * TILE - 1, 0],
        "far": np.s_[200:208, 3 * TILE + TILE // 2, 0],
    }
    changed[where[place]] += 1
    assert judged(changed) == (
        "" if place == "far" else "8 of the 8 values that differ lie along tiles' edges, where 0.5 would by chance"
    )


def test_the_border_of_the_photo_is_no_tiles_edge():
    changed = grey()
    changed[0, 10:18] += np.uint8([1, 0, 0])
    changed[-1, 10:18] += np.uint8([1, 0, 0])
    assert not judged(changed)


def test_deeper_results_are_judged_in_levels_of_8_bits():
    rounding = Rounding()
    rounding.add(np.full((90, 90, 3), 100 * 257 + 100, np.uint16), np.full((90, 90, 3), 100 * 257, np.uint16))
    rounding.add(np.full((90, 90, 3), 0.5, np.float32), np.full((90, 90, 3), 0.501, np.float32))
    assert not rounding.broken()
    rounding.add(np.full((90, 90, 3), 0.6, np.float32), np.full((90, 90, 3), 0.5, np.float32))
    assert "25 levels" in rounding.broken()


# ---- by networks, as on processors that round by the image's size ----------------------------------------


class RoundsBySize(torch.nn.Module):
    """A network whose correction is off by some last bits, in another way for each size of the image."""

    def __init__(self, network: torch.nn.Module, last_bits: float):
        super().__init__()
        self.network, self.last_bits = network, last_bits
        self.scale, self.stride, self.radius = network.scale, network.stride, network.radius
        self.image_channels, self.side_channels = network.image_channels, network.side_channels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        restored = self.network(images)
        generator = torch.Generator().manual_seed(images.shape[-2] * 10_000 + images.shape[-1])
        return restored * (1 + self.last_bits * 2.0**-23 * torch.randn(restored.shape, generator=generator))


class Narrow(RoundsBySize):
    """One that says it sees less far than it does: its tiles lack the surroundings that they need."""

    def __init__(self, network: torch.nn.Module):
        super().__init__(network, 0)
        self.radius = 0


class OfOne:
    """In place of weights: one network that is in memory already."""

    name, sha256, source = "denoise", "0" * 64, "a test"
    header = Header("DeconvUNet", {}, "denoise")

    def __init__(self, network):
        self.made = network

    def load(self, name):
        return self

    def names(self):
        return [self.name]

    def asked_for(self):
        return []

    def network(self):
        return self.made


def restorer_of(network: torch.nn.Module) -> Restorer:
    return Restorer(OfOne(network), Compute("cpu", "fp32", "a test"))


CASES = [(tiny.picture(300, 280), None, 64), (tiny.picture(260, 300), None, 100)]


@pytest.mark.parametrize("last_bits", [0, 1, 2])
def test_a_processor_that_rounds_by_size_keeps_the_law(last_bits):
    """The imitated one differs as real ones do: bits do not agree, by one level in few values."""
    serving = restorer_of(RoundsBySize(tiny.network("DeconvUNet"), last_bits))
    assert_tiled_is_whole(serving, "denoise", CASES, {"sigma": 20})
    photo = CASES[0][0]
    tiled, whole = (
        Restorer(serving.weights, serving.compute_on, tile).restore("denoise", photo, sigma=20).photo.pixels
        for tile in (64, 4096)
    )
    if last_bits == 2:
        assert not np.array_equal(tiled, whole)


def test_tiles_without_their_surroundings_break_the_law():
    with pytest.raises(AssertionError):
        assert_tiled_is_whole(restorer_of(Narrow(tiny.network("DeconvUNet"))), "denoise", CASES, {"sigma": 20})


def test_faint_seams_break_it_too():
    """Of a network whose correction is so small that no value moves by two levels, and few move at all."""

    class Faint(Narrow):
        def forward(self, images):
            return images[:, :3] + 0.02 * (self.network(images) - images[:, :3])

    with pytest.raises(AssertionError, match=r"along tiles' edges|values differ"):
        assert_tiled_is_whole(restorer_of(Faint(tiny.network("DeconvUNet"))), "denoise", CASES, {"sigma": 20})


def test_the_helper_wants_enough_values_for_its_rate_to_mean_something(tiny_weights):
    serving = Restorer(Weights(tiny_weights), Compute("cpu", "fp32", "a test"))
    with pytest.raises(AssertionError):
        assert_tiled_is_whole(serving, "denoise", [(tiny.picture(60, 60), None, 32)], {"sigma": 20})
