"""Device and precision: what is fastest here, or what was asked for, or a sentence that says what there is."""

import pytest
import torch

from deconvdemo.engine import device as devices
from deconvdemo.engine.device import PRECISIONS, Compute, choose
from deconvdemo.errors import DeviceError


@pytest.fixture
def machine(monkeypatch):
    """`machine(cuda="bf16" or "fp16", mps=True, amx=True)` is what torch and the processor seem to have."""

    def has(cuda: str = "", mps: bool = False, amx: bool = False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: cuda == "bf16")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(devices, "cpu_has_bf16_units", lambda: amx)

    return has


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({}, ("cpu", "fp32")),
        ({"amx": True}, ("cpu", "bf16")),
        ({"cuda": "bf16", "amx": True}, ("cuda", "bf16")),
        ({"cuda": "fp16"}, ("cuda", "fp16")),
        ({"mps": True, "amx": True}, ("mps", "fp32")),
    ],
)
def test_the_fastest_is_chosen_and_the_reason_said(machine, has, expected):
    machine(**has)
    chosen = choose()
    assert (chosen.device, chosen.precision) == expected
    assert chosen.why


def test_what_is_asked_for_is_taken(machine):
    machine(cuda="bf16", amx=True)
    assert choose("cpu").device == "cpu"
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
def test_networks_run_in_the_precision_and_in_fp32_when_it_overflowed(precision):
    compute_on = Compute("cpu", precision, "a test")
    layer, images = torch.nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8)
    with compute_on.autocast():
        assert layer(images).dtype == PRECISIONS[precision]
    with compute_on.in_fp32().autocast():
        assert layer(images).dtype == torch.float32
    assert compute_on.in_fp32().device == compute_on.device


def test_this_machine_has_something():
    chosen = choose()
    assert chosen.device in devices.DEVICES
    assert chosen.precision in PRECISIONS
