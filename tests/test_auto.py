"""Auto: what harms a photo is judged, told, and decides which network restores it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from deconvdemo.checkpoints.serving import Weights
from deconvdemo.cli import main
from deconvdemo.degradations import GaussianNoise, Jpeg
from deconvdemo.engine.judging import judge
from deconvdemo.engine.restorer import Restorer
from deconvdemo.image import PHOTOS
from deconvdemo.image.pixels import as_images, eight_bits
from deconvdemo.image.reading import read_photo
from deconvdemo.networks.harm_judge import HarmJudge, statistics
from deconvdemo.tasks import AUTO, TASKS
from deconvdemo.tasks.harm import Harm
from deconvdemo.tasks.helpers import JUDGE
from deconvdemo.units import LUMA
from deconvdemo.web.restore.tab_events import _ending_words

CLEAN = Harm(level=0.3, noise=0.1, white=0.01, jpeg=0.1, blur=0.0)
WHITE = Harm(level=14, noise=15, white=0.99, jpeg=0.1, blur=0.0)
CAMERA = Harm(level=9, noise=8.6, white=0.01, jpeg=0.9, blur=0.3)
COMPRESSED = Harm(level=5, noise=0.2, white=0.01, jpeg=0.9, blur=0.0)
EVERY = [task.weights(choices) for task in TASKS.values() for choices in task.combinations()]


def photograph(name: str) -> np.ndarray:
    return read_photo(PHOTOS / f"{name}.webp").pixels


def chosen(task: str, harm: Harm | None, names=EVERY, **controls) -> dict:
    offered = TASKS[task].offering(names)
    return offered.choosing(offered.checked(controls), harm)


@pytest.mark.parametrize(
    ("task", "harm", "variant"),
    [
        ("denoise", WHITE, "standard"),
        ("denoise", CAMERA, "photo"),
        ("denoise", COMPRESSED, "photo"),
        ("denoise", CLEAN, "standard"),
        ("denoise", None, "standard"),
        ("upscale", CLEAN, "standard"),
        ("upscale", Harm(level=5, noise=0.4, white=0, jpeg=0.2, blur=0), "standard"),  # fine detail, in a PNG
        ("upscale", WHITE, "photo"),
        ("upscale", COMPRESSED, "photo"),
        ("upscale", CAMERA, "photo"),
        ("inpaint", CAMERA, "standard"),
    ],
)
def test_what_harms_the_photo_chooses_the_network(task, harm, variant):
    assert chosen(task, harm)["variant"] == variant
    for asked in TASKS[task].variant.options:
        assert chosen(task, harm, variant=asked)["variant"] == asked


def test_only_networks_that_are_there_are_chosen():
    assert chosen("denoise", CAMERA, ["denoise", "denoise-fast"])["variant"] == "standard"
    assert chosen("denoise", CAMERA, ["denoise-photo"])["variant"] == "photo"
    assert chosen("upscale", CAMERA, ["upscale-x3", "upscale-x2", "upscale-x2-photo"], scale=3)["variant"] == "standard"


def test_nothing_is_removed_from_a_clean_photo_unless_somebody_says_how_much():
    assert chosen("denoise", CLEAN)["sigma"] == 0
    assert chosen("denoise", CLEAN, sigma=7)["sigma"] == 7
    assert chosen("denoise", COMPRESSED)["sigma"] == pytest.approx(0.9 * COMPRESSED.level)
    assert chosen("denoise", WHITE)["sigma"] is None  # the estimate follows


def test_the_more_harm_the_larger_a_share_of_it_is_told():
    """A little too much takes the fine texture of a photo that is hardly harmed."""
    shares = [chosen("denoise", replace(CAMERA, level=level, noise=level / 2))["sigma"] / level for level in (5, 9, 20)]
    assert shares == pytest.approx([0.9, 1.025, 1.15], abs=0.01)


@pytest.mark.parametrize("harm", [CAMERA, COMPRESSED, replace(CAMERA, level=30, noise=25)])
def test_a_soft_photo_is_told_a_larger_share_since_it_has_no_fine_texture_to_lose(harm):
    offered = TASKS["denoise"].offering(EVERY)
    told = [offered.choosing(offered.checked({}), replace(harm, blur=blur)) for blur in (0.8, 1.0, 1.2, 3.0)]
    levels = [controls["sigma"] for controls in told]
    assert levels == sorted(levels)
    assert levels[0] < levels[1] < levels[2] == levels[3] == pytest.approx(1.2 * harm.level, abs=0.05)
    assert [offered.saw(one, replace(harm, blur=2.0)).count("soft") for one in told] == [1] * 4


def test_the_line_says_what_softness_chose_and_where_it_chose_nothing():
    soft = replace(CAMERA, blur=2.0)
    denoise, upscale = (TASKS[name].offering(EVERY) for name in ("denoise", "upscale"))
    saw = lambda task, harm, **given: task.saw(task.choosing(task.checked(given), harm), harm)
    assert saw(denoise, soft) == "JPEG traces, camera noise of about 9, soft: Camera photos"
    stays = "; soft, and stays so"
    assert saw(denoise, soft, sigma=5) == f"JPEG traces, camera noise of about 9: Camera photos{stays}"
    assert saw(denoise, replace(WHITE, blur=2.0)) == f"even noise of about 15: Even noise{stays}"
    assert saw(upscale, soft, scale=4) == f"JPEG traces, camera noise of about 9: JPEG photos{stays}"
    assert saw(upscale, soft, cleanup=0.5).endswith(f": cleaned first, JPEG photos{stays}")
    assert saw(upscale, replace(CLEAN, blur=2.0)) == f"a clean photo: Clean pictures{stays}"
    assert saw(denoise, replace(CLEAN, blur=2.0)) == "a clean photo, nothing to remove"


@pytest.mark.parametrize("seen", [CLEAN, WHITE, CAMERA, COMPRESSED])
def test_a_coarse_files_tables_leave_traces_whatever_its_pixels_show(seen):
    for quality in (1, 40, 95):
        harm = replace(seen, quality=quality)
        assert (harm.is_compressed, harm.is_white, harm.is_faint) == (True, False, False)
        controls = chosen("denoise", harm)
        assert (controls["variant"], controls["sigma"] >= 1) == ("photo", True)
    for quality in (96, 100, None):  # it was less fine before, perhaps, or noisy
        harm = replace(seen, quality=quality)
        assert (harm.is_compressed, harm.is_white, harm.is_faint) == (seen.is_compressed, seen.is_white, seen.is_faint)
        for task in ("denoise", "upscale"):
            assert chosen(task, harm) == chosen(task, seen)


def test_in_plain_colour_no_file_leaves_traces():
    network = bundled_judge()
    for colour in ((128, 128, 128), (250, 20, 40), (255, 255, 255)):
        plain = np.full((64, 64, 3), colour, np.uint8)
        harm = replace(judge(network, plain), quality=40)
        assert (harm.is_compressed, harm.is_faint, chosen("denoise", harm)["sigma"]) == (False, True, 0)


def test_what_was_seen_is_told():
    assert CAMERA.in_words() == "JPEG traces, camera noise of about 9"
    assert replace(CAMERA, quality=93).in_words() == "JPEG traces (quality 93), camera noise of about 9"
    assert WHITE.in_words() == "even noise of about 15"
    assert CLEAN.in_words() == "a clean photo"
    assert COMPRESSED.in_words() == "JPEG traces"


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (15, 40), (16, 16), (33, 200)])
def test_the_judge_takes_photos_of_any_size(size):
    picture = tiny.picture(*size)
    assert torch.isfinite(statistics(as_images(picture)[0])).all()
    assert torch.isfinite(statistics(torch.full((3, *size), 0.5))).all()
    assert judge(HarmJudge().eval(), picture).level >= 0


def bundled_judge() -> torch.nn.Module:
    return Weights().load(JUDGE).network()


@pytest.mark.parametrize("colours", ["colour", "grey", "three alike"])
@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_the_bundled_judge_knows_noise_and_jpeg(name, colours):
    network, clean = bundled_judge(), photograph(name)
    if colours != "colour":
        clean = np.rint(np.stack([clean @ np.array(LUMA)] * 3, axis=2)).astype(np.uint8)
    shown = slice(1 if colours == "grey" else 3)
    rng = torch.Generator().manual_seed(0)
    for sigma in (5, 15, 40):
        noisy = eight_bits(GaussianNoise(sigma)(as_images(clean[..., shown]), rng))
        harm = judge(network, noisy if colours != "three alike" else np.repeat(noisy[..., :1], 3, axis=2))
        assert harm.is_white
        assert 0.6 * sigma < harm.noise < 1.5 * sigma
    for quality in (60, 30):
        harm = judge(network, eight_bits(Jpeg(quality)(as_images(clean)))[..., shown])
        assert harm.is_compressed
        assert harm.level > 2


def test_what_nobody_sees_does_not_count():
    network, clean = bundled_judge(), photograph("astronaut")
    noisy = clean.copy()
    rng = np.random.default_rng(0)
    noisy[:, 80:] = np.clip(noisy[:, 80:] + rng.normal(0, 40, noisy[:, 80:].shape), 0, 255)
    seen = np.ones(clean.shape[:2], bool)
    seen[:, 80:] = False
    assert judge(network, noisy).level > 3 * judge(network, noisy, seen).level


@pytest.fixture
def judging(tiny_weights, monkeypatch):
    """A restorer of tiny networks, and what its judge will say."""
    said = [CAMERA]
    restorer = Restorer.load(Weights(tiny_weights), "cpu", "fp32")
    monkeypatch.setattr(restorer, "judged", lambda photo: said[0])
    return restorer, said


def test_a_restoration_says_what_was_seen_and_chosen(judging):
    restorer, said = judging
    observed = tiny.picture(24, 30)
    done = restorer.restore("denoise", observed)
    assert done.saw == "JPEG traces, camera noise of about 9: Camera photos"
    assert (done.controls["variant"], done.controls["sigma"], done.checkpoint["name"]) == (
        "photo",
        9.2,
        "denoise-photo",
    )
    assert done.report()["saw"] == done.saw
    assert done.saw in done.summary()
    asked = restorer.restore("denoise", observed, variant="photo", sigma=9.2)
    assert (asked.saw, "saw" in asked.report()) == ("", False)
    assert np.array_equal(asked.photo.pixels, done.photo.pixels)
    said[0] = CLEAN
    unchanged = restorer.restore("denoise", observed, variant=AUTO)
    assert unchanged.is_as_it_was
    assert unchanged.saw == "a clean photo, nothing to remove"
    assert np.array_equal(unchanged.photo.pixels, observed)
    assert not restorer.restore("denoise", observed, variant=AUTO, strength=0).is_as_it_was
    assert restorer.restore("upscale", observed).checkpoint["name"] == "upscale-x2"


def test_what_was_seen_begins_a_sentence_on_the_page(judging):
    restorer, said = judging
    said[0] = WHITE
    done = restorer.restore("denoise", tiny.picture(24, 30))
    assert done.saw == "even noise of about 15: Even noise"
    assert _ending_words(done).endswith(" s. Even noise of about 15: Even noise")


def test_an_open_photo_is_judged_once_by_each_judge(tiny_weights, tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    shutil.copytree(tiny_weights, folder)
    tiny.judge_of(folder, CAMERA)
    restorer = Restorer.load(Weights(folder), "cpu", "fp32")
    asked = []
    monkeypatch.setattr(
        "deconvdemo.engine.judging.judge", lambda network, *given: asked.append(network) or judge(network, *given)
    )
    photo = read_photo(tiny.picture(24, 30))
    assert restorer.judged(photo) is restorer.judged(photo)
    assert restorer.restore("denoise", photo).saw.startswith("JPEG traces, camera noise of about 9")
    assert len(asked) == 1
    restorer.judged(read_photo(tiny.picture(24, 30)))
    assert len(asked) == 2
    tiny.judge_of(folder, WHITE)
    restorer.swap({"judge": Weights(folder).load("judge")})
    assert restorer.judged(photo).is_white


def test_without_a_judge_the_standard_network_restores(tiny_weights):
    done = Restorer.load(Weights(tiny_weights), "cpu", "fp32").restore("denoise", tiny.picture(24, 30), variant=AUTO)
    assert (done.controls["variant"], done.saw) == ("standard", "")


def test_a_judge_is_fitted_and_judges(tmp_path, monkeypatch, capsys):
    from deconvdemo.training.run import judge_fitting

    for name in ("a", "b"):
        Image.fromarray(tiny.picture(160, 200)).save(tmp_path / f"{name}.png")
    for constant, value in (("PATCH", 64), ("STEPS", 30), ("REDUCED", ())):
        monkeypatch.setattr(judge_fitting, constant, value)
    out = tmp_path / "judge.safetensors"
    assert main(["train", "judge", "--images", str(tmp_path), "--steps", "32", "--out", str(out)]) == 0
    assert main(["train", "judge", "--images", str(tmp_path), "--batch", "8", "--out", str(out)]) == 2
    assert "--batch says nothing here: the judge is fitted in one go" in capsys.readouterr().err
    checkpoint = Weights(spec=str(out)).load(JUDGE)
    assert checkpoint.header.recipe["patches"] == 32
    assert set(checkpoint.header.measured) == {
        "white noise told right",
        "JPEG told right",
        "level missed by a factor of",
    }
    assert judge(checkpoint.network(), tiny.picture(50, 60)).level > 0
