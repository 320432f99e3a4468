"""The ways back agree in float64 with those of scikit-image, and operators with deepinv's where that is installed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deconvdemo.deconvolution.inverse import gradient_power_of, tikhonov, wiener
from deconvdemo.deconvolution.kernels import gaussian, motion
from deconvdemo.deconvolution.operators import Convolution
from deconvdemo.deconvolution.splitting import sparse_gradients

SIZE = (40, 37)


def doubles(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def reference_wiener(observed: torch.Tensor, kernel: torch.Tensor, balance: float, of: torch.Tensor) -> np.ndarray:
    from skimage.restoration import wiener

    stiffness = of.numpy().astype(complex)  # complex: a transfer function, not its kernel
    return np.stack([wiener(one.numpy(), kernel.numpy(), balance, stiffness, clip=False) for one in observed[0]])[None]


@pytest.mark.parametrize("kernel", [motion(9, 30), gaussian(1.5), torch.full((4, 3), 1 / 12, dtype=torch.float64)])
@pytest.mark.parametrize("weight", [1e-4, 0.03])
def test_tikhonov_is_scikit_images_wiener_with_the_same_regularisation(kernel, weight):
    observed, gradient = doubles(1, 3, *SIZE), gradient_power_of(SIZE).sqrt()
    for of, stiffness in (("identity", torch.ones_like(gradient)), ("gradient", gradient)):
        theirs = reference_wiener(observed, kernel, weight, stiffness)
        assert np.allclose(tikhonov(observed, kernel, weight, of).numpy(), theirs, rtol=0, atol=1e-9)


def test_wiener_is_scikit_images_with_the_noises_power_over_the_gradients():
    observed, kernel = doubles(1, 1, *SIZE), motion(9, 30)
    theirs = reference_wiener(observed, kernel, (7.65 / 255) ** 2 / 0.02, gradient_power_of(SIZE).sqrt())
    assert np.allclose(wiener(observed, kernel, 7.65, gradient_power=0.02).numpy(), theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("smoothing", [0.02, 0.1])
def test_total_variation_is_chambolles_where_one_direction_alone_varies(smoothing):
    """There isotropic total variation is ours; mirrored, a row repeats. Ours stops near the least, never below it."""
    from skimage.restoration import denoise_tv_chambolle

    rng = np.random.default_rng(0)
    row = np.repeat([0.2, 0.8, 0.5, 0.9, 0.1, 0.4], 20) + rng.normal(0, 0.05, 120)

    def energy(found: np.ndarray) -> float:
        return float(((found - row) ** 2).sum() / 2 + smoothing * np.abs(np.diff(found)).sum())

    theirs = denoise_tv_chambolle(row, smoothing, eps=1e-12, max_num_iter=5000)
    mirrored = torch.from_numpy(np.concatenate([row, row[::-1]]))[None, None, None]
    nothing_blurred = torch.ones(1, 1, dtype=torch.float64)
    ours = sparse_gradients(mirrored, nothing_blurred, 0.0, weight=1 / smoothing)[0, 0, 0].numpy()
    assert np.allclose(ours, ours[::-1])
    assert np.abs(ours[:120] - theirs).mean() < 0.005
    assert 0.999 * energy(theirs) < energy(ours[:120]) < 1.03 * energy(theirs)


@pytest.mark.parametrize("boundary", ["circular", "reflect", "valid"])
def test_convolution_and_adjoint_are_deepinvs(boundary):
    functional = pytest.importorskip("deepinv.physics.functional")
    kernel, images, blur = motion(9, 30), doubles(1, 3, *SIZE), Convolution(motion(9, 30), boundary)
    seen, taps = blur(images), kernel[None, None]
    assert torch.allclose(seen, functional.conv2d(images, taps, padding=boundary), rtol=0, atol=1e-12)
    theirs = functional.conv_transpose2d(seen, taps, padding=boundary)
    assert torch.allclose(blur.adjoint(seen, SIZE), theirs, rtol=0, atol=1e-12)


def test_tikhonov_is_deepinvs_proximal_step_from_nothing():
    physics = pytest.importorskip("deepinv.physics")
    kernel, observed = motion(9, 30), doubles(1, 3, *SIZE)
    blur = physics.BlurFFT(img_size=(3, *SIZE), filter=kernel[None, None])
    theirs = blur.prox_l2(torch.zeros_like(observed), observed, 1 / 0.01)
    assert torch.allclose(tikhonov(observed, kernel, 0.01), theirs, rtol=0, atol=1e-9)
