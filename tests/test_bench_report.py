"""The test bench: photos harmed on purpose, restored by every method, measured and reported."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image
from scipy.signal import convolve2d
from tiny import picture

from deconvdemo.cli import main
from deconvdemo.errors import ControlError, PhotoError
from deconvdemo.evaluation.bench.damages import benched_tasks, damage_named, damages
from deconvdemo.evaluation.bench.figure import as_csv, figure
from deconvdemo.evaluation.bench.run import SIDE, bench, bounded, brought, harmed
from deconvdemo.image.metrics import psnr
from deconvdemo.image.perceptual import MS_SSIM, gmsd, ms_ssim, perceptual
from deconvdemo.tasks import TASKS, Task, Variant
from deconvdemo.tasks.common_controls import STRENGTH, variants
from deconvdemo.tasks.declared import Baseline, Degraded

CLEAN = picture(80, 96)


def noisy(sigma: float, clean: np.ndarray = CLEAN) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, clean.shape)
    return np.clip(clean + noise, 0, 255).round().astype(np.uint8)


def authors_gmsd(one: np.ndarray, other: np.ndarray) -> float:
    """The authors' MATLAB, line by line."""
    kernel = np.array([[1, 0, -1]] * 3) / 3
    edges = []
    for image in (one, other):
        luma = image.astype(float) @ np.array([0.299, 0.587, 0.114])
        half = convolve2d(luma, np.ones((2, 2)) / 4, "full")[1:, 1:][::2, ::2]
        edges.append(np.hypot(convolve2d(half, kernel, "same"), convolve2d(half, kernel.T, "same")))
    similar = (2 * edges[0] * edges[1] + 170) / (edges[0] ** 2 + edges[1] ** 2 + 170)
    return float(np.std(similar, ddof=1))


def test_gmsd_is_the_authors():
    for clean in (CLEAN, picture(81, 95)):
        assert gmsd(noisy(20, clean), clean) == pytest.approx(authors_gmsd(noisy(20, clean), clean), rel=1e-9)


def test_both_measures_know_equal_images_and_more_noise_is_worse():
    clean = picture(176, 180)
    mild, harsh = noisy(10, clean), noisy(40, clean)
    assert perceptual(clean, clean) == pytest.approx({"GMSD": 0.0, MS_SSIM: 1.0}, abs=1e-9)
    assert gmsd(harsh, clean) > gmsd(mild, clean) > 0
    assert 1 > ms_ssim(mild, clean) > ms_ssim(harsh, clean) > 0
    assert MS_SSIM not in perceptual(CLEAN, CLEAN)  # too small for five sizes


def test_every_task_has_damages_with_names_of_their_own():
    found = damages(TASKS)
    assert {one.task for one in found.values()} == set(TASKS)
    assert len({one.label for one in found.values()}) == len(found)
    assert {"denoise sigma 25", "denoise jpeg 20", "denoise camera ISO 1600", "upscale ×2"} <= set(found)
    assert damage_named("Upscale  x2", TASKS) is found["upscale ×2"]
    with pytest.raises(ControlError, match="choose one of"):
        damage_named("denoise sigma 26", TASKS)


@pytest.mark.parametrize("name", ["denoise sigma 25", "upscale x2", "inpaint holes"])
def test_every_method_that_applies_restores_and_is_measured(restorer, name):
    damage = damage_named(name, TASKS)
    states = list(bench(restorer, harmed(CLEAN, damage)))
    task, done = restorer.task(damage.task), states[-1]
    expected = [word for word in task.variant.options] + [one.name for one in task.baselines if one.quick]
    assert {one.name for one in done.outcomes} - {"", "auto"} == set(expected) - {"nothing"}
    assert [state.tried for state in states] == list(range(done.total + 1))  # one after another
    assert (done.upcoming, done.left_out) == ("", ())
    clean = done.subject.made.clean
    for one in done.outcomes:
        assert one.restored.shape == clean.shape
        assert one.measured["PSNR"] == TASKS[damage.task].psnr(one.restored, clean, done.subject.scale)


def test_a_new_tasks_damage_is_there_by_itself(monkeypatch, restorer):
    class Invert(Task):
        name, verb, title, promise = "invert", "Invert", "Negatives", "Makes a photo of a negative."
        controls = (STRENGTH, variants(standard=Variant("Any film", "Negatives of any film.")))
        baselines = (
            Baseline("difference", lambda observed: 255 - observed, "White minus the negative"),
            Baseline("fails", lambda observed: (_ for _ in ()).throw(ControlError("it needs a package"))),
        )

        def degraded(self, clean, setting, seed, mask=None):
            return Degraded(clean, 255 - clean, "negative", "inverted")

    monkeypatch.setitem(TASKS, "invert", Invert())
    assert "invert" not in benched_tasks(restorer)  # nobody has weights for it
    damage = damage_named("invert negative", TASKS)
    *_, done = bench(restorer, harmed(CLEAN, damage))
    assert [one.label for one in done.outcomes] == ["Degraded", "White minus the negative"]
    assert done.outcomes[1].measured["PSNR"] == float("inf")
    assert done.left_out == ("Fails: it needs a package",)


def test_the_same_photo_is_harmed_in_the_same_way():
    damage = damage_named("denoise sigma 25", TASKS)
    np.testing.assert_array_equal(harmed(CLEAN, damage).observed, harmed(CLEAN.copy(), damage).observed)


def test_large_photos_are_made_smaller_and_tiny_ones_refused():
    assert max(bounded(picture(40, 60).repeat(20, axis=0).repeat(20, axis=1)).shape) == SIDE
    with pytest.raises(PhotoError, match="too small"):
        bounded(picture(20, 200))


def test_an_own_pair_is_taken_as_it_is(restorer):
    large = picture(72, 90).repeat(10, axis=0).repeat(10, axis=1)
    small = large[::3, ::3].copy()
    subject = brought("upscale", large, small)
    assert subject.scale == 3
    np.testing.assert_array_equal(subject.made.clean[::3, ::3], subject.observed)  # of one place, after cropping
    with pytest.raises(PhotoError, match="belong together"):
        brought("denoise", CLEAN, CLEAN[:-8])
    holed = CLEAN.copy()
    holed[20:30, 20:40] ^= 255
    assert brought("inpaint", CLEAN, holed).made.mask.sum() == 200
    with pytest.raises(PhotoError, match="differ nowhere"):
        brought("inpaint", CLEAN, CLEAN)


def test_the_figure_and_the_table_have_every_method(restorer):
    *_, done = bench(restorer, harmed(CLEAN, damage_named("denoise sigma 25", TASKS)))
    drawn = Image.open(io.BytesIO(figure(done)))
    assert drawn.format == "PNG"
    assert drawn.width > 3 * CLEAN.shape[1]
    rows = list(csv.DictReader(io.StringIO(as_csv(done).decode("utf-8-sig"))))
    assert [row["method"] for row in rows] == [one.label for one in done.outcomes]
    assert float(rows[0]["PSNR"]) == pytest.approx(psnr(done.subject.observed, CLEAN), abs=1e-5)


def test_a_report_is_one_page_without_requests(tiny_weights, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.roll(CLEAN, 9 * number, axis=1)).save(folder / f"a<b{number}.png")
    (folder / "broken.png").write_bytes(b"no photo")
    out = tmp_path / "report.html"
    command = ["bench-report", str(folder), "-o", str(out), "--damage", "denoise sigma 25", "--weights"]
    command += [str(tiny_weights), "--device", "cpu"]
    assert main([*command, "--first", "2"]) == 0
    text = out.read_text(encoding="utf-8")
    assert "Means of 2 photos" in text
    assert "The worst photo" in text
    assert "a&lt;b0.png" in text
    assert not [what for what in ("a<b", "http", "<script") if what in text]
    assert "<strong>" in text
    assert text.count("alt=") == text.count("<img ")
    assert main(command) == 2  # it is there already
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert "broken.png" in out.read_text(encoding="utf-8")
