"""The figures are those of the literature's protocols, computed here a second time by other means."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import tiny
from PIL import Image

from deconvdemo.cli import main
from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.evaluation.evaluate import classical_method, evaluate, network_method
from deconvdemo.evaluation.protocols import cases
from deconvdemo.image.metrics import psnr
from deconvdemo.tasks import TASKS


@pytest.fixture
def folder(tmp_path):
    for number, size in enumerate([(49, 62), (60, 45)]):
        Image.fromarray(np.roll(tiny.picture(*size), 10 * number, axis=1)).save(tmp_path / f"image{number}.png")
    return tmp_path


def with_masks(folder):
    for file in sorted(folder.glob("image?.png")):
        width, height = Image.open(file).size
        mask = np.zeros((height, width), np.uint8)
        mask[10:20, 15:30] = 255
        Image.fromarray(mask).save(file.with_name(f"{file.stem}_mask.png"))
    return folder


def score_of(task, method, folder, scale=2):
    [score] = evaluate(
        method, classical_method(task, method), cases(task, folder, {"sigma": (25.0,), "scale": (scale,)})
    )
    return score


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_bicubic_figure_is_that_of_an_independent_computation(folder, scale):
    """Crop, shrink, round, enlarge, round; PSNR over the unrounded luma, a border of `scale` pixels cut."""
    expected = []
    for file in sorted(folder.glob("*.png")):
        image = np.asarray(Image.open(file)).astype(float)
        height, width = (side // scale * scale for side in image.shape[:2])
        image = image[:height, :width]
        # Pillow's bicubic is Keys' too, but at the border: so the picture is continued by its mirror image first
        margin = 12 * scale
        padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
        small = resized(padded, 1 / scale)[12:-12, 12:-12].clip(0, 255).round()
        padded = np.pad(small, ((12, 12), (12, 12), (0, 0)), mode="symmetric")
        large = resized(padded, scale)[margin:-margin, margin:-margin].clip(0, 255).round()
        difference = (large - image) @ np.array([65.481, 128.553, 24.966]) / 255
        difference = difference[scale:-scale, scale:-scale]
        expected.append(10 * np.log10(255**2 / np.mean(difference**2)))
    score = score_of("upscale", "bicubic", folder, scale)
    assert score.images == 2
    assert score.measured["PSNR"] == pytest.approx(np.mean(expected), abs=0.01)
    assert 0 < score.measured["SSIM"] < 1


def resized(image: np.ndarray, scale: float) -> np.ndarray:
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    channels = [Image.fromarray(image[..., c].astype(np.float32)) for c in range(3)]
    return np.stack([np.asarray(channel.resize(size, Image.Resampling.BICUBIC)) for channel in channels], axis=2)


def test_noise_is_not_clipped_and_depends_on_the_place_and_sigma_alone(folder):
    once, again = (cases("denoise", folder, {"sigma": (15.0, 50.0)}) for _ in range(2))
    assert [case.setting for case in once] == ["sigma 15", "sigma 50"] * 2
    assert all(np.array_equal(a.observed, b.observed) for a, b in zip(once, again, strict=True))
    assert once[1].observed.min() < 0
    clean = np.asarray(Image.open(folder / "image0.png")) / 255
    assert np.std(once[0].observed - clean) * 255 == pytest.approx(15, rel=0.03)
    alone = cases("denoise", folder, {"sigma": (50.0,)})
    assert np.array_equal(alone[0].observed, once[1].observed)


def test_denoising_is_judged_over_rgb_after_rounding(folder):
    expected = []
    for case, file in zip(cases("denoise", folder, {"sigma": (25.0,)}), sorted(folder.glob("*.png")), strict=True):
        rounded = np.clip(case.observed * 255, 0, 255).round()
        mse = np.mean((rounded - np.asarray(Image.open(file)).astype(float)) ** 2)
        expected.append(10 * np.log10(255**2 / mse))
    assert score_of("denoise", "nothing", folder).measured["PSNR"] == pytest.approx(np.mean(expected), abs=1e-4)


def test_real_pairs_have_their_sigma_estimated(tmp_path, restorer):
    clean = tiny.picture(64, 64)
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 15, clean.shape), 0, 255).round().astype(np.uint8)
    Image.fromarray(clean).save(tmp_path / "lamp_clean.png")
    Image.fromarray(noisy).save(tmp_path / "lamp_noisy.png")
    found = cases("denoise", tmp_path)
    assert [(case.setting, dict(case.controls)) for case in found] == [("real noise", {})]
    [nothing] = evaluate("nothing", classical_method("denoise", "nothing"), found)
    assert nothing.measured["PSNR"] == pytest.approx(psnr(noisy, clean), abs=1e-4)
    [score] = evaluate("network", network_method("denoise", restorer), found)
    assert score.measured["PSNR"] != nothing.measured["PSNR"]
    (tmp_path / "lamp_clean.png").unlink()
    with pytest.raises(TrainingError, match=r"lamp_noisy\.png has no lamp_clean beside it"):
        cases("denoise", tmp_path)


def test_inpainting_is_judged_inside_its_holes(folder, restorer):
    found = cases("inpaint", with_masks(folder))
    assert len(found) == 2
    assert all((case.observed[case.mask] == 0).all() for case in found)
    [score] = evaluate("network", network_method("inpaint", restorer), found)
    assert score.measured["PSNR in holes"] < score.measured["PSNR"]
    # a method that knows the answer in the holes is perfect there, whatever it does elsewhere
    clean = {case.image: np.asarray(Image.open(folder / f"{case.image}.png")) for case in found}
    answer = lambda case: np.where(case.mask[..., None], clean[case.image], 0).astype(np.uint8)
    [perfect] = evaluate("perfect", answer, found)
    assert perfect.measured["PSNR in holes"] == float("inf")
    assert perfect.measured["PSNR"] < 30


def test_a_missing_mask_is_named(folder):
    with pytest.raises(TrainingError, match=r"image0\.png has no image0_mask beside it"):
        cases("inpaint", folder)


@pytest.mark.parametrize("task", ["denoise", "upscale", "inpaint"])
def test_every_classical_method_runs(task, folder):
    with_masks(folder)
    if task != "inpaint":
        for file in folder.glob("*_mask.png"):
            file.unlink()
    worst = {"denoise": 18, "upscale": 15, "inpaint": 10}[task]
    for method in (baseline.name for baseline in TASKS[task].baselines):
        if method == "wavelet" and find_spec("pywt") is None:
            with pytest.raises(ControlError, match="wavelet needs PyWavelets"):
                score_of(task, method, folder)
            continue
        score = score_of(task, method, folder)
        assert score.method == method
        assert score.seconds_per_megapixel > 0
        assert score.measured["PSNR"] > worst


def test_settings_are_kept_apart(folder):
    scores = evaluate("bicubic", classical_method("upscale", "bicubic"), cases("upscale", folder, {"scale": (2, 4)}))
    assert [(score.setting, score.images) for score in scores] == [("×2", 2), ("×4", 2)]
    assert scores[0].measured["PSNR"] > scores[1].measured["PSNR"]


def test_what_cannot_be_measured_is_refused(tmp_path, folder):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TrainingError, match="no images in .*empty"):  # noqa: RUF043
        cases("denoise", empty)
    with pytest.raises(TrainingError, match="is not a folder"):
        cases("denoise", tmp_path / "missing")
    with pytest.raises(ControlError, match="no classical method 'median': choose nothing, nlm, wavelet"):
        classical_method("denoise", "median")
    with pytest.raises(ControlError, match="no protocol for 'sharpen'"):
        cases("sharpen", folder)


def test_the_command_prints_json_and_a_table(folder, tiny_weights, capsys):
    command = ["evaluate", "upscale", "--images", str(folder), "--scale", "2", "--weights", str(tiny_weights)]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in rows] == ["network", "bicubic", "lanczos"]
    assert {"PSNR", "SSIM"} <= rows[0]["measured"].keys()
    assert main(command) == 0
    table = capsys.readouterr().out
    assert f"{rows[1]['measured']['PSNR']:.2f}" in table
    assert len(table.splitlines()) == 4


def test_a_perfect_result_is_null_in_json_and_infinite_in_the_table(tmp_path, capsys):
    Image.new("RGB", (48, 48), (120, 120, 120)).save(tmp_path / "flat.png")
    command = ["evaluate", "upscale", "--images", str(tmp_path), "--scale", "2", "--method", "classical:bicubic"]
    assert main([*command, "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert row["measured"] == {"PSNR": None, "SSIM": 1.0}
    assert main(command) == 0
    assert "inf" in capsys.readouterr().out


def test_what_would_be_printed_is_written_into_a_file(folder, tmp_path, capsys):
    command = ["evaluate", "upscale", "--images", str(folder), "--scale", "2", "--method", "classical:bicubic"]
    file = tmp_path / "scores.json"
    assert main([*command, "--json", "--out", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(file.read_text())[0]["method"] == "bicubic"
    assert main([*command, "--out", str(tmp_path)]) == 1
    assert f"{tmp_path} cannot be written" in capsys.readouterr().err


def test_each_variant_is_measured_by_the_protocol_of_its_task(folder, tiny_weights, capsys):
    figures = {}
    for variant in ("standard", "photo", "fast"):
        command = ["evaluate", "denoise", "--images", str(folder), "--sigma", "25", "--weights", str(tiny_weights)]
        assert main([*command, "--method", "network", "--variant", variant, "--json"]) == 0
        figures[variant] = json.loads(capsys.readouterr().out)[0]["measured"]["PSNR"]
    assert len(set(figures.values())) == 3
    assert main([*command, "--method", "network", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["measured"]["PSNR"] == figures["standard"]


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["--variant", "anime"], 2, "variant is 'anime', but it must be auto, standard"),
        (["--method", "magic"], 2, "method 'magic' is not known: give network or classical:NAME"),
        (["--method", "classical:median"], 2, "no classical method 'median'"),
        (["--sigma", "15,many"], 2, "--sigma is '15,many', but it takes numbers"),
        (["--images", "nowhere"], 1, "nowhere is not a folder"),
        (["--all"], 2, "name one task (denoise, upscale, inpaint, deblur), or say --all"),
        (["--out", "nowhere/scores.json"], 2, "there is no folder nowhere"),
    ],
)
def test_wrong_calls_end_in_one_sentence(folder, capsys, options, status, says):
    assert main(["evaluate", "denoise", "--images", str(folder), *options]) == status
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("task", ["denoise", "upscale", "inpaint"])
@pytest.mark.parametrize("size", [(1, 1), (8, 40), (12, 12)])
def test_images_too_small_to_judge_are_said(tmp_path, capsys, task, size):
    Image.fromarray(tiny.picture(*size)).save(tmp_path / "stamp.png")
    mask = np.zeros(size, np.uint8)
    mask[0, 0] = 255
    if task == "inpaint":
        Image.fromarray(mask).save(tmp_path / "stamp_mask.png")
    if min(size) > 10 and task != "upscale":
        assert cases(task, tmp_path, {"sigma": (25.0,), "scale": (2,)})
        return
    assert main(["evaluate", task, "--images", str(tmp_path), "--method", "classical:nothing"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"stamp.png is {size[1]}×{size[0]}" in error or f"{size[1] // 2 * 2}×{size[0] // 2 * 2}" in error
