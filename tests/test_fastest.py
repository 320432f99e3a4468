"""What is fastest here is measured: nothing that is wrong, little that is in doubt, and no longer than need be."""

import time

import numpy as np
import pytest
import tiny
import torch

from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine import fastest as speed
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.fastest import FORMATS, fastest, measure
from deconvdemo.engine.restorer import Restorer
from deconvdemo.image.metrics import psnr

CHANNELS_LAST = "channels_last"


# ---- what is fastest is measured ---------------------------------------------------------------------------


class Processor:
    """In place of the clock and the networks: one on which each format takes so many times as long as fp32."""

    def __init__(self, monkeypatch, wrong=(), missing=(), busy: float = 0.0, **slow: float):
        self.slow, self.wrong, self.missing, self.busy = slow, wrong, missing, busy
        self.asked, self.calls = [], 0
        monkeypatch.setattr(speed._Timer, "once", lambda timer, form, side: self.once(form, side))

    def once(self, form, side):
        precision, layout = form
        self.asked.append((precision, side))
        if precision in self.missing:
            raise RuntimeError("not implemented for 'Half'")
        self.calls += 1
        if self.busy:
            time.sleep(self.busy)
        seconds = self.slow.get(precision if layout == CHANNELS_LAST else layout, 1.0) * (side / 96) ** 2 / 20
        found = torch.ones(1, 3, 8, 8) * {"nan": float("nan"), "off": 1.05}.get(dict(self.wrong).get(precision), 1.001)
        return seconds, [found if precision != "fp32" else torch.ones(1, 3, 8, 8)]


@pytest.mark.parametrize(
    ("speeds", "chosen", "why"),
    [
        ({"bf16": 3, "fp16": 20}, ("fp32", CHANNELS_LAST), "measured the fastest on this processor"),
        ({"bf16": 1 / 2.2, "fp16": 20}, ("bf16", CHANNELS_LAST), "measured 2.2 × as fast as fp32 on this processor"),
        ({"bf16": 1.5, "fp16": 1 / 1.8}, ("fp16", CHANNELS_LAST), "measured 1.8 × as fast as fp32 on this processor"),
        ({"bf16": 0.5, "fp16": 0.49}, ("bf16", CHANNELS_LAST), "measured 2.0 × as fast as fp32 on this processor"),
        ({"bf16": 0.95, "fp16": 3}, ("fp32", CHANNELS_LAST), "measured: bf16 is 1.1 × as fast on this processor"),
        ({"bf16": 3, "fp16": 3, "contiguous": 0.7}, ("fp32", "contiguous"), "1.4 × as fast with contiguous memory"),
    ],
)  # fmt: skip
def test_the_fastest_is_chosen_and_the_reason_said(monkeypatch, speeds, chosen, why):
    Processor(monkeypatch, **speeds)
    measured = measure("cpu")
    assert (measured.chosen.precision, measured.chosen.layout) == chosen
    assert why in measured.chosen.why
    assert measured.steady


@pytest.mark.parametrize("fault", [{"wrong": {"bf16": "nan"}}, {"wrong": {"bf16": "off"}}, {"missing": ("bf16",)}])
def test_what_is_wrong_or_fails_is_not_chosen_however_fast(monkeypatch, fault):
    Processor(monkeypatch, bf16=0.1, fp16=0.5, **fault)
    assert measure("cpu").chosen.precision == "fp16"


def test_what_is_far_slower_is_not_timed_on_a_large_image(monkeypatch):
    asked = Processor(monkeypatch, bf16=4, fp16=100).asked
    measure("cpu")
    assert {side for precision, side in asked if precision != "fp32"} == {min(speed.TRIED)}


def test_beside_programs_that_leave_no_time_the_plain_format_serves_and_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(speed, "PATIENCE", 0.0)
    Processor(monkeypatch, bf16=0.5)
    measured = measure("cpu")
    assert (measured.chosen.precision, measured.steady) == ("fp32", False)
    monkeypatch.setattr(speed, "_known", {})
    assert fastest("cpu", tmp_path).precision == "fp32"
    assert not list(tmp_path.iterdir())


def test_a_device_that_fails_is_told_and_the_plain_format_serves(monkeypatch):
    Processor(monkeypatch, missing=("fp32",))
    chosen = measure("cuda").chosen
    assert (chosen.precision, chosen.why) == ("fp32", "speed could not be measured: not implemented for 'Half'")


def test_this_machine_is_measured_in_a_format_that_it_has(monkeypatch):
    """The real thing: threads and random numbers are afterwards as they were."""
    threads, numbers = torch.get_num_threads(), torch.get_rng_state()
    measured = measure("cpu")
    assert (measured.chosen.precision, measured.chosen.layout) in FORMATS["cpu"]
    assert measured.chosen.why
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), numbers)


@pytest.mark.parametrize("name", ["denoise-fast", "upscale-x2"])
def test_no_format_that_may_be_chosen_costs_a_fiftieth_of_a_decibel(name):
    """By the bundled weights, on what they are for; on any processor, whether it has the instructions or emulates."""
    checkpoint, clean = Weights().load(name), tiny.picture(96, 96)
    scale = checkpoint.header.scale
    noise = np.random.default_rng(0).normal(0, 25, clean.shape)
    observed = np.clip(clean + noise, 0, 255).astype(np.uint8) if scale == 1 else clean[::scale, ::scale].copy()
    controls = {"sigma": 25, "variant": "fast"} if scale == 1 else {"scale": scale}
    reached = {}
    for precision, layout in FORMATS["cpu"][:3]:
        restorer = Restorer.of(checkpoint, Compute("cpu", precision, "a test", layout))
        restored = restorer.restore(checkpoint.header.task, observed, **controls).photo.pixels
        reached[precision, layout] = psnr(restored, clean)
    assert max(reached.values()) - min(reached.values()) < 0.02
