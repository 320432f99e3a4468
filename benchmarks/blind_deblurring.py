"""How well an unknown blur's width is told from the photo, and what that is worth in deblurring.

    python benchmarks/blind_deblurring.py --images FOLDER [FOLDER …] [--most N] [--deblurred total-variation network]

Of each folder at most N images, spread evenly over it, are blurred ("reflect" borders), get white noise, are clipped
and rounded to 8 bits, and in the last rows are JPEGs of quality 90. Printed: how often the kind is right; how often
nothing is found; the relative error of the width, a disc of twice a Gaussian's sigma being as wide; and the mean PSNR
in dB of the blurred photos, of those deblurred by the kernels that were found, and by the true one.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from deblurring import methods
from PIL import Image
from torch import Tensor

from deconvdemo.deconvolution.blind import Blur, estimate_blur
from deconvdemo.deconvolution.borders import cropped, extended
from deconvdemo.deconvolution.kernels import kernel_named
from deconvdemo.deconvolution.operators import Convolution
from deconvdemo.deconvolution.splitting import Schedule
from deconvdemo.image.metrics import psnr
from deconvdemo.image.pixels import as_images, as_pixels
from deconvdemo.image.reading import read_photo

GAUSSIANS = ("gaussian:0.8", "gaussian:1.2", "gaussian:2", "gaussian:3.2", "gaussian:5")
BLURS = ("sharp", *GAUSSIANS, "defocus:1.5", "defocus:2.5", "defocus:4", "defocus:8")
HARMS = ((0.0, False), (2.55, False), (7.65, False), (0.0, True))  # noise's sigma in grey levels, and whether a JPEG
GAUSSIAN_OF = {"gaussian": 1.0, "defocus": 0.5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--most", type=int, default=8)
    parser.add_argument("--deblurred", nargs="*", default=[], help="methods to compare both kernels by")
    parser.add_argument("--blurs", nargs="*", default=BLURS)
    parser.add_argument("--sigmas", nargs="*", type=float, help="only these levels of noise, and no JPEG")
    options = parser.parse_args()
    harms = HARMS if options.sigmas is None else tuple((sigma, False) for sigma in options.sigmas)
    photos = [
        read_photo(file.read_bytes()).pixels for folder in options.images for file in chosen(folder, options.most)
    ]
    known = methods(Schedule()) if options.deblurred else {}
    print(f"{len(photos)} photos. blur, sigma, JPEG: kind right | width's median and worst error | PSNR")
    for noise, as_jpeg in harms:
        for blur in options.blurs:
            seen = [harmed(photo, blur, noise, as_jpeg, seed) for seed, photo in enumerate(photos)]
            found = [estimate_blur(one) for one in seen]
            line = f"{blur:13} {noise:4g} {'JPEG' if as_jpeg else '':4} {told(blur, found)}"
            for name in options.deblurred if blur != "sharp" else ():
                before, by_found, by_true = (
                    [reached(known[name], *one) for one in zip(seen, words, [noise] * len(seen), photos, strict=True)]
                    for words in (["none"] * len(seen), [one.words() for one in found], [blur] * len(seen))
                )
                line += f" | {name} {np.mean(before):.2f}, {np.mean(by_found):.2f}, {np.mean(by_true):.2f}"
            print(line, flush=True)


def chosen(folder: Path, most: int) -> Iterator[Path]:
    files = sorted(one for one in folder.iterdir() if one.suffix in (".png", ".bmp", ".webp", ".jpg"))
    for at in np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).astype(int)):
        yield files[at]


def harmed(clean: np.ndarray, blur: str, noise: float, as_jpeg: bool, seed: int) -> np.ndarray:
    """(H, W, C) uint8."""
    images = as_images(clean)
    if blur != "sharp":
        images = Convolution(kernel_named(blur), "reflect")(images)
    pixels = as_pixels(images) + np.random.default_rng(seed).normal(0, noise / 255, clean.shape).astype(np.float32)
    rounded = np.rint(255 * pixels.clip(0, 1)).astype(np.uint8)
    if not as_jpeg:
        return rounded
    file = io.BytesIO()
    Image.fromarray(rounded).save(file, "JPEG", quality=90)
    return read_photo(file.getvalue()).pixels


def told(blur: str, found: list[Blur]) -> str:
    kind, _, width = blur.partition(":")
    right = f"{sum(one.kind == kind for one in found):2}/{len(found)}"
    if kind == "sharp":
        return f"{right} | called blurred: {' '.join(one.words() for one in found if one.kind != kind)}"
    true = GAUSSIAN_OF[kind] * float(width)
    errors = np.array([GAUSSIAN_OF.get(one.kind, 0) * one.width / true - 1 for one in found])
    unseen = sum(one.kind == "sharp" for one in found)
    return f"{right}, sharp {unseen} | {np.median(np.abs(errors)):.3f}, {errors[np.argmax(np.abs(errors))]:+.2f}"


def reached(method, observed: np.ndarray, blur: str, noise: float, clean: np.ndarray) -> float:
    """PSNR in dB of what is deblurred by this kernel; of the photo as it is, where there is none."""
    if blur == "none":
        return float(psnr(observed, clean))
    kernel, images = kernel_named(blur), as_images(observed)
    restored: Tensor = cropped(method(extended(images, kernel), kernel, max(noise, 0.5)), images)
    return float(psnr(as_pixels(restored.float(), np.uint8), clean))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
