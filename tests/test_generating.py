"""Pictures from noise: by their seed alone, flat where the noise is flat, and like photos in what can be counted."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deconvdemo.cli import main
from deconvdemo.engine.generating import between, generate, interpolated, layers, noise_of
from deconvdemo.errors import ControlError
from deconvdemo.evaluation.generated import likeness
from deconvdemo.networks.decoder import Decoder, EvenDeconvolution
from deconvdemo.training.run.decoder_fitting import train_decoder
from deconvdemo.training.run.patch_loss import Directions, distance
from deconvdemo.web.learn.generated import generated_routes

SMALL = {"latent": 4, "widths": [8, 8, 8, 8, 4]}


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return np.stack([generate(seed) for seed in range(12)])


def test_the_same_seed_gives_the_same_bits_and_others_other_pictures(drawn):
    assert np.array_equal(generate(3), drawn[3])
    assert drawn.shape == (12, 64, 64, 3)
    apart = [np.abs(one.astype(float) - other).mean() for one, other in pairwise(drawn)]
    assert min(apart) > 5


def test_the_random_numbers_of_whoever_calls_stay_as_they_were():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    generate(1)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_picture_grows_layer_by_layer(drawn):
    grown = layers(0)
    assert [one.shape for one in grown] == [(side, side, 3) for side in (4, 8, 16, 32, 64)]
    assert np.array_equal(grown[-1], drawn[0])
    smaller = Image.fromarray(grown[-1]).resize((8, 8), Image.Resampling.BOX)
    assert np.corrcoef(np.asarray(smaller).ravel(), grown[1].ravel())[0, 1] > 0.5  # it was there from early on


def test_at_temperature_zero_all_pictures_are_one_and_it_is_flat():
    calm = generate(0, temperature=0)
    assert np.array_equal(calm, generate(1, temperature=0))
    assert calm.std((0, 1)).max() <= 0.5  # no checkerboard, nor anything else


def test_between_two_seeds_the_noise_is_as_strong_and_the_ends_are_theirs(drawn):
    assert np.abs(interpolated(0, 1, 0.0).astype(int) - drawn[0]).max() <= 1
    assert np.abs(interpolated(0, 1, 1.0).astype(int) - drawn[1]).max() <= 1
    middle = between(noise_of(0), noise_of(1), 0.5)
    assert float(middle.std() / noise_of(0).std()) == pytest.approx(1, abs=0.15)
    assert torch.equal(between(noise_of(0), noise_of(0), 0.5), noise_of(0))


@pytest.mark.parametrize(("seed", "temperature"), [(-1, 1), (0.5, 1), (2**31, 1), (0, -0.1), (0, 2.1), ("x", 1)])
def test_what_is_out_of_range_is_refused(seed, temperature):
    with pytest.raises(ControlError):
        generate(seed, temperature)


# ---- no checkerboard ---------------------------------------------------------------------------------------


def test_a_flat_field_comes_out_flat_whatever_the_weights_are():
    torch.manual_seed(0)
    layer = EvenDeconvolution(6, 5)
    torch.nn.init.normal_(layer.layer.weight)
    field = torch.rand(1, 6, 1, 1).expand(1, 6, 7, 9)
    painted = layer(field)
    assert painted.shape == (1, 5, 14, 18)
    assert painted.std((2, 3)).max() < 1e-5 * painted.abs().max() + 1e-5
    plain = torch.nn.functional.conv_transpose2d(field, layer.layer.weight, stride=2, padding=1)[..., 4:-4, 4:-4]
    assert plain.std((2, 3)).max() > 0.1  # which the same weights would not give by themselves


def test_noise_on_a_larger_grid_gives_a_larger_picture():
    network = Decoder(**SMALL).eval()
    assert network(torch.randn(2, 4, 3, 5)).shape == (2, 3, 48, 80)


def test_the_last_grid_s_places_are_as_bright_as_each_other(drawn):
    """What a checkerboard would be: places of a 2×2 cell that differ on average over pictures."""
    cells = drawn.astype(float).reshape(len(drawn), 32, 2, 32, 2, 3).mean((0, 1, 3))
    assert np.abs(cells - cells.mean((0, 1))).max() < 2


# ---- likeness ----------------------------------------------------------------------------------------------


def test_generated_pictures_are_more_like_photos_than_noise_is(drawn):
    from deconvdemo.evaluation.generated import crops_of
    from deconvdemo.image import PHOTOS

    real, rng = crops_of(PHOTOS), np.random.default_rng(0)
    noise = rng.integers(0, 256, drawn.shape).astype(np.uint8)
    ours, theirs = likeness("ours", drawn, real), likeness("noise", noise, real)
    assert ours.spectrum < theirs.spectrum / 2
    assert ours.patches < theirs.patches / 4
    same = likeness("same", real, real)
    assert (same.spectrum, same.patches) == (0, 0)


def test_sliced_distances_are_zero_for_equal_sets_and_grow_with_what_differs():
    pictures = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    kernels = Directions.of(pictures).drawn(6, torch.Generator().manual_seed(1))
    found = [
        float(distance(pictures + shift, pictures, kernels, torch.Generator().manual_seed(2))) for shift in (0, 0.1, 1)
    ]
    assert found[0] == 0
    assert 0 < found[1] < found[2]


def test_training_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    from deconvdemo.training.run import decoder_fitting

    monkeypatch.setattr(decoder_fitting, "BATCH", 2)
    monkeypatch.setattr(decoder_fitting, "KEEP_EVERY", 2)
    crops = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    train_decoder(crops, tmp_path / "whole.safetensors", ["drawn"], lambda text: None, 4, config=SMALL)

    class StoppedError(Exception):
        pass

    def stop(text: str) -> None:
        raise StoppedError

    kept = decoder_fitting._keep
    monkeypatch.setattr(decoder_fitting, "_keep", lambda *told: (kept(*told), stop("")))
    with pytest.raises(StoppedError):
        train_decoder(crops, tmp_path / "stopped.safetensors", ["drawn"], lambda text: None, 4, config=SMALL)
    monkeypatch.setattr(decoder_fitting, "_keep", kept)
    train_decoder(crops, tmp_path / "stopped.safetensors", ["drawn"], lambda text: None, 4, config=SMALL)
    files = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert files[0] == files[1]
    assert not [*tmp_path.glob("*.state.*")]


# ---- the command and the address ---------------------------------------------------------------------------


def test_the_command_draws_as_many_as_were_asked_for_and_replaces_nothing(tmp_path, capsys, drawn):
    assert main(["generate", "-o", str(tmp_path / "one.png"), "--seed", "2"]) == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "one.png")), drawn[2])
    assert main(["generate", "-o", str(tmp_path / "some"), "--seed", "4", "--count", "2"]) == 0
    assert sorted(file.name for file in (tmp_path / "some").iterdir()) == ["4.png", "5.png"]
    assert main(["generate", "-o", str(tmp_path / "way"), "--count", "3", "--interpolate", "1"]) == 0
    assert len([*(tmp_path / "way").iterdir()]) == 3
    capsys.readouterr()
    for words in (["one.png"], ["two.png", "--count", "2"], ["a.jpg"], ["b", "--count", "0"], ["c", "--seed", "x"]):
        assert main(["generate", "-o", str(tmp_path / words[0]), *words[1:]]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_the_address_gives_pictures_and_says_what_it_cannot(drawn, tmp_path):
    client = TestClient(Starlette(routes=generated_routes()))
    reply = client.get("/learn/generate?seed=1&temperature=1")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
    file = tmp_path / "a.png"
    file.write_bytes(reply.content)
    assert np.array_equal(np.asarray(Image.open(file)), drawn[1])
    file.write_bytes(client.get("/learn/generate?seed=1&layer=1").content)
    assert Image.open(file).size == (8, 8)
    assert client.get("/learn/generate?seed=0&to=1&share=0.5").status_code == 200
    for wrong in ("seed=-1", "seed=x", "temperature=9", "layer=5", "layer=0.5", "to=1&share=2", "seed=nan"):
        reply = client.get(f"/learn/generate?{wrong}")
        assert reply.status_code == 400
        assert "must be" in reply.text
