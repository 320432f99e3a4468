"""How large holes are filled: the lost pixels themselves, the network alone, and texture copied from the photo.

    python benchmarks/large_holes.py IMAGES [--side 160] [--most 20] [--continued]

Cuts a square out of the middle of each image and prints `evaluation/hole_figures.py`'s medians for each filling, and
of how many images each figure is nearer to that of the lost pixels than with the network alone. `--continued`: how much
of the gradient energy the network alone keeps in the middle of discs and bars of growing depth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from deconvdemo import Restorer
from deconvdemo.engine.coarse_to_fine import depth_of
from deconvdemo.evaluation.hole_figures import hole_figures
from deconvdemo.hub.datasets import SUFFIXES
from deconvdemo.image.fog import gradient_energy
from deconvdemo.image.pixels import eight_bit_rgb
from deconvdemo.image.reading import read_photo

FILLINGS = {"network alone": {"smooth": True}, "default": {}}


def continued(restorer: Restorer, photos: list[np.ndarray]) -> None:
    for depth in (2, 4, 6, 8, 12):
        for shape in ("discs", "bars"):
            kept = []
            for photo in photos:
                holes = _grid(photo.shape[:2], depth, shape)
                middle = depth_of(holes) > 0.7 * depth
                filled = restorer.restore("inpaint", photo, holes, smooth=True).photo.pixels
                kept.append(gradient_energy(filled, middle) / max(gradient_energy(photo, middle), 1e-9))
            print(f"{shape} of {depth} pixels' depth: {np.median(kept):.2f}", flush=True)


def _grid(size: tuple[int, int], depth: int, shape: str) -> np.ndarray:
    """(H, W) bool: discs, or bars from border to border, far enough from each other to be continued one by one."""
    pitch, (rows, columns) = max(4 * depth + 20, 40), np.indices(size)
    across, down = columns % pitch - pitch // 2, rows % pitch - pitch // 2
    return np.abs(across) < depth if shape == "bars" else across**2 + down**2 <= depth**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--most", type=int, default=20)
    parser.add_argument("--continued", action="store_true")
    options = parser.parse_args()
    restorer, rows = Restorer.load(device="cpu"), []
    files = sorted(file for file in options.images.iterdir() if file.suffix.lower() in SUFFIXES)
    files = files[:: max(1, len(files) // options.most)][: options.most]
    if options.continued:
        return continued(restorer, [eight_bit_rgb(read_photo(file).pixels)[:320, :320] for file in files])
    for file in files:
        clean = eight_bit_rgb(read_photo(file).pixels)
        side, holes = min(options.side, *(length // 2 for length in clean.shape[:2])), np.zeros(clean.shape[:2], bool)
        top, left = ((length - side) // 2 for length in clean.shape[:2])
        holes[top : top + side, left : left + side] = True
        found = {"lost pixels": hole_figures(clean, holes)}
        for name, controls in FILLINGS.items():
            found[name] = hole_figures(restorer.restore("inpaint", clean, holes, **controls).photo.pixels, holes)
        rows.append(found)
        print(file.name, {name: {k: round(v, 2) for k, v in one.items()} for name, one in found.items()}, flush=True)
    for name in rows[0]:
        print(
            f"{name:<14}", {key: round(float(np.median([row[name][key] for row in rows])), 2) for key in rows[0][name]}
        )
    for key in rows[0]["default"]:
        far = {name: [abs(row[name][key] - row["lost pixels"][key]) for row in rows] for name in FILLINGS}
        nearer = sum(a < b for a, b in zip(far["default"], far["network alone"], strict=True))
        print(f"{key}: nearer to the lost pixels' on {nearer} of {len(rows)} images")


if __name__ == "__main__":
    main()
