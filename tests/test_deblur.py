"""Deblurring: what the blur may be given as, that borders do not ring, and that blocks are the whole photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from deconvdemo.cli import main
from deconvdemo.deconvolution.kernels import kernel_named
from deconvdemo.deconvolution.operators import Convolution
from deconvdemo.deconvolution.splitting import turned, turned_back
from deconvdemo.engine import by_turns
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restoration import Restoration
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError, DeviceError, PhotoError
from deconvdemo.image import PHOTOS
from deconvdemo.image.metrics import psnr
from deconvdemo.image.pixels import as_images, as_pixels
from deconvdemo.image.reading import read_photo
from deconvdemo.tasks import TASKS, in_words
from deconvdemo.tasks.kernel import kernel_of

DEBLUR = TASKS["deblur"]
MOTION = "motion:9,30"


@pytest.fixture(scope="module")
def bundled():
    return Restorer.load(device="cpu", precision="fp32")


def blurred(kernel: str, sigma: float = 2.0, side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """As a camera sees it, which knows nothing beyond its borders: (clean, observed), uint8."""
    taps = kernel_named(kernel)
    top, left = (one // 2 for one in taps.shape)
    clean = read_photo(PHOTOS / "astronaut.webp").pixels[: side + 2 * top, : side + 2 * left]
    seen = Convolution(taps, "valid")(as_images(clean).double()).float()
    noise = torch.randn(seen.shape, generator=torch.Generator().manual_seed(0))
    observed = as_pixels(seen + sigma / 255 * noise, np.uint8)
    return np.ascontiguousarray(clean[top : top + side, left : left + side]), observed


def frame(pixels: np.ndarray, width: int) -> np.ndarray:
    """What lies within so many pixels of the borders."""
    inside = np.ones(pixels.shape[:2], bool)
    inside[width:-width, width:-width] = False
    return pixels[inside][None]


# ---- what the blur is given as


def test_a_blur_is_words_an_array_or_a_file(tmp_path):
    taps = kernel_named(MOTION).numpy()
    np.save(tmp_path / "kernel.npy", taps)
    control = DEBLUR.controls[0]
    for given in (taps, taps.tolist(), tmp_path / "kernel.npy", taps.astype(np.float32) * 7):
        words = control.checked(given)
        assert words.startswith("taps:")
        assert control.checked(words) == words
        assert torch.allclose(kernel_of(words), kernel_named(MOTION), atol=1e-5)
    assert control.checked(" Motion:9, 30 ") == "motion:9,30"
    assert [control.checked(one) for one in (None, "AUTO", "none")] == ["auto", "auto", "none"]
    assert control.here(str(tmp_path / "kernel.npy")) == tmp_path / "kernel.npy"
    assert control.here("gaussian:2") == "gaussian:2"


def test_a_drawn_blur_is_told_in_short():
    words = DEBLUR.checked({"kernel": np.eye(31)})
    assert in_words(words)[0] == "kernel taps:31x31"


def test_the_largest_blur_fits_into_what_a_flag_may_say():
    rng = np.random.default_rng(0)
    assert len(DEBLUR.checked({"kernel": rng.random((151, 151))})["kernel"]) < 100_000
    with pytest.raises(ControlError, match="crop it to where it is bright"):
        DEBLUR.checked({"kernel": rng.random((257, 257))})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("motion:9", "motion takes 2 numbers"),
        ("gaussian:-1", "above 0"),
        ("wobble:3", "but it must be gaussian:SIGMA"),
        ("/etc/passwd", "but it must be gaussian:SIGMA"),
        ("taps:3x3:AAAA", "arrived damaged"),
        ("taps:9999999x9999999:eJwBAAD//wAAAAE=", "arrived damaged"),
        (5, "is no kernel"),
        ([[1, 2], [3]], "not equally long"),
        ([[0, 0], [0, 0]], "black"),
        ({"a": 1}, "is no kernel"),
        (np.full((3, 3), np.nan), "no numbers"),
    ],
)
def test_what_is_no_blur_is_refused_in_a_sentence(given, says):
    with pytest.raises(ControlError, match=says):
        DEBLUR.checked({"kernel": given})


def test_a_strangers_text_opens_no_file(restorer, tmp_path):
    """Only who runs the program names files: a path in a text that came from elsewhere is no kernel."""
    np.save(tmp_path / "kernel.npy", np.eye(5))
    path, photo = str(tmp_path / "kernel.npy"), tiny.picture(20, 24)
    assert restorer.restore("deblur", photo, kernel=path, sigma=4).controls["kernel"].startswith("taps:")
    with pytest.raises(ControlError, match="it must be"):
        next(restorer.steps("deblur", photo, kernel=path, sigma=4))
    with pytest.raises(PhotoError, match=r"missing\.npy"):
        restorer.restore("deblur", photo, kernel=str(tmp_path / "missing.npy"), sigma=4)


# ---- what comes out


def test_a_known_blur_is_undone_up_to_the_borders(bundled):
    clean, observed = blurred(MOTION)
    before = psnr(observed, clean)
    restored = bundled.restore("deblur", observed, kernel=MOTION, variant="fast").photo.pixels
    assert psnr(restored, clean) > before + 4
    # where what made the photo lies half beyond it, it is nearly as good
    assert psnr(frame(restored, 8), frame(clean, 8)) > psnr(restored[16:-16, 16:-16], clean[16:-16, 16:-16]) - 4


@pytest.mark.parametrize("method", ["wiener", "lucy", "variation"])
def test_classical_methods_undo_it_too_and_less(bundled, method):
    clean, observed = blurred(MOTION)
    restored = bundled.restore("deblur", observed, kernel=MOTION, variant=method).photo.pixels
    assert psnr(restored, clean) > psnr(observed, clean) + 0.5
    alone = DEBLUR.baseline({"lucy": "richardson-lucy", "variation": "total-variation"}.get(method, method))
    told = DEBLUR.told(observed, {"kernel": MOTION}, None)
    assert np.abs(alone.restore(observed, *told).astype(int) - restored).max() <= 1


def test_the_plain_division_drowns_in_noise(bundled):
    clean, observed = blurred(MOTION)
    restored = bundled.restore("deblur", observed, kernel=MOTION, variant="inverse").photo.pixels
    assert psnr(restored, clean) < psnr(observed, clean) - 5


@pytest.mark.parametrize("width", [1.2, 1.9])  # of 1.6
def test_a_blur_that_is_somewhat_wrong_does_not_ruin_the_photo(bundled, width):
    clean, observed = blurred("gaussian:1.6")
    restored = bundled.restore("deblur", observed, kernel=f"gaussian:{width}", variant="fast").photo.pixels
    assert psnr(restored, clean) > psnr(observed, clean)


def test_what_is_turned_is_turned_back():
    image = torch.rand(1, 3, 5, 7)
    ways = [turned(image, way) for way in range(8)]
    assert all(torch.equal(turned_back(one, way), image) for way, one in enumerate(ways))
    shapes = [tuple(one.shape[-2:]) for one in ways]
    assert shapes == [(5, 7), (7, 5)] * 4
    assert len({one.contiguous().numpy().tobytes() for one in ways}) == 8


def test_a_photo_that_nothing_blurred_stays_as_it_is(restorer):
    observed = tiny.picture(24, 31)
    done = restorer.restore("deblur", observed, kernel="none")
    assert np.array_equal(done.photo.pixels, observed)
    assert done.is_as_it_was
    assert "nothing to undo" in done.summary()
    wiener = DEBLUR.baseline("wiener").restore
    assert np.array_equal(wiener(observed, *DEBLUR.told(observed, {"kernel": "none"}, None)), observed)


@pytest.mark.parametrize("block", [by_turns.BLOCK, 64])
def test_a_texture_that_repeats_joins_at_its_borders(bundled, monkeypatch, block):
    """The result of the texture, rolled, is the result, rolled: there is no border."""
    monkeypatch.setattr(by_turns, "BLOCK", block)
    monkeypatch.setattr(by_turns, "AROUND", 48)
    _, observed = blurred(MOTION)
    rolled = np.roll(observed, (31, 17), (0, 1))
    asked = {"kernel": MOTION, "sigma": 2, "variant": "wiener", "wrap": True}
    once, again = (bundled.restore("deblur", one, **asked).photo.pixels for one in (observed, rolled))
    apart = np.abs(np.roll(once, (31, 17), (0, 1)).astype(int) - again)
    assert apart.mean() < (0.01 if block > 96 else 0.5)


def test_blocks_are_the_whole_photo(bundled, monkeypatch):
    _, observed = blurred(MOTION, side=128)
    whole = bundled.restore("deblur", observed, kernel=MOTION, variant="wiener").photo.pixels
    monkeypatch.setattr(by_turns, "BLOCK", 64)
    monkeypatch.setattr(by_turns, "AROUND", 48)
    blocks = bundled.restore("deblur", observed, kernel=MOTION, variant="wiener").photo.pixels
    apart = np.abs(whole.astype(int) - blocks)
    assert apart.mean() < 0.5
    assert apart[60:68, :].mean() < 2 * apart.mean() + 0.1  # and no seam is seen


class Shortage:
    """In the place of a Fourier transform: has memory for so many of them, then for none of more pixels a side."""

    def __init__(self, error: Exception, largest: int, before: int = 0, times: int = 1000):
        self.error, self.largest, self.before, self.times, self.real = error, largest, before, times, torch.fft.rfft2

    def __call__(self, image: torch.Tensor, *given, **named) -> torch.Tensor:
        self.before -= 1
        if self.before < 0 < self.times and max(image.shape[-2:]) > self.largest:
            self.times -= 1
            raise self.error
        return self.real(image, *given, **named)


@pytest.fixture
def in_blocks(monkeypatch):
    """in_blocks(restorer, photo, …) deblurs it in blocks of 64 pixels from the beginning."""
    monkeypatch.setattr(by_turns, "AROUND", 48)
    monkeypatch.setattr(by_turns, "SMALLEST_BLOCK", 32)

    def restore(restorer: Restorer, observed: np.ndarray, **asked) -> np.ndarray:
        with monkeypatch.context() as smaller:
            smaller.setattr(by_turns, "BLOCK", 64)
            return restorer.restore("deblur", observed, **asked).photo.pixels

    return restore


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()], ids=["torch", "python"]
)
def test_a_block_whose_transforms_do_not_fit_into_memory_is_halved(bundled, monkeypatch, in_blocks, error):
    _, observed = blurred(MOTION, side=128)
    asked = {"kernel": MOTION, "variant": "wiener", "sigma": 2}
    whole = bundled.restore("deblur", observed, **asked).photo.pixels
    expected = in_blocks(bundled, observed, **asked)
    monkeypatch.setattr(torch.fft, "rfft2", Shortage(error, 140))
    found = bundled.restore("deblur", observed, **asked)
    np.testing.assert_array_equal(found.photo.pixels, expected)
    assert np.abs(whole.astype(int) - found.photo.pixels).mean() < 0.5
    assert found.notes == ("memory ran short: went on with blocks of 64 pixels",)
    monkeypatch.setattr(torch.fft, "rfft2", Shortage(error, 0))
    with pytest.raises(DeviceError, match="out of memory even with blocks of 32 pixels: close other programs"):
        bundled.restore("deblur", observed, **asked)
    monkeypatch.setattr(torch.fft, "rfft2", Shortage(RuntimeError("shapes differ"), 0))
    with pytest.raises(RuntimeError, match="shapes differ"):
        bundled.restore("deblur", observed, **asked)


def test_memory_that_runs_short_between_two_turns_harms_nothing(tiny_weights, monkeypatch, in_blocks):
    restorer = Restorer(tiny_weights_of(tiny_weights), Compute("cpu", "fp32", "a test"))
    observed, asked = tiny.picture(80, 80), {"kernel": "gaussian:1", "sigma": 4, "wrap": True}
    expected = in_blocks(restorer, observed, **asked)
    monkeypatch.setattr(torch.fft, "rfft2", Shortage(MemoryError(), 0, before=20, times=1))
    *told, found = restorer.steps("deblur", observed, **asked)
    np.testing.assert_array_equal(found.photo.pixels, expected)  # what repeats still does, beyond every block
    assert [step.done for step in told] == [*range(found.tiles + 1)]
    assert told[-1].done == told[-1].total == found.tiles
    assert found.tiles > 4 * 8  # and of the first try


def test_progress_is_one_for_all_turns_and_stop_ends_between_tiles(tiny_weights):
    restorer = Restorer(tiny_weights_of(tiny_weights), Compute("cpu", "fp32", "a test"), tile=48)
    steps = restorer.steps("deblur", tiny.picture(80, 80), kernel="gaussian:1", sigma=4)
    told = [(step.done, step.total) for step in steps if not isinstance(step, Restoration)]
    assert [done for done, _ in told] == [*range(len(told))]
    assert len({total for _, total in told[1:]}) == 1
    assert told[-1][0] == told[-1][1]
    stopped = restorer.steps("deblur", tiny.picture(80, 80), kernel="gaussian:1", sigma=4)
    next(stopped)
    next(stopped)
    stopped.close()  # type: ignore[attr-defined]  # it is a generator, as the page's


def tiny_weights_of(folder: Path):
    from deconvdemo.checkpoints.serving import Weights

    return Weights(folder)


def test_the_command_takes_words_and_files(tmp_path, tiny_weights, capsys):
    from PIL import Image

    Image.fromarray(tiny.picture(24, 31)).save(tmp_path / "a.png")
    np.save(tmp_path / "k.npy", kernel_named(MOTION).numpy())
    common = ["--weights", str(tiny_weights), "--device", "cpu", "--precision", "fp32", "--sigma", "4"]
    results = []
    for number, kernel in enumerate((MOTION, str(tmp_path / "k.npy"))):
        out = tmp_path / f"{number}.png"
        assert main(["deblur", str(tmp_path / "a.png"), "-o", str(out), "--kernel", kernel, *common]) == 0
        results.append(np.asarray(Image.open(out)).astype(int))
    assert np.abs(results[0] - results[1]).max() <= 2
    assert "kernel taps:" in capsys.readouterr().out
    assert (
        main(["deblur", str(tmp_path / "a.png"), "-o", str(tmp_path / "c.png"), "--kernel", "wobble:2", *common]) == 1
    )
    said = capsys.readouterr().err
    assert "wobble" in said
    assert "or give the kernel as gaussian:SIGMA" in said


def test_the_protocol_is_the_literatures():
    clean = tiny.picture(40, 44)
    made = DEBLUR.degraded(clean, {"kernel": MOTION, "noise": 2.55}, 3)
    again = DEBLUR.degraded(clean, {"kernel": MOTION, "noise": 2.55}, 3)
    assert np.array_equal(made.observed, again.observed)
    exact = as_pixels(Convolution(kernel_named(MOTION))(as_images(clean).double()).float())
    assert 2.3 < 255 * (made.observed - exact).std() < 2.8
    assert dict(made.controls) == {"kernel": MOTION, "sigma": 2.55, "wrap": True}
    assert made.setting == f"{MOTION}, 2.55"
