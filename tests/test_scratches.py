"""Finding scratches: what is drawn as damage, what is found of it, and how that is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from deconvdemo.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.index import bundled_folder
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.cli import main
from deconvdemo.degradations import Damage, FadedPrint
from deconvdemo.degradations.marks import KINDS
from deconvdemo.engine import scratches as finding
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import CheckpointError, ControlError, TrainingError
from deconvdemo.evaluation.promoting import promote
from deconvdemo.evaluation.scratches import CLEAN, DAMAGED, counts, evaluate, f1, marked_photos
from deconvdemo.image import PHOTOS
from deconvdemo.image.reading import read_photo
from deconvdemo.networks import NETWORKS
from deconvdemo.tasks import TASKS
from deconvdemo.training.run.losses import loss_and_weight
from deconvdemo.training.samples.old_photos import scratched
from deconvdemo.training.samples.sample import Sample

SIZE = (60, 80)
FP32 = Compute("cpu", "fp32", "a test")


def dim(height: int = 60, width: int = 80) -> np.ndarray:
    """A picture that is nowhere brighter than six tenths."""
    return (0.6 * tiny.picture(height, width)).astype(np.uint8)


def crossed(pixels: np.ndarray, rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """With a white line of so many rows, and where it is."""
    line = np.zeros(pixels.shape[:2], bool)
    line[len(line) // 2 - 2 : len(line) // 2 - 2 + rows] = True
    return np.where(line[..., None], np.iinfo(pixels.dtype).max, pixels).astype(pixels.dtype), line


# ---- what is drawn -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_every_kind_of_mark_leaves_damage_and_most_of_the_photo(kind):
    rng, shares = np.random.default_rng(0), []
    for _ in range(6):
        marks = list(kind(rng, SIZE))
        assert all(mark.opacity.shape == SIZE for mark in marks)
        assert all(0 <= mark.opacity.min() <= mark.opacity.max() <= 1 for mark in marks)
        shares.append(max((mark.opacity > mark.solid).mean() for mark in marks))
    assert 0 < max(shares) < 0.9


def test_the_same_seed_draws_the_same_damage_and_another_one_other():
    first, same, other = (Damage.drawn(np.random.default_rng(seed), 2, *SIZE) for seed in (3, 3, 4))
    assert torch.equal(first.keep, same.keep)
    assert torch.equal(first.footprint, same.footprint)
    assert not torch.equal(first.footprint, other.footprint)


def test_damage_keeps_what_lies_beside_it():
    clean = torch.rand(4, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    untouched = Damage.drawn(np.random.default_rng(0), 4, *SIZE, unharmed=1.0)
    assert torch.equal(untouched(clean), clean)
    assert not untouched.mask(clean, untouched(clean)).any()
    damage = Damage.drawn(np.random.default_rng(0), 4, *SIZE)
    seen = damage(clean)
    assert 0 <= seen.min() <= seen.max() <= 1
    mask = damage.mask(clean, seen)
    assert 0 < mask.mean() < 0.6
    moved = (seen - clean).abs().amax(1, keepdim=True)
    assert moved[mask > 0].mean() > 5 * moved[mask == 0].mean()


def test_white_on_white_is_no_damage():
    one = torch.ones(1, 1, *SIZE)
    painted = Damage(torch.zeros(1, 3, *SIZE), torch.ones(1, 3, *SIZE), one)
    white, black = torch.ones(1, 3, *SIZE), torch.zeros(1, 3, *SIZE)
    assert not painted.mask(white, painted(white)).any()
    assert painted.mask(black, painted(black)).all()


def test_a_print_fades_towards_grey_and_not_at_all_where_nothing_says_so():
    clean = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = torch.ones(1, 3, 1, 1)
    assert torch.allclose(FadedPrint(1.0, plain)(clean), clean, atol=1e-6)
    grey = FadedPrint(0.0, plain, black=0.2, white=0.8)(clean)
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-6)
    assert 0.2 <= grey.min() <= grey.max() <= 0.8


def test_a_training_patch_is_eight_bits_and_what_nobody_sees_does_not_count():
    clean = torch.rand(12, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    sample = scratched(clean, 1, np.random.default_rng(1), torch.Generator().manual_seed(1))
    assert sample.inputs.shape == clean.shape
    assert torch.equal(sample.inputs, (sample.inputs * 255).round() / 255)
    assert set(sample.target.unique().tolist()) == {0.0, 1.0}
    assert sample.weight is not None
    assert (sample.weight[sample.target > 0] == 1).all()
    harmed = sample.target.amax((1, 2, 3)) > 0
    assert harmed.any()
    assert not harmed.all()  # photos without a mark are shown, too


def test_the_loss_for_masks_falls_as_the_mask_is_met_and_adds_up_over_shares():
    mask = (torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)) < 0.1).float()
    sample = Sample(mask, mask, torch.ones_like(mask))
    ratio = lambda logits: (lambda total, weight: (total / weight).item())(*loss_and_weight(logits, sample, "bce-dice"))
    right, nothing, wrong = ((2 * mask - 1) * 9, torch.full_like(mask, -9.0), (1 - 2 * mask) * 9)
    assert ratio(right) < 0.01 < ratio(nothing) < ratio(wrong)
    halves = [Sample(mask[part], mask[part], torch.ones_like(mask[part])) for part in (slice(0, 2), slice(2, 4))]
    parts = [loss_and_weight(nothing[:2], half, "bce-dice")[0] for half in halves]
    assert torch.allclose(sum(parts), loss_and_weight(nothing, sample, "bce-dice")[0])


# ---- how it is judged --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("moved", "right"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_f1_forgives_two_pixels(moved, right):
    truth = np.zeros((40, 40), bool)
    truth[20, 5:35] = True
    assert f1(counts(np.roll(truth, moved, axis=0), truth)) == pytest.approx((right,) * 3)


def test_what_is_missed_costs_recall_and_what_is_wrong_precision():
    truth, found = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    truth[10, :20] = found[10, :10] = found[30, :10] = True
    _, precision, recall = f1(counts(found, truth))
    assert precision == pytest.approx(0.5)
    assert recall == pytest.approx(12 / 20)  # two of them by the tolerance
    assert f1(counts(truth & False, truth & False))[0] == pytest.approx(1)


def test_damage_is_the_same_at_every_measurement_and_perfect_finding_is_perfect(tmp_path):
    for number in range(2):
        Image.fromarray(dim()).save(tmp_path / f"{number}.png")
    once, again = list(marked_photos(tmp_path)), list(marked_photos(tmp_path))
    assert all(np.array_equal(a.observed, b.observed) for a, b in zip(once, again, strict=True))
    damaged = [one for one in once if one.setting == DAMAGED]
    assert all(one.mask.any() for one in damaged)
    assert not any(one.mask.any() for one in once if one.setting != DAMAGED)
    known = {one.observed.tobytes(): one.mask for one in once}
    scores = {one.setting: one.measured for one in evaluate(lambda pixels: known[pixels.tobytes()], tmp_path)}
    assert scores[DAMAGED]["F1"] == scores[DAMAGED]["F1 of all"] == 1
    assert scores[CLEAN] == {"marked %": 0, "of photos %": 0}
    everything = {one.setting: one.measured for one in evaluate(lambda p: np.ones(p.shape[:2], bool), tmp_path)}
    assert everything[CLEAN] == {"marked %": 100, "of photos %": 100}
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="no images in"):
        next(marked_photos(tmp_path / "empty"))


# ---- what is found -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_white_line_is_found_in_every_depth_and_colour(restorer, dtype, channels):
    pixels = tiny.picture(*SIZE, channels=channels, dtype=dtype)
    pixels, line = crossed((pixels * 0.6).astype(dtype))
    found = restorer.find_scratches(pixels)
    assert found.shape == SIZE
    assert found.dtype == bool
    assert f1(counts(found, line))[0] == pytest.approx(1)
    assert found[line].all()  # its soft edge, too, is to be filled in


def test_what_nobody_sees_is_never_marked(restorer):
    pixels, line = crossed(dim())
    alpha = np.full((*SIZE, 1), 255, np.uint8)
    alpha[:, :40] = 0
    found = restorer.find_scratches(np.concatenate([pixels, alpha], axis=2))
    assert not found[:, :40].any()
    assert found[line & (alpha[..., 0] > 0)].all()


def test_a_large_photo_is_looked_at_smaller_and_its_mask_is_as_large_as_it_is(restorer, monkeypatch):
    monkeypatch.setattr(finding, "LONGEST", 40)
    seen = []
    monkeypatch.setattr(
        finding, "probabilities", lambda p, *told, real=finding.probabilities: (seen.append(p.shape), real(p, *told))[1]
    )
    pixels, line = crossed(dim(), rows=8)
    found = restorer.find_scratches(pixels)
    assert seen == [(30, 40, 3)]
    assert found.shape == SIZE
    assert found[line].all()
    assert found.mean() < 3 * line.mean()


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (33, 2)])
def test_every_size_works(restorer, size):
    assert restorer.find_scratches(np.full((*size, 3), 255, np.uint8)).all()
    assert not restorer.find_scratches(np.zeros((*size, 3), np.uint8)).any()


def test_more_sensitivity_marks_more(restorer):
    shades = np.repeat(np.linspace(0.8, 1, 80)[None, :, None], 20, axis=0).repeat(3, axis=2).astype(np.float32)
    shares = [restorer.find_scratches(shades, sensitivity).mean() for sensitivity in (0, 0.25, 0.5, 0.75, 1)]
    assert shares == sorted(set(shares))
    with pytest.raises(ControlError, match="sensitivity is 2, but it must be a number from 0 to 1"):
        restorer.find_scratches(shades, 2)


def test_tiled_equals_whole(monkeypatch):
    network = tiny.network("DeconvMask", widths=[4, 8], blocks=1)
    pixels = tiny.picture(150, 170)
    whole = finding.probabilities(pixels, network, FP32)
    monkeypatch.setattr(finding, "TILE", 48)
    assert np.abs(finding.probabilities(pixels, network, FP32) - whole).max() < 1e-4
    assert whole.std() > 1e-4


def test_what_was_found_is_filled_in_and_the_rest_stays(restorer):
    pixels, _ = crossed(dim())
    mask = restorer.find_scratches(pixels)
    filled = restorer.restore("inpaint", pixels, mask).photo.pixels
    assert (filled[~mask] == pixels[~mask]).all()
    assert (filled[mask] != pixels[mask]).any()


def test_without_weights_it_says_so(tiny_weights):
    checkpoint = load_checkpoint(tiny_weights / "denoise.safetensors")
    with pytest.raises(CheckpointError, match="no weights for 'scratches', only for denoise"):
        Restorer.of(checkpoint, FP32).find_scratches(dim())


@pytest.mark.parametrize(("name", "network"), [("scratches", "DeconvUNet"), ("inpaint", "DeconvMask")])
def test_a_network_that_gives_something_else_is_refused(tiny_weights, tmp_path, name, network):
    header = load_checkpoint(tiny_weights / f"{name}.safetensors").header
    config = {**tiny.SIZES[network], **({"side_channels": 0} if network == "DeconvUNet" else {})}
    file = tmp_path / "other.safetensors"
    save_checkpoint(file, replace(header, network=network, config=config), NETWORKS[network](**config).state_dict())
    restorer = Restorer.of(load_checkpoint(file), FP32)
    with pytest.raises(CheckpointError, match=r"gives (an image|1 channel), where (an image|1 channel) is expected"):
        restorer.find_scratches(dim()) if name == "scratches" else restorer.restore(name, dim(), dim()[..., 0] > 99)


def test_the_gate_does_not_judge_what_restores_nothing(tiny_weights, sqlite_store):
    with pytest.raises(CheckpointError, match="for scratches, which restores nothing"):
        promote(tiny_weights / "scratches.safetensors", tiny_weights, [], sqlite_store, FP32)


# ---- on the command line -----------------------------------------------------------------------------------


@pytest.fixture
def prints(tmp_path) -> Path:
    """A folder of two photos, the second without a scratch."""
    folder = tmp_path / "prints"
    folder.mkdir()
    Image.fromarray(crossed(dim())[0]).save(folder / "a.png")
    Image.fromarray(dim()).save(folder / "b.png")
    return folder


def run(tiny_weights: Path, *words: object) -> int:
    return main([*map(str, words), "--weights", str(tiny_weights), "--device", "cpu", "--precision", "fp32"])


def test_a_folder_of_old_photos_is_filled_in(prints, tiny_weights, restorer, capsys):
    out, masks = prints.parent / "out", prints.parent / "masks"
    assert run(tiny_weights, "inpaint", prints, "--find-scratches", "-o", out, "--save-mask", masks) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{prints / 'a.png'}: 10 % is marked, in {masks / 'a.png'}")
    assert lines[-1] == "1 done, 1 skipped (1 without scratches: b.png), 0 failed"
    mask = np.asarray(Image.open(masks / "a.png")) > 0
    assert (mask == restorer.find_scratches(prints / "a.png")).all()
    expected = restorer.restore("inpaint", prints / "a.png", mask).photo.pixels
    assert (np.asarray(Image.open(out / "a.png")) == expected).all()
    assert sorted(file.name for file in (*out.iterdir(), *masks.iterdir())) == ["a.png", "a.png"]


def test_a_photo_without_scratches_leaves_nothing_behind(prints, tiny_weights, capsys):
    out = prints.parent / "b-whole.png"
    assert run(tiny_weights, "inpaint", prints / "b.png", "--find-scratches", "-o", out) == 0
    assert "b.png: No scratches were found" in capsys.readouterr().out
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--mask", "a.png", "--sensitivity", "0.7"], "--sensitivity goes with --find-scratches"),
        (["--mask", "a.png", "--save-mask", "x"], "--save-mask goes with --find-scratches"),
        (["--find-scratches", "--sensitivity", "7"], "sensitivity is 7, but it must be a number from 0 to 1"),
        (["--find-scratches", "--mask", "a.png"], "not allowed with argument"),
        ([], "one of the arguments --mask --find-scratches is required"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(prints, tiny_weights, capsys, words, says):
    assert run(tiny_weights, "inpaint", prints / "a.png", "-o", prints.parent / "out.png", *words) == 2
    assert says in capsys.readouterr().err


def test_the_finding_is_measured(prints, tiny_weights, capsys):
    assert run(tiny_weights, "evaluate", "scratches", "--images", prints) == 0
    table = capsys.readouterr().out
    assert all(name in table.splitlines()[0] for name in ("marked %", "of photos %", "F1", "recall", "F1 of all"))
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["clean", "old,", "scratched"]
    assert run(tiny_weights, "evaluate", "scratches", "--images", prints, "--photo") == 2


# ---- the bundled weights -----------------------------------------------------------------------------------


@pytest.mark.skipif(not (bundled_folder() / "scratches.safetensors").exists(), reason="no weights are bundled yet")
def test_the_bundled_weights_find_drawn_scratches_and_most_of_a_clean_photo_alone():
    restorer = Restorer(Weights(bundled_folder()), FP32)
    pixels = read_photo(PHOTOS / "astronaut.webp").pixels
    assert restorer.find_scratches(pixels).mean() < 0.04
    line = np.zeros(pixels.shape[:2], bool)
    for column in (60, 130):
        rows = np.arange(20, len(line) - 20)
        drift = (column + 6 * np.sin(rows / 17) + rows / 9).astype(int)
        line[rows, drift] = line[rows, drift + 1] = True
    found = restorer.find_scratches(np.where(line[..., None], 235, pixels).astype(np.uint8))
    assert f1(counts(found, line))[0] > 0.5
    assert "scratches" not in TASKS
