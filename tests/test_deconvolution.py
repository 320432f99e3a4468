"""Convolution, its adjoint and its inverses keep their laws, and agree with scikit-image where it has the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from deconvdemo.deconvolution.borders import cropped, extended
from deconvdemo.deconvolution.inverse import inverse_filter, tikhonov, wiener
from deconvdemo.deconvolution.kernels import LARGEST, defocus, gaussian, kernel_named, motion, normalised
from deconvdemo.deconvolution.operators import Convolution
from deconvdemo.deconvolution.richardson_lucy import richardson_lucy
from deconvdemo.deconvolution.splitting import Schedule, half_quadratic_splitting, sparse_gradients
from deconvdemo.errors import ControlError
from deconvdemo.image import PHOTOS
from deconvdemo.image.pixels import as_images
from deconvdemo.image.reading import read_photo

SIDES = [(3, 3), (4, 5), (2, 7), (9, 1), (15, 13)]
BOUNDARIES = ["circular", "reflect", "valid"]
SIGMA = 2.55


def doubles(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def photo(side: int = 96) -> torch.Tensor:
    pixels = read_photo((PHOTOS / "astronaut.webp").read_bytes()).pixels
    return as_images(pixels)[..., 20 : 20 + side, 90 : 90 + side].double()


def noisy(image: torch.Tensor, sigma: float = SIGMA) -> torch.Tensor:
    return image + torch.randn(image.shape, generator=torch.Generator().manual_seed(1)).double() * sigma / 255


def decibels(restored: torch.Tensor, clean: torch.Tensor, border: int = 0) -> float:
    inner = (..., slice(border, -border or None), slice(border, -border or None))
    return float(-10 * (restored.clamp(0, 1)[inner] - clean[inner]).square().mean().log10())


# ---- operators


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("sides", SIDES)
def test_the_adjoint_is_the_adjoint(sides, boundary, stride):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩."""
    blur, x = Convolution(doubles(*sides), boundary, stride), doubles(2, 3, 17, 20, seed=1)
    seen = blur(x)
    y = doubles(*seen.shape, seed=2)
    assert float((seen * y).sum()) == pytest.approx(float((x * blur.adjoint(y, (17, 20))).sum()), rel=1e-12)


@pytest.mark.parametrize(("boundary", "mode"), [("circular", "wrap"), ("reflect", "mirror")])
@pytest.mark.parametrize("sides", SIDES)
def test_it_is_the_convolution_of_scipy(sides, boundary, mode):
    kernel, image = doubles(*sides), doubles(1, 1, 17, 20, seed=1)
    expected = ndimage.convolve(image[0, 0].numpy(), kernel.numpy(), mode=mode)
    assert np.allclose(Convolution(kernel, boundary)(image)[0, 0].numpy(), expected, atol=1e-12)


def test_a_transposed_convolution_of_networks_is_the_adjoint():
    """`ConvTranspose2d(1, 1, 4, 2)`, less what lies beyond the borders, of the same taps the other way round."""
    kernel, y = doubles(4, 4), doubles(1, 1, 8, 8, seed=1)
    ours = Convolution(kernel, "valid", stride=2).adjoint(y, (18, 18))
    assert torch.allclose(ours, functional.conv_transpose2d(y, kernel.flip(0, 1)[None, None], stride=2))


def test_the_transfer_function_is_what_a_circular_convolution_multiplies_by():
    blur, image = Convolution(doubles(5, 4)), doubles(1, 3, 12, 9)
    by_fourier = torch.fft.irfft2(torch.fft.rfft2(image) * blur.transfer((12, 9)), s=(12, 9))
    assert torch.allclose(by_fourier, blur(image), atol=1e-12)


def test_the_adjoint_is_not_the_inverse():
    kernel, image = gaussian(1.0), photo()
    blur = Convolution(kernel)
    assert decibels(blur.adjoint(blur(image), (96, 96)), image) < decibels(blur(image), image)
    assert decibels(inverse_filter(blur(image), kernel), image) > 120


# ---- kernels


@pytest.mark.parametrize(
    "name", ["gaussian:0.3", "gaussian:2", "defocus:0.6", "defocus:4.5", "motion:15,30", "motion:1,0"]
)
def test_kernels_sum_to_one_have_odd_sides_and_the_same_half_turned(name):
    kernel = kernel_named(name)
    assert kernel.sum() == pytest.approx(1)
    assert all(side % 2 for side in kernel.shape)
    assert torch.allclose(kernel, kernel.flip(0, 1), atol=1e-12)


def test_kernels_spread_as_far_as_they_say():
    def spread(kernel: torch.Tensor) -> list[float]:
        return [
            float((kernel.sum(1 - axis) * (torch.arange(side) - side // 2) ** 2).sum()) ** 0.5
            for axis, side in enumerate(kernel.shape)
        ]

    assert spread(gaussian(2.0)) == pytest.approx([2.02, 2.02], abs=0.03)  # of pixels, which are 1/12 wide themselves
    assert spread(defocus(6.0)) == pytest.approx([3.0, 3.0], abs=0.05)  # a disc's is radius / 2
    across = spread(motion(21, 0))
    assert across == pytest.approx([0, 20 / 12**0.5], rel=0.03, abs=1e-6)
    assert spread(motion(21, 90)) == pytest.approx(across[::-1], abs=1e-6)
    rising = motion(11, 45)  # to the upper right
    assert rising[0, -1] + rising[-1, 0] + rising[1, -2] > 10 * (rising[0, 0] + rising[-1, -1])


@pytest.mark.parametrize(
    "name", ["", "gaussian", "gaussian:", "gaussian:x", "gaussian:-1", "gaussian:nan", "gaussian:99", "motion:5",
             "defocus:0", "defocus:1e9", "motion:inf,0", "motion:1000,0", "box:3"],
)  # fmt: skip
def test_other_words_are_refused_in_a_sentence(name):
    with pytest.raises(ControlError, match=r"must be|takes"):
        kernel_named(name)


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (torch.zeros(3, 3), "black"),
        (-torch.ones(3, 3), "below 0"),
        (torch.full((3, 3), float("nan")), "no numbers"),
        (torch.ones(3, 3, 3), "shape"),
        (torch.ones(LARGEST + 1, 3), "at most"),
    ],
)
def test_what_cannot_be_a_kernel_is_refused(kernel, said):
    with pytest.raises(ControlError, match=said):
        normalised(kernel)


# ---- ways back


def test_the_inverse_is_exact_without_noise_and_useless_with_it():
    kernel, image = gaussian(1.0), photo()
    blurred = Convolution(kernel)(image)
    assert (inverse_filter(blurred, kernel) - image).abs().max() < 1e-6
    assert decibels(inverse_filter(noisy(blurred), kernel), image) < decibels(blurred, image)
    assert decibels(wiener(noisy(blurred), kernel, SIGMA), image) > decibels(blurred, image) + 1


def test_a_blur_that_removes_a_frequency_has_no_inverse():
    with pytest.raises(ControlError, match="removes some frequencies"):
        inverse_filter(photo(), torch.full((1, 2), 0.5))
    assert torch.isfinite(wiener(photo(), torch.full((1, 2), 0.5), 1.0)).all()


def test_tikhonov_is_the_least_of_what_it_says():
    """The gradient of ‖k ∗ x − y‖² + weight ‖x‖² is zero there."""
    blur, observed = Convolution(gaussian(1.5)), noisy(photo())
    found = tikhonov(observed, blur.kernel, 0.01)
    slope = blur.adjoint(blur(found) - observed, (96, 96)) + 0.01 * found
    assert slope.abs().max() < 1e-10
    with pytest.raises(ControlError, match="weight"):
        tikhonov(observed, blur.kernel, -1)


def test_richardson_lucy_agrees_with_scikit_image_far_from_the_borders():
    from skimage.restoration import richardson_lucy as reference

    kernel, image = gaussian(1.5), photo()[:, :1]
    blurred = Convolution(kernel, "reflect")(image)
    # theirs begins at 0.5, which twenty turns forget
    ours = richardson_lucy(blurred, kernel, 20)[0, 0].numpy()
    theirs = reference(blurred[0, 0].numpy(), kernel.numpy(), 20, clip=False)
    assert np.abs(ours - theirs)[24:-24, 24:-24].max() < 0.02
    assert (ours >= 0).all()


@pytest.mark.parametrize("name", ["gaussian:1.6", "defocus:3", "motion:9,30"])
def test_each_way_back_is_better_than_the_blur_and_priors_better_than_wiener(name):
    kernel, image = kernel_named(name), photo()
    blurred = noisy(Convolution(kernel)(image))
    before, by_wiener = decibels(blurred, image), decibels(wiener(blurred, kernel, SIGMA), image)
    assert by_wiener > before + 1
    assert decibels(richardson_lucy(blurred, kernel, 15), image, 8) > decibels(blurred, image, 8) + 1
    for exponent in (1.0, 2 / 3):
        assert decibels(sparse_gradients(blurred, kernel, SIGMA, exponent), image) > by_wiener


def test_no_edge_rings_from_the_borders():
    """A camera sees what lies beyond a photo's borders, too: a periodic method needs a photo that is extended."""
    kernel, scene = defocus(3), photo(110)
    blurred, clean = noisy(Convolution(kernel, "valid")(scene), 0.5), scene[..., 3:-3, 3:-3]

    def at_the_border(restored: torch.Tensor) -> float:
        error = (restored - clean).square()
        error[..., 12:-12, 12:-12] = 0
        return float(error.sum())

    wrapped = wiener(blurred, kernel, 0.5)
    smooth = cropped(wiener(extended(blurred, kernel), kernel, 0.5), blurred)
    assert at_the_border(smooth) < 0.5 * at_the_border(wrapped)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 40)])
def test_any_size_works(size):
    image, kernel = doubles(1, 3, *size), gaussian(1.0)
    longer = extended(image, kernel)
    assert torch.equal(cropped(longer, image), image)
    for restored in (wiener(longer, kernel, 5.0), sparse_gradients(longer, kernel, 5.0)):
        assert torch.isfinite(restored).all()
        assert restored.shape == longer.shape
    assert richardson_lucy(image, kernel, 3).shape == image.shape


# ---- splitting


def test_sigmas_fall_from_the_first_to_the_noise():
    found = Schedule(49, 8).sigmas(7.65)
    assert [found[0], found[-1]] == pytest.approx([49, 7.65])
    assert found == sorted(found, reverse=True)
    assert Schedule(49, 1).sigmas(7.65) == pytest.approx([7.65])
    assert min(Schedule().sigmas(0)) > 0


def test_a_prior_that_knows_the_photo_finds_it():
    """Near to the prior's word, the blur only adds what the photo says."""
    kernel, image = gaussian(2.0), photo()
    blurred = noisy(Convolution(kernel)(image))
    told = []

    def knows(images: torch.Tensor, sigma: float) -> torch.Tensor:
        told.append(sigma)
        return images + 0.9 * (image - images)

    estimates = [decibels(one, image) for one in half_quadratic_splitting(blurred, kernel, SIGMA, knows)]
    assert len(told) == 8
    assert told[-1] == pytest.approx(SIGMA)
    assert estimates[-1] > decibels(blurred, image) + 10
