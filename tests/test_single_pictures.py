"""No photo pays for it (law 9b): single pictures are judged, so is an expert's gate, and few images tell nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from deconvdemo.checkpoints.checkpoint import Checkpoint, Header
from deconvdemo.engine.device import Compute
from deconvdemo.evaluation import acceptance, stress
from deconvdemo.evaluation.acceptance import judge
from deconvdemo.evaluation.comparison import CLEAN, FLAGS, Comparison
from deconvdemo.evaluation.openings import Openings, opening_of
from deconvdemo.evaluation.protocols import IN_HOLES, Case
from deconvdemo.evaluation.stress import DRAWN, stress_cases
from deconvdemo.evaluation.variety import FEWEST_IMAGES, too_few
from deconvdemo.image.drawn import KINDS, SIZES, drawn_pictures

CPU = Compute("cpu", "fp32", "a test")


def compared(*differences: float, images: str = "set5", setting: str = "sigma 15") -> Comparison:
    served = tuple(30.0 for _ in differences)
    names = tuple(f"photo {number}" for number in range(len(differences)))
    return Comparison(images, setting, served, tuple(30 + one for one in differences), names)


# ---- single pictures


def test_one_harmed_picture_is_named_however_much_the_others_win():
    one = compared(*[0.4] * 99, -0.6)
    assert not one.refusal()
    assert one.harm() == (
        "photo 99 in set5 sigma 15 loses 0.60 dB (30.00 → 29.40), where 0.5 dB are the most that one picture may lose; "
        "1 of 100 lose more"
    )
    told = one.facts()
    assert told["worst"] == {"image": "photo 99", "difference": -0.6}
    assert (told["losing"], told["count"], told["low"]) == (1, 100, 0.4)


def test_half_a_decibel_is_no_harm_and_flags_are_judged_by_their_mean():
    assert not compared(0.4, -0.5, 0.4).harm()
    assert compared(0.4, -0.7, images="set5", setting=CLEAN).harm()
    assert not compared(2.0, -0.7, images=FLAGS, setting="").harm()


# ---- many and various enough


def photos(folder, count: int, side: int = 64) -> None:
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{number}.png")


def test_too_few_images_are_refused_with_the_number_that_is_needed(tmp_path):
    assert 0.9**FEWEST_IMAGES < 0.05 <= 0.9 ** (FEWEST_IMAGES - 1)
    photos(tmp_path, FEWEST_IMAGES - 2)
    for number in range(9):  # the same again, and some that show nothing
        Image.open(tmp_path / "0.png").resize((96, 96)).save(tmp_path / f"again-{number}.jpg")
        Image.open(tmp_path / f"{number}.png").resize((32, 32)).save(tmp_path / f"small-{number}.png")
    assert f"{FEWEST_IMAGES - 2} different validation images cannot tell" in too_few([tmp_path])
    assert "give --dev 2 more" in too_few([tmp_path])
    other = tmp_path / "other"
    other.mkdir()
    photos(other, FEWEST_IMAGES)
    assert not too_few([tmp_path, other])


# ---- the drawn pictures


def test_drawn_pictures_are_many_of_any_size_and_the_seeds():
    first, second = (dict(drawn_pictures(seed)) for seed in (1, 2))
    assert len(first) == len(KINDS) * len(SIZES)
    for name, pixels in first.items():
        assert name.endswith(f" {pixels.shape[1]}×{pixels.shape[0]}")
        assert pixels.std() > 4
        assert not np.array_equal(pixels, second[name])
    again = dict(drawn_pictures(1, SIZES[:1]))
    assert all(np.array_equal(pixels, first[name]) for name, pixels in again.items())


@pytest.mark.parametrize(("network", "task", "config", "settings"), [
    ("DeconvUNet", "denoise", {}, {"sigma 15", "sigma 25", "sigma 50", CLEAN}),
    ("DeconvSR", "upscale", {"scale": 3}, {"×3"}),
    ("DeconvUNet", "inpaint", {}, None),
])  # fmt: skip
def test_every_task_is_tried_on_every_drawn_picture(network, task, config, settings, monkeypatch):
    monkeypatch.setattr(stress, "drawn_pictures", lambda seed: drawn_pictures(seed, [(64, 70)]))
    found = list(stress_cases(Checkpoint(Header(network, config, task, config.get("scale", 1)), {}, "", "")))
    settings = settings or {one.setting for one in found}
    assert {(one.image, one.setting) for one in found} == {
        (f"{kind} 70×64", setting) for kind in KINDS for setting in settings
    }
    for case in found[:4]:
        measured = case.score(
            np.zeros((64 - 64 % config.get("scale", 1), 70 - 70 % config.get("scale", 1), 3), np.uint8)
        )
        assert set(measured) == ({IN_HOLES} if task == "inpaint" else {"PSNR"})


# ---- the gate to the expert


def gated(logit: float) -> Checkpoint:
    """A denoiser whose gate says the same everywhere."""
    network = tiny.network("GatedExpert")
    for parameter in network.gate.parameters():
        parameter.zero_()
    network.gate.layers[-1].bias.fill_(logit)
    header = Header("GatedExpert", tiny.SIZES["GatedExpert"], "denoise", variant="fast")
    return Checkpoint(header, network.state_dict(), f"{logit:f}", "a test")


def case_of(pixels: np.ndarray, name: str = "a photo", **controls) -> Case:
    return Case(name, "", pixels, controls, lambda restored: {})


def test_where_the_gate_opens_is_measured_and_a_network_without_one_has_none():
    photo = tiny.picture(40, 44)
    for logit, share in ((-0.5, 0.0), (-0.4, 1.0), (3.0, 1.0)):
        opening = opening_of(gated(logit))
        assert opening is not None
        assert opening(case_of(photo, sigma=25.0)) == opening(case_of(photo)) == share
    plain = Checkpoint(
        Header("DeconvUNet", tiny.SIZES["DeconvUNet"], "denoise"), tiny.network("DeconvUNet").state_dict(), "", ""
    )
    assert opening_of(plain) is None


def test_more_than_one_false_opening_in_fifty_is_refused():
    found = Openings()
    for number in range(100):
        found.add(f"photo {number}", 0.25 if number in (3, 4) else 0.0)
    assert not found.refusal()
    assert found.facts() == {
        "pictures": 100, "false": 2, "area": 0.005, "worst": {"image": "photo 3", "share": 0.25}
    }  # fmt: skip
    found.add("another", 0.5)
    assert "false openings: 3 of 101 pictures, most on another (50.0 % of it)" in found.refusal()


def test_a_candidate_that_harms_drawn_pictures_alone_is_refused(tmp_path, monkeypatch):
    """The photos are not of what was learned, so that means, and the images that somebody brings, tell nothing."""
    served = tiny_served()
    candidate = replace(
        served, tensors={**served.tensors, "tail.weight": 1.6 * served.tensors["tail.weight"]}, sha256="c"
    )
    monkeypatch.setattr(acceptance, "too_few", lambda sets: "")
    monkeypatch.setattr(acceptance, "validation_cases", lambda checkpoint, folder: iter([]))
    monkeypatch.setattr(stress, "drawn_pictures", lambda seed: list(drawn_pictures(seed, [(64, 64)]))[:3])
    report = judge(served, candidate, [], [], CPU)
    reasons = [reason for reason in report.refusals if f"in {DRAWN} " in reason]
    assert reasons
    assert "dB are the most that one picture may lose" in reasons[0]
    assert report.history()["found"][0]["worst"]["image"] in dict(drawn_pictures(0, [(64, 64)]))
    assert "single pictures: " in report.table()
    assert "openings" not in report.history()


def tiny_served() -> Checkpoint:
    network = tiny.network("DeconvUNet")
    header = Header("DeconvUNet", tiny.SIZES["DeconvUNet"], "denoise", variant="fast")
    return Checkpoint(header, {name: torch.clone(one) for name, one in network.state_dict().items()}, "s", "a test")
