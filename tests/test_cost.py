"""Multiply–adds are counted, not believed; timings are of calls as they serve, on a machine that is named."""

import pytest
import tiny
import torch
from torch import nn

from deconvdemo.evaluation import cost
from deconvdemo.networks import NETWORKS
from deconvdemo.networks.layers import SubPixelDeconvolution


class Upsampling(nn.Module):
    """One convolution and one deconvolution, whose multiply–adds a person can work out."""

    stride, image_channels, side_channels = 1, 3, 0

    def __init__(self, kind: type[nn.Module], scale: int = 2, groups: int = 1):
        super().__init__()
        self.scale = scale
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 1, groups=groups)
        self.up = kind(8, 3, 3 * scale, scale, scale)

    def forward(self, images):
        return self.up(self.second(self.first(images)))


@pytest.mark.parametrize("kind", [nn.ConvTranspose2d, SubPixelDeconvolution])
@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("groups", [1, 4])
def test_multiply_adds_are_those_worked_out_by_hand(kind, scale, groups):
    small = 3 * 8 * 9 + 8 * 8 // groups  # a pixel of the small image
    large = 8 * 3 * 9 + small / scale**2  # each result mixes 3×3 of 8 features, however the deconvolution is computed
    assert cost.multiply_adds_per_megapixel(Upsampling(kind, scale, groups)) == pytest.approx(large * 1e6)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in tiny.NOT_SHOWN_PHOTOS])
def test_every_network_is_counted_and_timed(name):
    network = tiny.network(name)
    counted = cost.multiply_adds_per_megapixel(network)
    # no pixel of the result costs less than one use of the last layer, none more than every weight on every pixel
    assert 1e6 < counted <= cost.parameters(network) * 1e6
    assert counted == cost.multiply_adds_per_megapixel(network)
    for precision in cost.PRECISIONS:
        assert 0 < cost.milliseconds_per_megapixel(network, "cpu", precision, runs=1) < 1e5
    assert all(tensor.dtype == torch.float32 for tensor in network.parameters())


def test_the_best_run_counts_and_the_first_is_not_one(monkeypatch):
    clock = iter([0, 9.0, 10, 10.8, 20, 20.4, 30, 30.5])  # 9 s to warm up, then 0.8, 0.4 and 0.5
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(clock))
    height, width = cost.result_size(2)
    measured = cost.milliseconds_per_megapixel(tiny.network("DeconvSR", scale=2), "cpu", "fp32", runs=3)
    assert measured == pytest.approx(400 / (height * width / 1e6))


@pytest.mark.parametrize(("scale", "size"), [(1, (512, 768)), (2, (720, 1280)), (3, (720, 1278)), (4, (720, 1280))])
def test_results_are_timed_at_the_sizes_of_the_literature(scale, size):
    assert cost.result_size(scale) == size


def test_parameters_are_those_of_the_layers():
    assert cost.parameters(Upsampling(nn.ConvTranspose2d)) == (3 * 8 * 9 + 8) + (8 * 8 + 8) + (8 * 3 * 36 + 3)


def test_a_machine_is_named_and_a_busy_one_says_so(monkeypatch):
    monkeypatch.setattr(cost.os, "getloadavg", lambda: (2.04, 0, 0))
    machine = cost.Machine.this("cpu")
    assert machine.processor
    assert machine.threads == torch.get_num_threads()
    assert machine.torch == torch.__version__
    assert (machine.load, machine.busy) == (2.0, True)
    monkeypatch.setattr(cost.os, "getloadavg", lambda: (0.1, 3, 3))
    assert not cost.Machine.this("cpu").busy
    monkeypatch.delattr(cost.os, "getloadavg")  # Windows
    assert not cost.Machine.this("cpu").busy
