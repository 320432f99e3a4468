"""How far each way back from a blur comes: the literature's protocol, of set3c and Levin's eight kernels.

    python benchmarks/deblurring.py --images FOLDER --kernels FOLDER [--methods wiener network] [--json FILE]

Each image is blurred circularly by each kernel (Levin et al., CVPR 2009; .npy files, or the names of our own kernels
without a folder), and white noise is added, neither clipped nor rounded. PSNR over RGB, in dB: the mean and the worst.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deconvdemo.checkpoints.serving import Weights
from deconvdemo.deconvolution.inverse import inverse_filter, tikhonov, wiener
from deconvdemo.deconvolution.kernels import kernel_named, normalised
from deconvdemo.deconvolution.operators import Convolution
from deconvdemo.deconvolution.richardson_lucy import richardson_lucy
from deconvdemo.deconvolution.splitting import Schedule, sparse_gradients, splitting_turns, turned, turned_back
from deconvdemo.image.metrics import psnr
from deconvdemo.image.pixels import as_images
from deconvdemo.image.reading import read_photo
from deconvdemo.units import GREY_LEVELS

OURS = ("gaussian:1.6", "defocus:3", "motion:15,30")
SIGMAS = (2.55, 7.65)


def network() -> Callable[[Tensor, float], Tensor]:
    """The bundled denoiser."""
    denoiser = Weights().load("denoise").network()

    def denoise(images: Tensor, sigma: float) -> Tensor:
        level = torch.full_like(images[:, :1], sigma / GREY_LEVELS)
        with torch.inference_mode():
            return denoiser(torch.cat([images, level], 1))

    return denoise


def by_turns(
    y: Tensor, k: Tensor, sigma: float, denoise: Callable[[Tensor, float], Tensor], schedule: Schedule
) -> Tensor:
    """As `deconvdemo deblur` does it: in each turn the denoiser is shown the image turned or mirrored otherwise."""
    turns, answer = splitting_turns(y, k, sigma, schedule), None
    while True:
        try:
            turn = next(turns) if answer is None else turns.send(answer)
        except StopIteration as ended:
            return ended.value
        answer = turned_back(denoise(turned(turn.image, turn.number), turn.sigma), turn.number)


def methods(schedule: Schedule) -> dict[str, Callable[[Tensor, Tensor, float], Tensor]]:
    """name → (observed, kernel, sigma) → restored."""
    denoise = network()
    return {
        "blurry": lambda y, k, sigma: y,
        "inverse": lambda y, k, sigma: inverse_filter(y, k),
        "wiener": wiener,
        "tikhonov": lambda y, k, sigma: tikhonov(y, k, (sigma / 60) ** 2),
        "richardson-lucy": lambda y, k, sigma: richardson_lucy(y, k, 30 if sigma < 5 else 12),
        "total-variation": sparse_gradients,
        "hyper-laplacian": lambda y, k, sigma: sparse_gradients(y, k, sigma, 2 / 3),
        "network": lambda y, k, sigma: by_turns(y, k, sigma, denoise, schedule),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--kernels", type=Path)
    parser.add_argument("--methods", nargs="*")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--balance", type=float, default=0.23)
    parser.add_argument("--first", type=float, default=49.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = sorted(one for one in options.images.iterdir() if one.suffix in (".png", ".bmp", ".webp"))
    kernels = [
        *(normalised(torch.from_numpy(np.load(one))) for one in sorted(options.kernels.glob("*.npy")))
    ] if options.kernels else [kernel_named(name) for name in OURS]  # fmt: skip
    known = methods(Schedule(options.first, options.turns, options.balance))
    found = {}
    print(f"{len(files)} images × {len(kernels)} kernels, on {platform.processor() or platform.machine()}")
    for name in options.methods or known:
        for sigma in SIGMAS:
            reached = [
                one(known[name], read_photo(file.read_bytes()).pixels, kernel, sigma, seed)
                for seed, file in enumerate(files)
                for kernel in kernels
            ]
            found[f"{name} {sigma:g}"] = reached
            print(f"{name:16} sigma {sigma:<5g} {np.mean(reached):6.2f}  worst {min(reached):6.2f}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def one(
    restore: Callable[[Tensor, Tensor, float], Tensor], pixels: np.ndarray, kernel: Tensor, sigma: float, seed: int
):
    """The PSNR of one image's restoration."""
    clean = as_images(pixels)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)) * sigma / GREY_LEVELS
    restored = restore(Convolution(kernel)(clean) + noise, kernel, sigma)
    levels = (restored[0].clamp(0, 1) * GREY_LEVELS).round().permute(1, 2, 0).numpy().astype(np.uint8)
    return psnr(levels, pixels)


if __name__ == "__main__":
    main()
