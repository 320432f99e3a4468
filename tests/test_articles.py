"""The articles' experiments: what does not come out as they stand, and what their formulas give beside the inverse."""

import json

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.cli import main
from deconvdemo.evaluation.article_formulas import FORMULAS, filtered, formula_rows, gaussian_spectrum
from deconvdemo.evaluation.articles import checkerboard, noise_left
from deconvdemo.networks import NETWORKS
from deconvdemo.networks.articles import (
    ArticleDeconvolution,
    ArticleInpainter,
    ArticleInverse,
    ArticleRestorer,
    ArticleUpscaler,
)
from deconvdemo.tasks import TASKS
from deconvdemo.tasks.articles import ARTICLES, HEADER_TASK
from deconvdemo.training.data.dead_leaves import dead_leaves
from deconvdemo.training.run.articles import drawn_crops, train_article


def test_the_fourth_article_s_layer_makes_960_by_1280_of_480_by_640():
    assert ArticleUpscaler().eval()(torch.rand(1, 3, 480, 640)).shape == (1, 3, 960, 1280)


def test_as_they_stand_the_sizes_do_not_come_out():
    picture = torch.rand(1, 3, 32, 32)
    assert ArticleRestorer.as_written()(picture).shape[2:] == (125, 125)  # 4 · 32 - 3, where 32 is the target's
    assert ArticleInpainter.as_written()(picture).shape[2:] == (63, 63)
    assert ArticleDeconvolution(scale=2)(picture).shape[2:] == (64, 64)
    for made_to_work in (ArticleRestorer(), ArticleInverse(), ArticleDeconvolution()):
        assert made_to_work(picture).shape == picture.shape


def test_a_kernel_of_one_pixel_does_not_enlarge():
    """With the stride that it would need, three of four pixels are the bias alone."""
    layer = ArticleInverse.as_written()
    painted = layer(torch.rand(1, 3, 32, 32))
    assert painted.shape[2:] == (64, 64)
    untouched = (painted == layer[0].bias[:, None, None]).all(1).float().mean()
    assert untouched == pytest.approx(0.75)


def test_a_kernel_of_three_and_a_stride_of_two_draw_a_checkerboard_and_four_and_two_do_not():
    def painted(kernel: int, padding: int):
        layer = torch.nn.ConvTranspose2d(3, 3, kernel, 2, padding, output_padding=kernel % 2, bias=False)
        torch.nn.init.constant_(layer.weight, 1 / 3 / kernel**2 * 4)

        def restore(flat: np.ndarray) -> np.ndarray:
            images = torch.from_numpy(flat.copy()).permute(2, 0, 1)[None].float()
            return layer(images)[0].detach().permute(1, 2, 0).numpy()

        return restore

    assert checkerboard(painted(3, 1)) > 20
    assert checkerboard(painted(4, 1)) < 1e-3
    assert checkerboard(lambda flat: flat) == 0


def test_noise_is_found_where_it_is_left():
    assert noise_left(lambda noisy: noisy) == pytest.approx(25, abs=1)
    assert noise_left(lambda noisy: np.full_like(noisy, 128)) == 0


# ---- the formulas ------------------------------------------------------------------------------------------


def test_the_inverse_divides_and_nothing_else_gives_the_photo_back():
    photo = np.random.default_rng(0).uniform(size=(24, 30, 3))
    f = gaussian_spectrum((24, 30), 0.8)
    blurred = filtered(photo, f)
    errors = {name: np.abs(filtered(blurred, formula(f, 0)) - photo).max() for name, formula in FORMULAS.items()}
    assert errors.pop("F{y} / F, the inverse") < 1e-6
    assert errors.pop("Wiener's filter") < 1e-6  # with a constant of 0 it is the inverse
    assert min(errors.values()) > 0.1


def test_correlation_is_the_adjoint():
    """⟨f ∗ x, y⟩ = ⟨x, correlation of f and y⟩, for a kernel that is not symmetric."""
    rng = np.random.default_rng(0)
    x, y, kernel = rng.normal(size=(16, 20, 1)), rng.normal(size=(16, 20, 1)), rng.normal(size=(16, 20))
    f = np.fft.fft2(kernel)
    adjoint = FORMULAS["correlation, the adjoint (article 2)"]
    assert np.vdot(filtered(x, f), y) == pytest.approx(np.vdot(x, filtered(y, adjoint(f, 0))), rel=1e-6)


def test_multiplying_again_blurs_more_and_noise_makes_the_inverse_explode():
    rows = {row.formula: row for row in formula_rows([tiny.picture(96, 96)])}
    blurred, again = rows["the blurred photo"], rows["F · F{y}: multiplied again (articles 3 and 4)"]
    inverse, wiener = rows["F{y} / F, the inverse"], rows["Wiener's filter"]
    assert again.psnr < blurred.psnr < 60 < inverse.psnr
    assert inverse.noisy_psnr < 10 < wiener.noisy_psnr


# ---- training, measuring and showing -----------------------------------------------------------------------


def test_every_article_has_its_experiment_and_none_is_served():
    assert {one.number for one in ARTICLES.values()} == {1, 2, 3, 4, 5}
    assert all(one.network in NETWORKS for one in ARTICLES.values())
    assert HEADER_TASK not in TASKS
    assert not [name for name in Weights().names() if name.startswith(HEADER_TASK)]


@pytest.mark.parametrize("name", ["restoration", "inpainting", "generation"])
def test_training_makes_the_loss_smaller_and_says_how_it_was_done(name, tmp_path):
    file, crops = tmp_path / f"{name}.safetensors", drawn_crops(pictures=2)
    first = train_article(ARTICLES[name], crops, file, ["drawn"], 0, steps=1, patch=16)
    later = train_article(ARTICLES[name], crops, file, ["drawn"], 0, steps=20, patch=16)
    (measure,) = first.measured
    assert later.measured[measure] < first.measured[measure]
    header = load_checkpoint(file).header
    assert (header.task, header.variant, header.recipe["steps"]) == ("article", name, 20)


def test_the_same_seed_draws_the_same_leaves():
    first, again, other = (dead_leaves(np.random.default_rng(seed), 16) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.std() > 10


def test_the_command_trains_measures_and_draws(tmp_path, monkeypatch, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "data"))
    Image.fromarray(tiny.picture(64, 64)).save(photos / "a.png")
    words = ["--images", str(photos), "--measure", str(photos), "--minutes", "0.0001"]
    assert main(["train-articles", "--out", str(out), *words]) == 0
    told = capsys.readouterr()
    facts = json.loads((out / "measured.json").read_text())
    assert {row["article"] for row in facts["networks"]} == ARTICLES.keys() - {"generation"}
    by = {(row["article"], row["method"]): row["psnr"] for row in facts["networks"]}
    for name in ("restoration", "upscaling", "inpainting"):
        assert by[name, "ours"] > by[name, "article"]
        assert f"| {name} | ours | {by[name, 'ours']:.2f} |" in told.out
    for name in ARTICLES:
        assert load_checkpoint(out / f"{name}.safetensors").header.variant == name
        assert min(Image.open(out / f"{name}.png").size) > 96


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--minutes", "0"], 2, "--minutes is 0, but it must be a number above 0"),
        (["--measure", "."], 1, "no images in"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_trained(words, status, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train-articles", "--out", "out", *words]) == status
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
