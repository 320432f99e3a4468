"""The laws that every task obeys, and what the Restorer does when memory, numbers or its user give out."""

import contextlib
import itertools
import threading
import time
from collections.abc import Generator

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from tiled import assert_tiled_is_whole

from deconvdemo.bicubic import resize
from deconvdemo.checkpoints.header import Header
from deconvdemo.checkpoints.index import INDEX, bundled_folder, read_index
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restoration import Progress, Restoration
from deconvdemo.engine.restorer import Restorer
from deconvdemo.engine.rounding import Rounding
from deconvdemo.engine.tile_by_tile import SMALLEST_TILE
from deconvdemo.errors import CheckpointError, ControlError, DeviceError, PhotoError
from deconvdemo.tasks import TASKS
from deconvdemo.tasks.denoise import UNKNOWN_SIGMA

FP32 = Compute("cpu", "fp32", "a test")
# what each task is asked for; a sigma is given where it would be estimated, so that nothing depends on an estimate
CASES = [
    ("denoise", {"sigma": 20}),
    ("denoise", {"variant": "photo"}),
    ("inpaint", {}),
    ("deblur", {"kernel": "motion:5,30", "sigma": 4}),
    *(("upscale", {"scale": scale}) for scale in (2, 3, 4)),
    ("upscale", {"scale": 2, "variant": "photo"}),
]
BLURRED = {"kernel": "gaussian:1", "sigma": 4}  # where it would be judged
SAME_SIZE = [case for case in CASES if "scale" not in case[1]]
VARIANTS = [(task.name, choices) for task in TASKS.values() for choices in task.combinations()]
INDEXED = bundled_folder() / INDEX
OWN = [case for case in VARIANTS if TASKS[case[0]].trains]
BUNDLED = [case for case in OWN if INDEXED.exists() and TASKS[case[0]].weights(case[1]) in read_index(INDEXED)]


def over(cases: list[tuple[str, dict]]):
    """Parametrises over tasks and what they are asked for."""
    ids = ["-".join(map(str, [task, *(value for name, value in c.items() if name != "sigma")])) for task, c in cases]
    return pytest.mark.parametrize(("task", "controls"), cases, ids=ids)


every_task = over(CASES)


def test_every_task_is_tested_here():
    assert {task for task, _ in CASES} == set(TASKS)


def a_mask(height: int, width: int) -> np.ndarray:
    """Scattered holes that leave some of every photo of more than one pixel."""
    mask = np.zeros((height, width), bool)
    mask[height // 3 : height // 3 + max(1, height // 4), width // 4 : width // 4 + max(1, width // 3)] = True
    mask[-1, -1] = True
    mask[0, 0] = False
    return mask


def mask_for(task: str, pixels: np.ndarray) -> np.ndarray | None:
    return a_mask(*pixels.shape[:2]) if TASKS[task].needs_mask else None


def restored(restorer: Restorer, task: str, pixels: np.ndarray, **controls) -> np.ndarray:
    return restorer.restore(task, pixels, mask_for(task, pixels), **controls).photo.pixels


def built(tiny_weights, precision="fp32", **options) -> Restorer:
    return Restorer(Weights(tiny_weights), Compute("cpu", precision, "a test"), **options)


# ---- law 1: strength ---------------------------------------------------------------------------------------

KINDS = [
    pytest.param(channels, dtype, id=f"{np.dtype(dtype).name}×{channels}")
    for channels, dtype in itertools.product((1, 3, 4), (np.uint8, np.uint16, np.float32))
]


@pytest.mark.parametrize(("channels", "dtype"), KINDS)
@over(SAME_SIZE)
def test_strength_zero_changes_nothing(restorer, task, controls, channels, dtype):
    observed = tiny.picture(33, 41, channels, dtype)
    restoration = restorer.restore(task, observed, mask_for(task, observed), strength=0, **controls)
    result = restoration.photo
    assert result.pixels.dtype == dtype
    assert np.array_equal(result.pixels, observed[..., :3])
    if channels == 4:
        assert np.array_equal(result.alpha, observed[..., 3])


def test_strength_zero_keeps_what_noise_pushed_out_of_range(restorer):
    observed = 2 * tiny.picture(20, 20, dtype=np.float32) - 0.5
    assert np.array_equal(restored(restorer, "denoise", observed, sigma=25, strength=0), observed)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_strength_zero_is_the_plain_resize(restorer, scale):
    observed = tiny.picture(23, 17)
    plain = resize(tiny.tensor(observed), scale).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    result = restored(restorer, "upscale", observed, scale=scale, strength=0)
    assert np.abs(result.astype(float) - 255 * plain).max() <= 0.5 + 1e-3


@every_task
def test_strength_scales_the_correction(restorer, task, controls):
    observed = tiny.picture(24, 31, dtype=np.float32)
    none, some, all_of_it = (
        restored(restorer, task, observed, strength=strength, **controls) for strength in (0, 0.3, 1)
    )
    assert np.abs(all_of_it - none).max() > 0.02
    assert np.allclose(some, none + 0.3 * (all_of_it - none), atol=1e-6)


# ---- law 2: outside the mask -------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "dtype"), KINDS)
def test_outside_the_mask_nothing_moves(restorer, channels, dtype):
    observed = tiny.picture(37, 40, channels, dtype)
    mask = a_mask(37, 40)
    result = restorer.restore("inpaint", observed, mask).photo.pixels
    assert np.array_equal(result[~mask], observed[..., :3][~mask])
    assert (result[mask] != observed[..., :3][mask]).any()


@pytest.mark.parametrize("feather", [1, 5])
@pytest.mark.parametrize("grow", [0, 3])
def test_grow_and_feather_reach_as_far_as_they_say(restorer, grow, feather):
    observed, mask = tiny.picture(60, 60), np.zeros((60, 60), bool)
    mask[28:32, 28:32] = True
    result = restorer.restore("inpaint", observed, mask, grow=grow, feather=feather).photo.pixels
    rows, columns = np.nonzero((result != observed).any(axis=2))
    outside = np.maximum(np.maximum(28 - rows, rows - 31), np.maximum(28 - columns, columns - 31))
    assert outside.max() <= grow + feather
    assert outside.max() > grow or feather == 1  # with one pixel of feather half the correction is left at the seam


def test_a_feathered_seam_fades(tiny_weights):
    observed, mask = tiny.picture(50, 50, dtype=np.float32), np.zeros((50, 50), bool)
    mask[:, :10] = True
    serving = serve(built(tiny_weights), Fixed(1.0))
    filled = serving.restore("inpaint", observed, mask, feather=4, smooth=True).photo.pixels
    moved = (filled - observed) / (1 - observed)
    assert moved[25, :, 0].tolist() == pytest.approx([1] * 10 + [0.8, 0.6, 0.4, 0.2] + [0] * 36, abs=1e-4)


@pytest.mark.parametrize(("grow", "feather"), [(0, 0), (2, 3)])
def test_what_is_under_the_mask_has_no_influence(restorer, grow, feather):
    observed, mask = tiny.picture(40, 44), a_mask(40, 44)
    other = observed.copy()
    other[mask] = 255 - other[mask]
    results = [
        restorer.restore("inpaint", pixels, mask, grow=grow, feather=feather).photo.pixels
        for pixels in (observed, other)
    ]
    assert np.array_equal(*results)


def test_the_network_sees_nothing_of_what_it_is_to_fill(tiny_weights):
    """Not of the band that is grown or feathered either: it was trained on holes alone."""
    seen = []
    observed, mask = tiny.picture(40, 40), np.zeros((40, 40), bool)
    mask[15:20, 15:20] = True
    serving = serve(built(tiny_weights), Fixed(before=seen.append))
    changed = serving.restore("inpaint", observed, mask, grow=2, feather=3).photo.pixels != observed
    photo, holes = seen[0][0, :3].numpy(), seen[0][0, 3].numpy()
    assert holes[changed.any(axis=2)].all()
    assert set(np.unique(holes)) == {0, 1}
    known = holes == 0
    assert np.allclose(photo[:, known], tiny.tensor(observed)[0].numpy()[:, known])
    hidden = np.where(known[..., None], observed, 255 - observed)
    serving.restore("inpaint", hidden, mask, grow=2, feather=3)
    assert torch.equal(seen[0], seen[1])


# ---- law 3: tiled equals whole, but for rounding -----------------------------------------------------------


SIZES_AND_TILES = [((99, 65), 32), ((131, 97), 50), ((64, 200), 64), ((33, 129), 127)]


@every_task
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_tiled_equals_whole(tiny_weights, task, controls, precision):
    photos = [(tiny.picture(*size), tile) for size, tile in SIZES_AND_TILES]
    cases = [(observed, mask_for(task, observed), tile) for observed, tile in photos]
    assert_tiled_is_whole(built(tiny_weights, precision), task, cases, controls)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deeper_photos_in_tiles_equal_the_whole_as_far_as_8_bits_go(restorer, dtype):
    cases = [(tiny.picture(*size, dtype=dtype), None, tile) for size, tile in SIZES_AND_TILES]
    assert_tiled_is_whole(restorer, "denoise", cases, {"sigma": 20})


# long and narrow: quick, and yet tiles do not see the whole photo, with the surroundings that each network needs
BUNDLED_SIZES = {"denoise": (48, 401), "inpaint": (401, 48), "upscale": (31, 203)}


@pytest.mark.skipif(not BUNDLED, reason="no weights are bundled yet")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@over(BUNDLED)
def test_tiled_equals_whole_with_the_bundled_weights(task, controls, precision):
    observed = tiny.picture(*BUNDLED_SIZES[task])
    bundled = Restorer.load(device="cpu", precision=precision)
    assert_tiled_is_whole(bundled, task, [(observed, mask_for(task, observed), 100)], controls)


@every_task
def test_the_same_photo_weights_precision_and_tiles_give_the_same_bits(tiny_weights, task, controls):
    observed = tiny.picture(64, 97)
    once, again = (restored(built(tiny_weights, tile=32), task, observed, **controls) for _ in range(2))
    assert np.array_equal(once, again)


# ---- several networks for a task ---------------------------------------------------------------------------


@over(VARIANTS)
def test_the_variant_says_which_network_restores(restorer, task, controls):
    observed, known = tiny.picture(24, 31), BLURRED if TASKS[task].has("kernel") else {}
    restoration = restorer.restore(task, observed, mask_for(task, observed), **known, **controls)
    name = TASKS[task].weights(controls)
    assert restoration.checkpoint["name"] == restorer.weights.load(name).header.name == name
    assert {key: restoration.report()[key] for key in controls} == controls
    assert f"variant {controls['variant']}" in restoration.summary()
    others = [case for case in VARIANTS if case[0] == task and case[1] != controls]
    assert not any(
        np.array_equal(restored(restorer, task, observed, **known, **other), restoration.photo.pixels)
        for _, other in others
    )


@pytest.mark.skipif(not BUNDLED, reason="no weights are bundled yet")
@over(BUNDLED)
def test_every_bundled_variant_changes_nothing_at_strength_zero_and_something_at_one(task, controls):
    bundled = Restorer.load(device="cpu", precision="fp32")
    observed = tiny.picture(40, 48)
    scale = controls.get("scale", 1)
    plain = (
        resize(tiny.tensor(observed), scale).clamp(0, 1)[0].permute(1, 2, 0).numpy() if scale > 1 else observed / 255
    )
    nothing = restored(bundled, task, observed, strength=0, **controls)
    assert np.abs(nothing - 255 * plain).max() <= 0.5 + 1e-3
    assert np.abs(restored(bundled, task, observed, **controls) - 255 * plain).max() > 1


def test_the_photo_network_judges_the_noise_by_itself_unless_it_is_told(tiny_weights):
    seen = []
    serving = built(tiny_weights)
    serving.swap({"denoise-photo": Given(Fixed(before=lambda images: seen.append(images[0, 3].unique().tolist())))})
    observed = tiny.picture(20, 24)
    by_itself = [serving.restore("denoise", observed, variant="photo", **given) for given in ({}, {"sigma": "auto"})]
    for restoration in by_itself:
        assert restoration.report()["sigma"] is None
        assert "sigma auto, strength 1, variant photo" in restoration.summary()
    told = serving.restore("denoise", observed, variant="photo", sigma=20)
    assert told.report()["sigma"] == 20
    levels = [pytest.approx([level / 255]) for level in (UNKNOWN_SIGMA, UNKNOWN_SIGMA, 20)]
    assert seen == levels
    assert restored(built(tiny_weights), "denoise", observed, variant="photo").any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_who_says_that_there_is_no_noise_gets_the_photo_as_it_is(restorer, dtype):
    observed = tiny.picture(24, 31, dtype=dtype)
    for variant in ("standard", "photo"):
        assert np.array_equal(restored(restorer, "denoise", observed, variant=variant, sigma=0), observed)
        assert not np.array_equal(restored(restorer, "denoise", observed, variant=variant, sigma=0.5), observed)


def with_weights(folder, *names: str) -> Restorer:
    """A Restorer with weights of these names alone, and nothing behind them."""
    for task, choices in OWN:
        if TASKS[task].weights(choices) in names:
            tiny.weights_file(folder, TASKS[task], choices)
    return Restorer(Weights(folder), FP32)


@pytest.mark.parametrize(
    ("names", "task", "controls", "says"),
    [
        (["denoise"], "denoise", {"variant": "photo"}, "no weights for variant 'photo': choose auto or standard"),
        (
            ["denoise", "denoise-fast"],
            "denoise",
            {"variant": "photo"},
            "variant 'photo': choose auto, standard or fast",
        ),
        (["denoise"], "denoise", {"variant": "Standard"}, "variant is 'Standard', but it must be auto or standard"),
        (["denoise"], "denoise", {"variant": 2}, "variant is 2, but"),
        (["denoise"], "denoise", {"variant": ["photo"]}, r"variant is \['photo'\], but"),
        (
            ["upscale-x2", "upscale-x3", "upscale-x2-photo"],
            "upscale",
            {"scale": 3, "variant": "photo"},
            "no weights for upscale-x3-photo: choose what upscale-x2, upscale-x3, upscale-x2-photo can do",
        ),
        (["upscale-x2"], "upscale", {"scale": 4}, "no weights for upscale-x4: choose what upscale-x2 can do"),
    ],
)
def test_a_variant_without_weights_is_refused_with_those_there_are(tmp_path, names, task, controls, says):
    with pytest.raises(ControlError, match=says) as refused:
        with_weights(tmp_path, *names).restore(task, tiny.picture(8, 8), **controls)
    assert "\n" not in str(refused.value)


def test_only_what_has_weights_is_offered(tmp_path):
    restorer = with_weights(tmp_path, "denoise", "denoise-photo", "upscale-x2-photo")
    assert list(restorer.task("denoise").variant.options) == ["standard", "photo"]
    assert restorer.task("denoise").variant.default == "auto"
    assert list(restorer.task("upscale").variant.options) == ["photo"]
    assert restorer.restore("upscale", tiny.picture(8, 8)).checkpoint["name"] == "upscale-x2-photo"
    assert list(restorer.task("inpaint").variant.options) == ["standard"]
    with pytest.raises(CheckpointError, match="no weights for 'inpaint', only for denoise, denoise-photo, upscale"):
        restorer.restore("inpaint", tiny.picture(8, 8), a_mask(8, 8))
    assert list(TASKS["denoise"].variant.options) == ["standard", "photo", "fast"]


def test_weights_that_the_user_names_are_the_ones_that_restore(tiny_weights, tmp_path):
    """Not the bundled standard ones, when what was named is another variant."""
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes((tiny_weights / "denoise-photo.safetensors").read_bytes())
    restorer = Restorer(Weights(tiny_weights, str(mine)), FP32)
    observed = tiny.picture(20, 24)
    assert restorer.restore("denoise", observed).checkpoint["source"] == str(mine)
    assert restorer.restore("denoise", observed, variant="standard").checkpoint["name"] == "denoise"
    assert restorer.restore("upscale", observed).checkpoint["name"] == "upscale-x2"


# ---- law 4: any size ---------------------------------------------------------------------------------------


@every_task
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 2), (3, 5), (7, 64)])
def test_any_size_works(restorer, task, controls, size):
    observed = tiny.picture(*size)
    mask = None
    if TASKS[task].needs_mask:
        mask = a_mask(*size)
        if size == (1, 1):
            with pytest.raises(PhotoError, match="mask"):
                restorer.restore(task, observed, mask, **controls)
            return
    scale = controls.get("scale", 1)
    result = restorer.restore(task, observed, mask, **controls).photo
    assert (result.height, result.width) == (size[0] * scale, size[1] * scale)


def test_too_many_pixels_are_refused_before_work_starts(tmp_path):
    without_weights = Restorer(Weights(tmp_path / "nowhere"), FP32, max_pixels=1000)
    with pytest.raises(PhotoError, match=r"photo is 40×30 .* at most"):
        without_weights.restore("denoise", tiny.picture(30, 40))
    with pytest.raises(PhotoError, match=r"×3 of 20×20 is .* smaller scale"):
        without_weights.restore("upscale", tiny.picture(20, 20), scale=3)
    with pytest.raises(CheckpointError):  # a photo that is small enough gets as far as the missing weights
        without_weights.restore("denoise", tiny.picture(20, 20))


# ---- law 5: what came in goes out --------------------------------------------------------------------------


@every_task
def test_alpha_profile_depth_and_format_are_kept(restorer, task, controls, tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = tiny.picture(20, 26, 4)
    pixels[..., 3] = 200
    path = tmp_path / "photo.webp"
    Image.fromarray(pixels).save(path, lossless=True, exact=True, icc_profile=profile)
    photo = restorer.restore(task, path, mask_for(task, pixels), **controls).photo
    assert photo.icc == profile
    assert photo.format == "WEBP"
    assert np.unique(photo.alpha).tolist() == [200]
    assert photo.alpha.shape == photo.pixels.shape[:2]


@every_task
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_depth_and_greyness_are_kept(restorer, task, controls, dtype, channels):
    observed = tiny.picture(18, 22, channels, dtype)
    result = restored(restorer, task, observed, **controls)
    assert result.dtype == dtype
    assert result.shape[2] == channels
    # and they are of no consequence: the same picture in 8 bits gives the same result, as near as 8 bits go
    in_8_bit = restored(restorer, task, tiny.picture(18, 22, channels), **controls)
    full = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    near = 16 if TASKS[task].by_turns else 4  # who undoes a blur undoes rounding with it
    assert np.abs(255 * np.clip(result / full, 0, 1) - in_8_bit).max() < near


def test_the_restoration_tells_how_it_was_made(restorer, tmp_path):
    observed = tiny.picture(30, 40)
    restoration = restorer.restore("upscale", observed, scale=3, strength=0.5)
    assert restoration.controls == {"scale": 3, "strength": 0.5, "variant": "standard", "wrap": False, "cleanup": 0.0}
    assert np.array_equal(restoration.observed.pixels, observed)
    report = restoration.report()
    assert report["checkpoint"]["name"] == "upscale-x3"
    assert len(report["checkpoint"]["sha256"]) == 64
    assert (report["width"], report["height"], report["tiles"], report["device"]) == (120, 90, 1, "cpu")
    assert "120×90" in restoration.summary()
    saved = restoration.save(tmp_path / "out.png")
    assert np.array_equal(np.asarray(Image.open(saved)), restoration.photo.pixels)
    assert np.array_equal(np.asarray(restoration.image), restoration.photo.pixels)


def test_an_estimated_sigma_is_told(restorer):
    noise = np.random.default_rng(0).normal(0, 20, (96, 96, 3))
    observed = np.clip(128 + noise, 0, 255).round().astype(np.uint8)
    estimated = restorer.restore("denoise", observed)
    assert estimated.controls["sigma"] == pytest.approx(20, rel=0.1)
    assert np.array_equal(
        estimated.photo.pixels, restored(restorer, "denoise", observed, sigma=estimated.controls["sigma"])
    )


# ---- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "controls", "says"),
    [
        ("sharpen", {}, "there is no task 'sharpen': choose one of denoise"),
        ("denoise", {"scale": 2}, "no control 'scale': it takes sigma, strength, variant, wrap"),
        ("denoise", {"sigma": -1}, "sigma is -1, but it must be a number from 0 to 75, or auto"),
        ("denoise", {"sigma": 75.5}, "from 0 to 75"),
        ("denoise", {"sigma": "abc"}, "sigma is 'abc'"),
        ("denoise", {"sigma": float("nan")}, "sigma is nan"),
        ("denoise", {"sigma": 10**400}, "sigma is 1000"),
        ("denoise", {"sigma": [25]}, "sigma is \\[25\\]"),
        ("denoise", {"sigma": True}, "sigma is True"),
        ("denoise", {"strength": 2}, "strength is 2, but it must be a number from 0 to 1"),
        ("denoise", {"strength": None}, "strength is missing"),
        ("denoise", {"strength": "auto"}, "strength is 'auto'"),
        ("upscale", {"scale": 5}, "scale is 5, but it must be 2, 3 or 4"),
        ("upscale", {"scale": 2.5}, "scale is 2.5"),
        ("inpaint", {"grow": -1}, "grow is -1"),
        ("inpaint", {"grow": 1.5}, "grow is 1.5, but it must be a whole number from 0 to 50"),
        ("inpaint", {"feather": float("inf")}, "feather is inf"),
    ],
)
def test_wrong_controls_are_refused_in_one_sentence(restorer, task, controls, says):
    with pytest.raises(ControlError, match=says) as refused:
        restorer.restore(task, tiny.picture(8, 8), **controls)
    assert "\n" not in str(refused.value)


def test_controls_may_come_as_text(restorer):
    by_text = restorer.restore("upscale", tiny.picture(8, 8), scale="3", strength="0.5")
    assert by_text.controls == {"scale": 3, "strength": 0.5, "variant": "standard", "wrap": False, "cleanup": 0.0}
    assert restorer.restore("denoise", tiny.picture(8, 8), sigma="auto").controls["sigma"] >= 0


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (None, "needs a mask"),
        (np.zeros((20, 30), bool), "the mask is empty"),
        (np.ones((20, 30), bool), "covers the whole photo"),
        (np.ones((30, 20), bool), "mask is 20×30 but the photo is 30×20"),
    ],
)
def test_a_mask_of_no_use_is_refused(restorer, mask, says):
    with pytest.raises(PhotoError, match=says):
        restorer.restore("inpaint", tiny.picture(20, 30), mask)


@pytest.mark.parametrize("task", [task for task in TASKS if not TASKS[task].needs_mask])
def test_a_mask_for_a_task_that_takes_none_is_refused(restorer, task):
    with pytest.raises(PhotoError, match="takes no mask"):
        restorer.restore(task, tiny.picture(20, 30), a_mask(20, 30))


@pytest.mark.parametrize("tile", [0, -5, SMALLEST_TILE - 1, "large", "1.5", ""])
def test_a_tile_of_no_use_is_refused(tiny_weights, tile):
    with pytest.raises(ControlError, match="tile is"):
        built(tiny_weights, tile=tile)


# ---- networks that misbehave -------------------------------------------------------------------------------


class Fixed(torch.nn.Module):
    """In place of a network: `answer` for every pixel; `before(images)` may raise, wait or take notes."""

    scale, stride, radius, image_channels, side_channels = 1, 2, 4, 3, 1

    def __init__(self, answer: float = 0.25, before=lambda images: None):
        super().__init__()
        self.answer, self.before = answer, before

    def forward(self, images):
        self.before(images)
        return torch.full_like(images[:, :3], self.answer)


class Given:
    """In place of a checkpoint: a network that is in memory already."""

    name, sha256, source = "a fake", "0" * 64, "a test"
    header = Header("DeconvUNet", {}, "denoise")

    def __init__(self, network):
        self._network = network

    def network(self):
        return self._network


def serve(restorer: Restorer, network) -> Restorer:
    restorer.swap(dict.fromkeys(("denoise", "inpaint"), Given(network)))
    return restorer


class OverflowsIn16Bits(Fixed):
    def forward(self, images):
        answer = super().forward(images)
        return answer * float("nan") if torch.is_autocast_enabled("cpu") and images[..., 0, 0].sum() > 0 else answer


def test_a_result_that_is_not_finite_is_computed_again_in_fp32_and_said(tiny_weights):
    restorer = serve(built(tiny_weights, "bf16", tile=32), OverflowsIn16Bits(0.25))
    restoration = restorer.restore("denoise", tiny.picture(40, 70), sigma=10)
    assert np.unique(restoration.photo.pixels).tolist() == [64]
    assert restoration.notes == ("bf16 overflowed: some tiles were computed again in fp32",)


@pytest.mark.parametrize("answer", [float("nan"), float("inf")])
def test_a_result_that_is_never_finite_is_an_error(tiny_weights, answer):
    restorer = serve(built(tiny_weights), Fixed(answer))
    with pytest.raises(DeviceError, match="not finite, even in fp32"):
        restorer.restore("denoise", tiny.picture(20, 20), sigma=10)


def test_an_unused_network_cannot_fail(tiny_weights):
    restorer = serve(built(tiny_weights), Fixed(float("nan")))
    observed = tiny.picture(20, 20)
    assert np.array_equal(restored(restorer, "denoise", observed, sigma=10, strength=0), observed)


class Memory:
    """Refuses windows of more than `most` pixels, as an allocator would."""

    def __init__(self, most: int, error: type[BaseException] = RuntimeError, says: str = "can't allocate memory"):
        self.most, self.error, self.says, self.refused = most, error, says, 0

    def __call__(self, images):
        if images.shape[-1] * images.shape[-2] > self.most:
            self.refused += 1
            raise self.error(self.says)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError, "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        (RuntimeError, "not enough memory"),
        (torch.OutOfMemoryError, "CUDA out of memory"),
        (MemoryError, ""),
    ],
)
def test_out_of_memory_halves_the_tile_and_the_work_goes_on(tiny_weights, error, says):
    observed = tiny.picture(200, 160)
    whole = restored(built(tiny_weights), "denoise", observed, sigma=20)
    network, memory = tiny.network("DeconvUNet"), Memory(90 * 90, error, says)
    network.load_state_dict({k: v.float() for k, v in Weights(tiny_weights).load("denoise").tensors.items()})
    network.register_forward_pre_hook(lambda module, arguments: memory(*arguments))
    restoration = serve(built(tiny_weights), network).restore("denoise", observed, sigma=20)
    assert memory.refused
    assert restoration.tiles > 4
    compared = Rounding()
    compared.add(restoration.photo.pixels, whole)
    assert not compared.broken()
    assert "memory ran short" in restoration.notes[0]


def test_progress_stays_true_while_tiles_halve(tiny_weights):
    restorer = serve(built(tiny_weights), Fixed(before=Memory(100 * 100)))
    *steps, restoration = restorer.steps("denoise", tiny.picture(256, 128), sigma=10)
    assert [step.done for step in steps] == list(range(restoration.tiles + 1))
    assert steps[-1].done == steps[-1].total == restoration.tiles


def test_only_the_tile_that_did_not_fit_is_cut_again(tiny_weights):
    calls = itertools.count(1)

    def short_once(images):
        if next(calls) == 3:
            raise RuntimeError("not enough memory")

    restorer = serve(built(tiny_weights, tile=64), Fixed(before=short_once))
    assert restorer.restore("denoise", tiny.picture(128, 128), sigma=10).tiles == 2 + 4 + 1


def test_out_of_memory_with_the_smallest_tile_is_an_error(tiny_weights):
    restorer = serve(built(tiny_weights), Fixed(before=Memory(0)))
    with pytest.raises(DeviceError, match="out of memory even with tiles of"):
        restorer.restore("denoise", tiny.picture(128, 128), sigma=10)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), NotImplementedError("no such kernel")])
def test_other_errors_are_not_taken_for_a_lack_of_memory(tiny_weights, error):
    def fail(images):
        raise error

    with pytest.raises(type(error), match=str(error)):
        serve(built(tiny_weights), Fixed(before=fail)).restore("denoise", tiny.picture(128, 128), sigma=10)


# ---- progress, stopping, many at once ----------------------------------------------------------------------


def test_progress_comes_before_the_first_and_after_each_tile(tiny_weights):
    *progress, last = built(tiny_weights, tile=32).steps("denoise", tiny.picture(64, 96), sigma=10)
    assert isinstance(last, Restoration)
    assert all(isinstance(step, Progress) for step in progress)
    assert [(step.done, step.total) for step in progress] == [(done, 6) for done in range(7)]
    assert progress[0].seconds_left is None
    assert progress[-1].seconds_left == 0


def test_closing_the_iterator_stops_at_the_next_tile(tiny_weights):
    calls = []
    steps = serve(built(tiny_weights, tile=32), Fixed(before=calls.append)).steps(
        "denoise", tiny.picture(128, 128), sigma=10
    )
    assert isinstance(steps, Generator)
    for _ in range(3):
        next(steps)
    steps.close()
    assert len(calls) == 2


def test_two_at_once_each_get_their_own_result_and_never_overlap(tiny_weights):
    running, overlaps = threading.Lock(), []

    def alone(images):
        if not running.acquire(blocking=False):
            overlaps.append(threading.current_thread().name)
            return
        time.sleep(0.002)
        running.release()

    restorer = built(tiny_weights, tile=32)
    restorer.swap({"denoise": Given(Fixed(0.2, alone)), "inpaint": Given(Fixed(0.6, alone))})
    results: dict[str, list] = {"denoise": [], "inpaint": []}

    def visitor(task):
        observed = tiny.picture(96, 96)
        results[task].append(restored(restorer, task, observed, **({"smooth": True} if task == "inpaint" else {})))

    visitors = [threading.Thread(target=visitor, args=(task,)) for task in ("denoise", "inpaint") * 3]
    for thread in visitors:
        thread.start()
    for thread in visitors:
        thread.join(60)
    assert not overlaps
    assert [np.unique(pixels).tolist() for pixels in results["denoise"]] == [[51]] * 3
    mask = a_mask(96, 96)
    assert [np.unique(pixels[mask]).tolist() for pixels in results["inpaint"]] == [[153]] * 3
    assert all(np.array_equal(pixels[~mask], tiny.picture(96, 96)[~mask]) for pixels in results["inpaint"])


def test_a_small_photo_does_not_wait_for_a_large_one(tiny_weights):
    restorer = serve(built(tiny_weights, tile=32), Fixed())
    large = restorer.steps("denoise", tiny.picture(256, 256), sigma=10)
    next(large)
    next(large)
    assert restored(restorer, "denoise", tiny.picture(16, 16), sigma=10).shape == (16, 16, 3)
    assert isinstance(list(large)[-1], Restoration)


def test_a_swap_serves_the_next_restoration_and_leaves_the_one_under_way(tiny_weights):
    restorer = serve(built(tiny_weights, tile=32), Fixed(0.2))
    steps = restorer.steps("denoise", tiny.picture(64, 64), sigma=10)
    next(steps)
    serve(restorer, Fixed(0.4))
    *_, under_way = steps
    assert np.unique(under_way.photo.pixels).tolist() == [51]
    assert np.unique(restored(restorer, "denoise", tiny.picture(64, 64), sigma=10)).tolist() == [102]


def test_an_error_in_one_restoration_leaves_the_next_alone(tiny_weights):
    restorer = serve(built(tiny_weights), Fixed(float("nan")))
    with contextlib.suppress(DeviceError):
        restorer.restore("denoise", tiny.picture(20, 20), sigma=10)
    serve(restorer, Fixed(0.2))
    assert np.unique(restored(restorer, "denoise", tiny.picture(20, 20), sigma=10)).tolist() == [51]
