"""`generate`: pictures from Gaussian noise."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from deconvdemo.errors import ControlError, DeconvdemoError
from deconvdemo.settings import Settings

MOST = 10_000  # pictures of one call
COMPARED = 256


def add_verbs(verbs) -> None:
    summary = "Draw pictures from Gaussian noise, by a decoder of transposed convolutions."
    verb = verbs.add_parser("generate", help=summary, description=summary)
    where = verb.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--out", type=Path, metavar="OUT", help="a .png file, or a folder for several")
    where.add_argument(
        "--compare", type=Path, metavar="DIR", help="print how like crops of these photos the pictures are, instead"
    )
    verb.add_argument("--seed", default=0, help="of the first picture; the next ones count on (default: 0)")
    verb.add_argument("--count", type=int, default=1, help="how many pictures (default: 1)")
    verb.add_argument("--temperature", default=1.0, help="0 to 2: lower is calmer, higher is wilder (default: 1)")
    verb.add_argument("--interpolate", metavar="SEED", help="--count pictures on the way from --seed to this one")
    verb.set_defaults(run=_run)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.engine.generating import SEED, TEMPERATURE, generate, on_the_way

    if not 1 <= options.count <= MOST:
        raise ControlError(f"--count is {options.count}, but it must be from 1 to {MOST:,}")
    first, temperature = int(SEED.checked(options.seed) or 0), float(TEMPERATURE.checked(options.temperature) or 0)
    if options.compare:
        print(_compared(options.compare, first, temperature))
        return 0
    files = _files(options.out, options.count, first, options.interpolate)
    for file in files:
        if file.exists():
            raise ControlError(f"{file} is there already: name another --out, or another --seed")
    if options.interpolate is None:
        SEED.checked(first + options.count - 1)
        pictures: Iterator = map(partial(generate, temperature=temperature), range(first, first + options.count))
    else:
        last = int(SEED.checked(options.interpolate) or 0)
        pictures = on_the_way(first, last, options.count, temperature)
    for file, picture in zip(files, pictures, strict=True):
        _write(file, picture)
        print(file)
    return 0


def _files(out: Path, count: int, first: int, other: str | None) -> list[Path]:
    if count == 1 and out.suffix.lower() == ".png":
        return [out]
    if out.suffix:
        raise ControlError(f"--out is {out}, but one picture is a .png file, and several need a folder")
    if other is None:
        return [out / f"{first + number}.png" for number in range(count)]
    return [out / f"{first}-to-{other}-{number:04d}.png" for number in range(count)]


def _write(file: Path, picture) -> None:
    from deconvdemo.atomic import WriteError, write_atomically
    from deconvdemo.image.photo import Photo
    from deconvdemo.image.writing import encode_photo

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, encode_photo(Photo(picture), "PNG"))
    except (WriteError, OSError) as error:
        raise DeconvdemoError(f"{file} cannot be written ({error}): choose another --out") from error


def _compared(folder: Path, first: int, temperature: float) -> str:
    import numpy as np

    from deconvdemo.engine.generating import generate
    from deconvdemo.evaluation.generated import crops_of, likeness

    real = crops_of(folder)
    made = np.stack([generate(first + number, temperature) for number in range(COMPARED)])
    noise = np.random.default_rng(0).integers(0, 256, (COMPARED, *made.shape[1:])).astype(np.uint8)
    rows = [
        likeness("one half of the photos, from the other", real[::2], real[1::2]),
        likeness("generated", made, real),
        likeness("uniform noise", noise, real),
    ]
    head = ["| pictures | spectrum, dB | patches | two differ by |", "|---|---|---|---|"]
    return "\n".join(
        [*head, *(f"| {one.pictures} | {one.spectrum:.2f} | {one.patches:.3f} | {one.differ:.1f} |" for one in rows)]
    )
