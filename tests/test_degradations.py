"""y = A(x) + n: each degradation is what its name and numbers say, and the seed names it exactly."""

import io

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from deconvdemo.degradations import (
    BicubicDownscale,
    CameraNoise,
    ForeignDownscale,
    GaussianBlur,
    GaussianNoise,
    Holes,
    Jpeg,
    PoissonGaussianNoise,
    ResizedNoise,
    ResizedThere,
    Sharpening,
    quantised,
)
from deconvdemo.degradations.camera import demosaiced_noise, linear_from_srgb, srgb_from_linear
from deconvdemo.degradations.editing import KERNELS
from deconvdemo.degradations.operators import discrete_gaussian


def seeded(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(level: float, side: int = 256) -> torch.Tensor:
    return torch.full((1, 3, side, side), level)


def neighbours(noise: torch.Tensor) -> torch.Tensor:
    """Correlation of each pixel with the one to its right, one number a channel."""
    product = (noise[..., :-1] * noise[..., 1:]).mean(dim=(0, 2, 3))
    return product / noise.square().mean(dim=(0, 2, 3))


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


RANDOM = {
    "white": GaussianNoise(25),
    "sensor": PoissonGaussianNoise(1e-2, 1e-2),
    "resized": ResizedNoise(25, 0.8),
    "camera": CameraNoise(1e-3, 3e-3, contrast=1.4, luma_blur=0.5, chroma_blur=1.5),
}
every_noise = pytest.mark.parametrize("noise", RANDOM.values(), ids=RANDOM)


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_noise_has_the_sigma_asked_for_and_is_not_clipped(sigma):
    clean = torch.ones(1, 3, 128, 128)
    noise = GaussianNoise(sigma)(clean, seeded()) - clean
    assert noise.std().item() * 255 == pytest.approx(sigma, rel=0.02)
    assert noise.mean().item() * 255 == pytest.approx(0, abs=0.02 * sigma)
    assert (noise > 0).float().mean().item() == pytest.approx(0.5, abs=0.02)  # a clipped image would have none


def test_each_image_of_a_batch_may_have_a_sigma_of_its_own():
    sigmas = torch.tensor([0.0, 10.0, 40.0]).view(-1, 1, 1, 1)
    noise = GaussianNoise(sigmas)(torch.zeros(3, 3, 64, 64), seeded())
    assert (noise.std(dim=(1, 2, 3)) * 255).tolist() == pytest.approx([0, 10, 40], rel=0.05)


@every_noise
def test_a_seed_names_the_noise(noise):
    clean = tiny.tensor(tiny.picture(16, 16))
    once, again = (noise(clean, seeded(3)) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, noise(clean, seeded(4)))


@every_noise
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (17, 31)])
def test_noise_keeps_the_size_of_any_image(noise, size):
    clean = torch.full((2, 3, *size), 0.5)
    noisy = noise(clean, seeded())
    assert noisy.shape == clean.shape
    assert torch.isfinite(noisy).all()


@pytest.mark.parametrize("noise", [PoissonGaussianNoise(0.0, 0.0), ResizedNoise(0.0, 1.5), GaussianNoise(0.0)])
def test_no_noise_is_the_identity(noise):
    clean = tiny.tensor(tiny.picture(40, 30))
    assert torch.equal(noise(clean, seeded()), clean)


@pytest.mark.parametrize("contrast", [1.0, 1.7])
def test_a_camera_without_noise_adds_nothing_of_its_own(contrast):
    """Neither demosaicing nor the tone curve nor noise reduction may leave a trace on the clean image."""
    clean = tiny.tensor(tiny.picture(41, 30))
    clean[..., :3], clean[..., -3:] = 0, 1  # where the curves are steepest
    seen = CameraNoise(0.0, 0.0, contrast=contrast, luma_blur=0.7, chroma_blur=2.0)(clean, seeded())
    assert (seen - clean).abs().max() < 1e-5


def test_a_sensors_variance_grows_linearly_with_the_light():
    shot, read = 4e-3, 2e-2
    for light in (0.0, 0.2, 0.5, 1.0):
        noise = PoissonGaussianNoise(shot, read)(grey(light), seeded()) - light
        assert noise.var().item() == pytest.approx(shot * light + read**2, rel=0.02)
        assert neighbours(noise).abs().max() < 0.02


def test_demosaiced_variance_grows_linearly_with_the_light():
    """Malvar's filters only scale the sensor's variance: by sums of squares from 0.55 to 1, channel by channel."""
    shot, read = 4e-3, 2e-2
    sensor = PoissonGaussianNoise(shot, read)
    at = {light: demosaiced_noise(grey(light), sensor, seeded()).var(dim=(0, 2, 3)) for light in (0.0, 0.25, 0.5, 1.0)}
    share = at[0.0] / read**2
    assert ((share > 0.5) & (share < 1)).all()
    for light, variance in at.items():
        assert (variance / share).tolist() == pytest.approx([shot * light + read**2] * 3, rel=0.03)


def test_demosaicing_keeps_what_is_flat_and_what_was_measured():
    """Each filter sums to 1; at each place of the mosaic the colour measured there is kept."""
    light = torch.rand(1, 3, 20, 22, generator=seeded())

    class Everything:  # "noise" that is the mosaic itself, over zero
        def __call__(self, mosaic, rng):
            return 2 * mosaic

    flat = grey(0.3, 15) * torch.tensor([1.0, 1.0, 1.0]).view(1, 3, 1, 1)
    assert torch.allclose(demosaiced_noise(flat, Everything(), seeded()), flat, atol=1e-6)
    kept = (demosaiced_noise(light, Everything(), seeded()) - light).abs() < 1e-6
    assert (kept.sum(dim=1) >= 1).all()
    assert kept.float().mean(dim=(0, 2, 3)).tolist() == pytest.approx([0.25, 0.5, 0.25], abs=0.01)


def test_a_cameras_noise_is_correlated_and_white_noise_is_not():
    clean = grey(0.4)
    camera = CameraNoise.at_iso(1600)(clean, seeded()) - clean
    assert (neighbours(camera) > 0.2).all()
    assert (neighbours(camera.transpose(2, 3)) > 0.2).all()
    channels = torch.corrcoef(camera[0].flatten(1))
    assert (channels > 0.2).all()
    white = GaussianNoise(25)(clean, seeded()) - clean
    assert neighbours(white).abs().max() < 0.02
    assert (torch.corrcoef(white[0].flatten(1)) - torch.eye(3)).abs().max() < 0.02


def test_white_balance_amplifies_the_noise_of_darker_channels():
    """Raw red is `gain` times darker, its variance too; amplified again, the variance is `gain` times the sensor's."""
    light, shot, gain = 0.2, 1e-4, 4.0
    clean = srgb_from_linear(grey(light))
    for channel, gains in ((0, {"red": gain, "blue": 1.0}), (2, {"red": 1.0, "blue": gain})):
        seen = linear_from_srgb(CameraNoise(shot, 0.0, **gains)(clean, seeded()))
        variances = [seen[0, channel, down::2, right::2].var().item() for down in (0, 1) for right in (0, 1)]
        # the least of the four places is where the channel was measured, not interpolated
        assert min(variances) == pytest.approx(gain * shot * light, rel=0.05)


def test_noise_reduction_smooths_colour_apart_from_lightness():
    clean = grey(0.4)
    luma = lambda noise: (noise * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    plain, reduced = (CameraNoise.at_iso(1600, chroma_blur=blur)(clean, seeded()) - clean for blur in (0.0, 2.0))
    assert torch.allclose(luma(plain), luma(reduced), atol=1e-5)
    assert (reduced - luma(reduced)).std() < 0.4 * (plain - luma(plain)).std()


def test_a_camera_is_noisier_at_a_higher_iso_and_stays_in_range():
    clean = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    strength = []
    for iso in (100, 800, 6400):
        seen = CameraNoise.at_iso(iso, contrast=1.4)(clean, seeded())
        assert seen.min() >= 0
        assert seen.max() <= 1
        strength.append((seen - clean).square().mean().sqrt().item() * 255)
    assert 0.5 < strength[0] < strength[1] < strength[2] < 40


def test_each_image_of_a_batch_may_have_a_camera_of_its_own():
    clean = grey(0.4, 64).expand(3, 3, 64, 64)
    many = (
        column(0.0, 1e-3, 1e-2),
        column(0.0, 1e-3, 1e-2),
        column(2, 2.2, 1.4),
        column(1.5, 1.4, 2),
        column(1, 1.5, 1.2),
    )
    seen = CameraNoise(*many, luma_blur=column(0, 0.4, 0), chroma_blur=column(0, 1, 2))(clean, seeded())
    strength = (seen - clean).square().mean(dim=(1, 2, 3)).sqrt()
    assert strength[0] < 1e-5
    assert 2 < strength[1] * 255 < strength[2] * 255


def test_srgb_is_the_standards_curve():
    assert linear_from_srgb(torch.tensor([0.0, 0.04045, 0.5, 1.0])).tolist() == pytest.approx(
        [0, 0.0031308, 0.2140411, 1], abs=1e-6
    )
    values = torch.linspace(0, 1, 256)
    assert torch.allclose(srgb_from_linear(linear_from_srgb(values)), values, atol=2e-6)


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.6, 2.0])
def test_resizing_makes_noise_blotchy_or_faint(scale):
    noise = ResizedNoise(20, scale)(grey(0.5), seeded()) - 0.5
    if scale > 1:
        assert (neighbours(noise) > 0.5).all()
    else:
        assert noise.std() * 255 < 20 * scale * 1.1


def test_a_blurs_kernel_has_the_variance_asked_for():
    for sigma in (0.1, 0.4, 0.7, 3.0):
        taps = discrete_gaussian(torch.tensor([sigma]), 20)[0].double()
        offsets = torch.arange(-20, 21)
        assert taps.sum().item() == pytest.approx(1)
        assert (taps * offsets**2).sum().item() == pytest.approx(sigma**2, rel=1e-3, abs=1e-6)
        assert taps.min() > -1e-7


def test_blur_agrees_with_an_independent_gaussian_and_reflects_borders():
    from scipy.ndimage import gaussian_filter

    clean = tiny.tensor(tiny.picture(33, 29))
    blurred = GaussianBlur(column(1.5, 3.0))(clean.expand(2, 3, 33, 29))
    for image, sigma in zip(blurred, (1.5, 3.0), strict=True):
        expected = gaussian_filter(clean[0].numpy(), (0, sigma, sigma), mode="mirror", truncate=6)
        assert np.abs(image.numpy() - expected).max() < 0.004  # sampled there, discrete here
    assert torch.allclose(GaussianBlur(0.7)(grey(0.3, 9)), grey(0.3, 9))
    assert torch.equal(GaussianBlur(0.0)(clean), clean)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (7, 3)])
def test_blur_works_on_any_size(size):
    image = torch.rand(2, 3, *size, generator=seeded())
    blurred = GaussianBlur(2.0)(image)
    assert blurred.shape == image.shape
    assert image.min() <= blurred.min()
    assert blurred.max() <= image.max()


def test_jpeg_is_what_pillow_writes_and_reads():
    picture = tiny.picture(40, 57)
    clean = tiny.tensor(picture).expand(3, 3, 40, 57)
    seen = Jpeg(column(100, 75, 30), column(0, 2, 1))(clean)
    for image, quality, subsampling in zip(seen, (100, 75, 30), (0, 2, 1), strict=True):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=subsampling)
        assert torch.equal(image, tiny.tensor(np.asarray(Image.open(file)))[0])


def test_jpeg_at_quality_100_is_nearly_the_identity_and_the_loss_grows_as_quality_falls():
    clean = tiny.tensor(tiny.picture(64, 64))
    losses = [(Jpeg(quality, 0)(clean) - clean).square().mean().sqrt().item() * 255 for quality in (100, 90, 60, 20)]
    assert losses[0] < 1
    assert losses == sorted(losses)
    assert losses[-1] > 5
    halved = Jpeg(100, 2)(clean)
    assert (halved - clean).abs().max() > 10 / 255  # chroma of half the resolution
    assert halved.min() >= 0
    assert halved.max() <= 1


def test_jpegs_grid_begins_where_it_is_told():
    """A picture whose blocks are flat is kept where the grid meets them, and only there."""
    blocks = torch.rand(1, 3, 4, 4, generator=seeded()).repeat_interleave(8, 2).repeat_interleave(8, 3)
    shifted = blocks[..., 3:, 5:]  # blocks of the picture begin at 5 and 3 now
    loss = {
        place: (Jpeg(50, 0, *place)(shifted) - shifted).abs().mean() for place in ((5, 3), (13, 11), (0, 0), (5, 4))
    }
    assert loss[5, 3] == loss[13, 11]
    assert loss[5, 3] < 0.5 * min(loss[0, 0], loss[5, 4])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_downscaling_crops_what_does_not_divide(scale):
    clean = tiny.tensor(tiny.picture(41, 29))
    shrink = BicubicDownscale(scale)
    cropped = shrink.crop(clean)
    assert cropped.shape[-2:] == (41 // scale * scale, 29 // scale * scale)
    assert torch.equal(cropped, clean[..., : cropped.shape[-2], : cropped.shape[-1]])
    assert shrink(clean).shape == (1, 3, 41 // scale, 29 // scale)
    assert torch.equal(shrink(clean), shrink(cropped))


def test_holes_lose_what_they_cover_and_nothing_else():
    clean, mask = tiny.tensor(tiny.picture(8, 9)) + 0.1, torch.zeros(1, 1, 8, 9)
    mask[..., 2:5, 3:7] = 1
    observed = Holes(mask)(clean)
    inside = mask.bool().expand_as(clean)
    assert (observed[inside] == 0).all()
    assert torch.equal(observed[~inside], clean[~inside])
    assert torch.equal(Holes(mask)(observed), observed)


def test_quantised_is_what_a_png_would_hold():
    values = torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.7, 100.4 / 255, 100.6 / 255])
    assert (quantised(values) * 255).tolist() == pytest.approx([0, 0, 128, 255, 255, 100, 101], abs=1e-4)


def test_sharpening_leaves_flat_fields_alone_and_raises_an_edges_contrast():
    flat = torch.full((1, 3, 16, 16), 0.4)
    assert torch.allclose(Sharpening(1.0)(flat), flat, atol=1e-6)
    edge = torch.full((1, 1, 16, 32), 0.3)
    edge[..., 16:] = 0.7
    sharp = Sharpening(1.0)(edge)[0, 0, 8]
    assert sharp[15] < 0.25  # halos
    assert sharp[16] > 0.75
    assert torch.equal(Sharpening(0.0)(edge), edge)


@pytest.mark.parametrize("kernel", KERNELS)
def test_foreign_kernels_keep_lightness_and_place(kernel):
    ramp = torch.linspace(0.1, 0.9, 48).expand(1, 3, 48, 48)
    small = ForeignDownscale(4, kernel)(ramp)
    assert small.shape == (1, 3, 12, 12)
    assert torch.allclose(small[..., 2:-2], BicubicDownscale(4)(ramp)[..., 2:-2], atol=2e-3)
    there_and_back = ResizedThere(0.7, kernel, kernel)(ramp)
    assert there_and_back.shape == ramp.shape
    assert (there_and_back - ramp)[..., 4:-4].abs().max() < 0.02  # "area" repeats pixels
