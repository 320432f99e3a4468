"""`train-articles`: the articles' networks, trained as the articles do, measured and shown beside ours."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from deconvdemo.cli.corpus import IMAGES
from deconvdemo.errors import ControlError
from deconvdemo.settings import Settings

MINUTES = 2.0


def add_verbs(verbs) -> None:
    summary = "Train the networks of five articles on deconvolution, and show them beside ours."
    verb = verbs.add_parser("train-articles", help=summary, description=summary)
    verb.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for weights, figures and pictures")
    verb.add_argument(
        "--images", nargs="+", metavar="PLACE", help=f"train on these in place of drawn pictures: {IMAGES}"
    )
    verb.add_argument(
        "--measure", type=Path, metavar="DIR", help="clean photos to measure on (default: the bundled ones)"
    )
    verb.add_argument("--minutes", type=float, default=MINUTES, help=f"for all networks (default: {MINUTES:g})")
    verb.set_defaults(run=_run)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.training.run.articles import PATCH, Crops, drawn_crops, train_articles

    if not 0 < options.minutes < math.inf:
        raise ControlError(f"--minutes is {options.minutes:g}, but it must be a number above 0")
    say = lambda text: print(text, file=sys.stderr)
    photos = _photos(options.measure)
    if options.images:
        from deconvdemo.training.data.corpus import Corpus

        corpus = Corpus.open(options.images, settings.data_dir / "corpus", say).large_enough(PATCH)
        crops: Crops = corpus.crops
        data = corpus.described(None)
    else:
        crops, data = drawn_crops(), ["dead leaves, drawn by deconvdemo"]
    train_articles(options.out, crops, data, options.minutes, say)
    _measure(options.out, photos)
    return 0


def _photos(folder: Path | None) -> list[Path]:
    """The files to measure on. Raises TrainingError for a folder without photos."""
    from deconvdemo.evaluation.protocols import image_files, none_in
    from deconvdemo.image import PHOTOS

    folder = folder or PHOTOS
    if not folder.is_dir() or not (files := image_files(folder)):
        raise none_in(folder)
    return files


def _measure(folder: Path, files: list[Path]) -> None:
    """Writes measured.json, formulas and a picture of each article, and prints the table."""
    import numpy as np

    from deconvdemo.atomic import write_atomically
    from deconvdemo.engine.generating import generate
    from deconvdemo.engine.restorer import Restorer
    from deconvdemo.evaluation.article_formulas import formula_rows
    from deconvdemo.evaluation.article_pictures import grid, side_by_side
    from deconvdemo.evaluation.articles import as_json, generated, measured, middles

    photos, rows = middles(files), []
    for own, shown in measured(folder, photos, Restorer.load()):
        rows += own
        words = {row.method: f"{row.psnr:.2f} dB, SSIM {row.ssim:.3f}" for row in own}
        side_by_side(shown.pictures, words).save(folder / f"{shown.article.name}.png")
    formulas = formula_rows(photos)
    if (made := generated(folder, 16)) is not None:
        ours = np.stack([generate(seed) for seed in range(16)])
        pictures = {"article: of noise, by MSE": grid(made, 4), "ours: deconvdemo generate": grid(ours, 4)}
        side_by_side(pictures, detail=256, enlarged=2).save(folder / "generation.png")
    facts = {"photos": len(photos), "networks": as_json(rows), "formulas": [vars(row) for row in formulas]}
    write_atomically(folder / "measured.json", (json.dumps(facts, indent=1) + "\n").encode())
    print(_table(rows, formulas))


def _table(rows, formulas) -> str:
    lines = ["| article | | PSNR | SSIM | edges | checkerboard | noise |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        faults = ["" if one is None else f"{one:g}" for one in (row.checkerboard, row.noise)]
        figures = [f"{row.psnr:.2f}", f"{row.ssim:.3f}", f"{row.edges:.2f}", *faults]
        lines.append(f"| {' | '.join([row.article, row.method, *figures])} |")
    lines += ["", "| formula | PSNR | with noise |", "|---|---|---|"]
    lines += [f"| {row.formula} | {row.psnr:.2f} | {row.noisy_psnr:.2f} |" for row in formulas]
    return "\n".join(lines)
