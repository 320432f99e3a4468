"""Device and precision: what is fastest here, or what was asked for, or a sentence that says what there is."""

import pytest
import torch
from torch import nn

from deconvdemo.engine import fastest as speed
from deconvdemo.engine.compute import LAYOUTS, PRECISIONS, Compute
from deconvdemo.engine.device import choose
from deconvdemo.engine.options import kept_in
from deconvdemo.errors import DeviceError
from deconvdemo.settings import Settings


@pytest.fixture
def machine(monkeypatch):
    """`machine(cuda=True)` is what torch seems to find; what is fastest on each device is not measured."""

    def has(cuda: bool = False, mps: bool = False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(speed, "fastest", lambda device, folder: Compute(device, "bf16", f"kept in {folder}"))

    return has


@pytest.mark.parametrize(
    ("has", "device"), [({}, "cpu"), ({"cuda": True, "mps": True}, "cuda"), ({"mps": True}, "mps")]
)
def test_the_first_device_and_what_is_fastest_on_it_are_chosen(machine, has, device, tmp_path):
    machine(**has)
    assert choose(folder=tmp_path) == Compute(device, "bf16", f"kept in {tmp_path}")


def test_what_is_asked_for_is_taken_and_nothing_measured(machine, monkeypatch):
    machine(cuda=True)
    assert choose("cpu").device == "cpu"
    monkeypatch.setattr(speed, "fastest", lambda device, folder: pytest.fail("it was asked for"))
    assert choose("cpu", "fp32") == Compute("cpu", "fp32", "asked for")
    assert choose("auto", "fp16").device == "cuda"


@pytest.mark.parametrize(
    ("device", "precision", "says"),
    [
        ("tpu", "auto", "device 'tpu' is not known: choose one of auto, cpu, cuda, mps"),
        ("cuda", "auto", "this machine has no cuda device .* choose one of auto, cpu"),
        ("mps", "fp32", "this machine has no mps device"),
        ("cpu", "fp8", "precision 'fp8' is not known: choose auto, fp32, bf16, fp16"),
        ("", "auto", "device '' is not known"),
    ],
)
def test_what_is_not_there_is_refused_by_name(machine, device, precision, says):
    machine()
    with pytest.raises(DeviceError, match=says):
        choose(device, precision)


@pytest.mark.parametrize("precision", list(PRECISIONS))
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_networks_run_in_the_format_and_in_fp32_when_it_overflowed(precision, layout):
    compute_on = Compute("cpu", precision, "a test", layout)
    network, images = compute_on.network(nn.Conv2d(3, 4, 3)), compute_on.images(torch.rand(1, 3, 8, 8))
    for tensor in (network.weight, images):
        assert tensor.is_contiguous(memory_format=LAYOUTS[layout])
    with compute_on.autocast():
        assert network(images).dtype == PRECISIONS[precision]
    with compute_on.in_fp32().autocast():
        assert network(images).dtype == torch.float32
    assert (compute_on.in_fp32().device, compute_on.in_fp32().layout) == ("cpu", layout)


# ---- where the command line keeps it -----------------------------------------------------------------------


def test_restoring_leaves_no_folder_behind_and_a_data_folder_that_is_named_or_there_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kept_in(Settings()) is None
    named = Settings(data_dir=tmp_path / "named")
    assert kept_in(named) == named.data_dir
    (tmp_path / "data").mkdir()
    assert kept_in(Settings()) == Settings().data_dir
