"""How long photos take to open in a process apart, beside the same in this process: medians, in one run.

python benchmarks/opening.py [--repeat N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from deconvdemo.image.apart import STRANGERS
from deconvdemo.image.reading import read_photo

MOST = 1.15  # times as long as in this process


def photo(width: int, height: int) -> Image.Image:
    """A smooth picture with a camera's noise, about as compressible as photos are."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 64, width // 64, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noise = rng.normal(0, 3, (height, width, 1)).astype(np.int16)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def file(image: Image.Image, form: str, folder: Path, **options) -> Path:
    path = folder / f"{image.width}.{form.lower()}"
    image.save(path, form, **options)
    return path


def seconds(open_file, path: Path) -> float:
    started = time.perf_counter()
    opened = open_file(path)
    opened.pixels.max()  # also what is mapped is read once
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=15)
    options = parser.parse_args()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large, small = photo(4032, 3024), photo(1152, 896)
        files = {
            "12-MP JPEG": file(large, "JPEG", folder, quality=92),
            "12-MP PNG": file(large, "PNG", folder, compress_level=3),
            "1-MP JPEG": file(small, "JPEG", folder, quality=92),
        }
        print(f"{'':12}{'here':>10}{'apart':>10}{'ratio':>8}")
        for label, path in files.items():
            times: dict[str, list[float]] = {"here": [], "apart": []}
            for turn in range(options.repeat + 1):
                here, apart = seconds(read_photo, path), seconds(STRANGERS.open, path)
                if turn:  # the first one starts the child
                    times["here"].append(here)
                    times["apart"].append(apart)
            here, apart = (statistics.median(times[where]) for where in ("here", "apart"))
            slowest = max(slowest, apart / here)
            print(f"{label:12}{here * 1e3:8.1f} ms{apart * 1e3:8.1f} ms{apart / here:8.2f}")
    print(f"at most {MOST} times as long: {'yes' if slowest <= MOST else 'no'}")
    return 0 if slowest <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
