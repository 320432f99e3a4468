"""A bench's result to take away: one picture with labels, and its table as CSV."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from PIL import Image

from deconvdemo.evaluation.article_pictures import NEAREST, sheet
from deconvdemo.evaluation.bench.run import Bench
from deconvdemo.evaluation.evaluate import printed
from deconvdemo.image.metrics import LARGEST

NARROWEST = 280  # pixels of a tile, for its label: smaller pictures are painted larger, pixel by pixel
SECONDS = "seconds"


def tiles(bench: Bench) -> dict[str, tuple[Image.Image, str]]:
    """Label → picture and what stands below it: the original, the degraded photo, and what each method made."""
    subject = bench.subject
    plain = {one.name: one for one in bench.outcomes}.get("")
    told = [subject.words, *([f"SSIM {printed('SSIM', plain.measured['SSIM'])}"] if plain else [])]
    found = {"Original": (subject.made.clean, ""), "Degraded": (subject.shown, ", ".join(told))}
    for one in bench.outcomes:
        if one.name:
            found[one.label] = (one.restored, f"SSIM {printed('SSIM', one.measured['SSIM'])}")
    return {label: (Image.fromarray(pixels), below) for label, (pixels, below) in found.items()}


def figure(bench: Bench) -> bytes:
    """A PNG file of all of them, in rows."""
    shown = tiles(bench)
    width, height = shown["Original"][0].size
    times = math.ceil(NARROWEST / width)
    large = {label: one.resize((width * times, height * times), NEAREST) for label, (one, _) in shown.items()}
    below = {label: words for label, (_, words) in shown.items()}
    file = io.BytesIO()
    sheet(large, below, columns=min(len(large), 4 if len(large) > 6 else 3)).save(file, "PNG")
    return file.getvalue()


def as_csv(bench: Bench) -> bytes:
    """A line for each method, with every digit; UTF-8 with a mark, by which spreadsheets know it."""
    file = io.StringIO()
    lines = csv.writer(file)
    lines.writerow(["task", "damage", "method", *bench.measures, SECONDS])
    for one in bench.outcomes:
        seconds = "" if one.seconds is None else round(one.seconds, 3)
        values = [round(one.measured[name], 6) for name in bench.measures]
        lines.writerow([bench.subject.task, bench.subject.words, one.label, *values, seconds])
    return file.getvalue().encode("utf-8-sig")


def as_facts(bench: Bench) -> dict[str, Any]:
    """The same as JSON-able values; a perfect result counts as many decibels as in means."""
    height, width = bench.subject.made.clean.shape[:2]
    rows = []
    for one in bench.outcomes:
        measured = {name: round(min(value, LARGEST), 6) for name, value in one.measured.items()}
        seconds = None if one.seconds is None else round(one.seconds, 3)
        rows.append({"method": one.name, "label": one.label, **measured, SECONDS: seconds})
    return {
        "task": bench.subject.task,
        "damage": bench.subject.words,
        "width": width,
        "height": height,
        "methods": rows,
        "left_out": [*bench.left_out],
    }
