"""The whole loop on a small generated example: flags of a planted weakness, review, fine-tuning, the gate, promotion.

make loop, or: python benchmarks/loop.py [FOLDER]

The weakness is heavy JPEG, as messengers leave it, which the quick denoiser was never trained on. Visitors flag such
photos with clean targets, a reviewer accepts them, and rejects some whose "targets" are turned by half a turn. Then the
real commands run, in a folder of their own: nothing of yours is touched.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage
import torch
from PIL import Image

from deconvdemo.checkpoints.index import add_to_index, bundled_folder
from deconvdemo.cli import main
from deconvdemo.engine.restorer import Restorer
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.events.records import Flag
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.image.lossless import lossless

NAME = "denoise-fast"
QUALITY = 10  # of a flagged photo's JPEG
SIDE = 128  # pixels of a flagged photo
STEPS = 600


# scikit-image's samples (public domain and CC0): to flag, to remember by, and to validate on
FLAGGED = ("astronaut", "coffee", "rocket")
REMEMBERED = ("motorcycle_left", "retina", "hubble_deep_field", "ihc", "moon", "coins")
VALIDATED = ("chelsea", "camera", "brick", "gravel")


def photograph(name: str) -> np.ndarray:
    file = next(Path(skimage.__file__).parent.joinpath("data").glob(f"{name}.*"))
    return np.asarray(Image.open(file).convert("RGB"))


def crops(photo: np.ndarray, side: int) -> list[np.ndarray]:
    rows, columns = (range(0, length - side + 1, side) for length in photo.shape[:2])
    return [np.ascontiguousarray(photo[y : y + side, x : x + side, :3]) for y in rows for x in columns]


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def compressed(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file))


def run(*arguments: str) -> int:
    print(f"\n$ deconvdemo {' '.join(arguments)}", flush=True)
    return main(list(arguments))


def visit(store: FeedbackStore, restorer: Restorer, photos: list[np.ndarray]) -> tuple[int, int]:
    """Flags of damaged photos with their clean targets, accepted; some with wrong targets, rejected."""
    accepted = rejected = 0
    for number, clean in enumerate(photos):
        observed = compressed(clean)
        restored = restorer.restore("denoise", observed, variant="fast")
        wrong = number % 8 == 7
        target = np.ascontiguousarray(clean[::-1, ::-1]) if wrong else clean
        flag = Flag(
            task="denoise",
            observed=png(observed),
            restored=lossless(restored.photo),
            clean=png(target),
            reasons=("noise_left",),
            comment="blocks and ragged edges are left",
            controls=restored.controls,
            checkpoint=restored.checkpoint,
        )
        flag_id = store.add(flag).flag_id
        decision = "reject" if wrong else "accept"
        store.add(Verdict(flag_id=flag_id, reviewer="reviewer", decision=decision))
        accepted, rejected = accepted + (not wrong), rejected + wrong
    return accepted, rejected


def loop(folder: Path) -> int:
    begun = time.perf_counter()
    torch.set_num_threads(1)  # on patches so small a second thread only gets in the way
    os.environ["DECONVDEMO_DATA_DIR"] = str(folder / "data")
    weights, corpus, validation = (folder / name for name in ("weights", "photographs", "validation"))
    for place in (weights, corpus, validation):
        place.mkdir(parents=True)
    served = weights / f"{NAME}.safetensors"
    shutil.copy(bundled_folder() / served.name, served)
    add_to_index(served)
    for names, place, side in ((REMEMBERED, corpus, 240), (VALIDATED, validation, 144)):
        for name in names:
            for number, crop in enumerate(crops(photograph(name), side)[:9]):
                Image.fromarray(crop).save(place / f"{name}-{number}.png")
    flagged = [crop for name in FLAGGED for crop in crops(photograph(name), SIDE)]
    store = FeedbackStore(folder / "data", min_free_mb=0)
    counts = visit(store, Restorer.load(weights=str(served)), flagged)
    print(f"{sum(counts)} photos of JPEG quality {QUALITY} flagged; {counts[0]} accepted, {counts[1]} rejected")
    candidate = folder / "candidate" / served.name
    common = ["--variant", "fast", "--weights", str(weights), "--images", str(corpus), "--patch", "64", "--batch", "8"]
    asked = ["finetune", "denoise", "--out", str(candidate), *common, "--steps", str(STEPS)]
    if run(*asked, "--data", "scikit-image's samples (CC0)"):
        return 1
    done = run("promote", str(candidate), "--dev", str(validation), "--into", str(weights))
    if not done:
        run("weights", "show", NAME, "--weights", str(weights))
    print(f"\n{time.perf_counter() - begun:.0f} seconds")
    return done


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(loop(Path(sys.argv[1])))
    with tempfile.TemporaryDirectory() as place:
        sys.exit(loop(Path(place)))
