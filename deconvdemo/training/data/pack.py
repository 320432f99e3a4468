"""Packing crops of a corpus into one file of a given size, for a machine without the images.

The container is safetensors: the crops as lossless WebP or fine JPEG, one after another, where each ends, and in the
metadata what they are and their licences. Nothing in it is ever executed; `Corpus.open` decodes it once into its cache.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy
from PIL import Image

from deconvdemo.atomic import WriteError, write_atomically
from deconvdemo.errors import TrainingError
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.sources import PACK_VERSION, PACKED

HEADER = 1024  # bytes kept free for safetensors' own header, beside the facts in it
FINE = 93  # the least quality of JPEG crops: a network that is shown more loss learns to leave it
EFFORT, METHOD = 60, 4  # of WebP: more time finds nothing more. 37 % of the raw bytes of CID22's photos, PNG 50 %


def pack(
    corpus: Corpus,
    out: Path,
    megabytes: float,
    patch: int = 192,
    seed: int = 0,
    data: Sequence[str] = (),
    quality: int | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Writes `patch`×`patch` crops of the corpus into `out`, of at most `megabytes` (10⁶ bytes); gives their number.

    All places of all images are as likely: each image is cut into cells from a random corner on, and cells are taken
    in random order, so that no two crops overlap. Flat ones (sky, walls) teach little: a crop with less than the
    corpus's median detail is taken with the probability detail / median, a blank one never. `data` says what the images
    are and their licences. `quality` is that of JPEG with whole chroma, FINE or more; None: lossless WebP.
    Raises TrainingError where not one crop fits, or `out` cannot be written.
    """
    from tqdm import tqdm

    corpus = corpus.large_enough(patch)
    facts = {"version": PACK_VERSION, "patch": patch, "seed": seed, "data": list(data)}
    if quality is not None:
        facts["quality"] = quality
    metadata = {PACKED: json.dumps(facts)}  # one entry: of several, safetensors would change the order
    room = int(megabytes * 1e6) - HEADER - 2 * len(metadata[PACKED])
    rng = np.random.default_rng(seed)
    cells = _cells(corpus, patch, rng)
    order = rng.permutation(len(cells))
    details = np.array([detail(_cut(corpus, cells[number], patch)) for number in order])
    taken = order[rng.uniform(size=len(order)) * np.median(details) < details]

    content = io.BytesIO()
    ends: list[int] = []
    with tqdm(total=room, desc="packing crops", unit="B", unit_scale=True) as bar:
        for number in taken:
            crop = _encoded(_cut(corpus, cells[number], patch), quality)
            if content.tell() + len(crop) + 8 * (len(ends) + 1) > room:
                break
            content.write(crop)
            ends.append(content.tell())
            bar.update(len(crop))
    if not ends:
        raise TrainingError(f"no crop of {patch}×{patch} pixels fits into {megabytes:g} MB: allow more --megabytes")
    tensors: dict[str, np.ndarray] = {
        "crops": np.frombuffer(content.getvalue(), np.uint8),
        "ends": np.array(ends, np.int64),
    }
    try:
        write_atomically(out, safetensors.numpy.save(tensors, metadata))
    except WriteError as error:
        raise TrainingError(f"{error}: make room, or name another --out") from error
    pixels = len(ends) * patch**2
    say(
        f"{out}: {len(ends)} of {len(cells)} crops of {patch}×{patch}, {pixels / 1e6:.1f} MP in "
        f"{out.stat().st_size / 1e6:.1f} MB, {ends[-1] / pixels:.2f} bytes a pixel"
    )
    return len(ends)


def detail(crop: np.ndarray) -> float:
    """The mean difference of neighbouring pixels of (H, W, 3) uint8, in grey levels."""
    grey = crop.astype(np.float32).mean(axis=2)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def _cells(corpus: Corpus, patch: int, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """(image, top, left) of every cell, where each image's grid begins at a random place."""
    found = []
    for number, (height, width) in enumerate(corpus.shapes.tolist()):
        top, left = int(rng.integers(height % patch + 1)), int(rng.integers(width % patch + 1))
        found += [
            (number, y, x) for y in range(top, height - patch + 1, patch) for x in range(left, width - patch + 1, patch)
        ]
    return found


def _cut(corpus: Corpus, cell: tuple[int, int, int], patch: int) -> np.ndarray:
    number, top, left = cell
    return corpus.image(number)[top : top + patch, left : left + patch]


def _encoded(crop: np.ndarray, quality: int | None) -> bytes:
    file = io.BytesIO()
    if quality is None:
        Image.fromarray(crop).save(file, "WEBP", lossless=True, quality=EFFORT, method=METHOD)
    else:
        Image.fromarray(crop).save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()
