"""Marks that decades leave on a print, drawn at random: scratches, cracks, creases, dust, hairs, stains, torn corners.

Each is called with a generator and (height, width), and gives `Mark`s; `damage.py` lays them on photographs. OpenCV
draws them, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from deconvdemo.degradations.strokes import (
    FINE,
    Array,
    Rng,
    Size,
    anywhere,
    at_border,
    blob,
    branching,
    dark,
    logarithmic,
    noise,
    paper,
    paper_or_dark,
    patchy,
    path,
    shifted,
    signed_distance,
    stroke,
    unit,
    widths,
)


@dataclass(frozen=True)
class Mark:
    """`opacity` (H, W) in [0, 1] of a `paint` (3,) or (H, W, 3); with `tints`, the print is multiplied by it.

    `shade`, (H, W), is light that is added (below 0: taken away) beside the paint. `solid`: its footprint begins here.
    """

    opacity: Array
    paint: Array
    tints: bool = False
    shade: Array | None = None
    solid: float = 0.3


def scratches(rng: Rng, size: Size) -> Iterator[Mark]:
    """Thin lines, straight or bent, of changing width and opacity; a film's run along it, a box of prints' anywhere."""
    paint, along = paper_or_dark(rng, size), rng.uniform(0, np.pi)
    parallel = rng.uniform() < 0.4
    for _ in range(rng.integers(1, 8)):
        angle = along + rng.normal(0, 0.05) if parallel else rng.uniform(0, 2 * np.pi)
        length = max(size) * rng.uniform(0.1, 1.4)
        wander = 0.0 if rng.uniform() < 0.3 else rng.uniform(0.005, 0.12)
        line = path(rng, anywhere(rng, size), angle, length, wander, jitter=rng.choice((0.0, 0.3, 0.8)))
        opacity = stroke(size, line, widths(rng, len(line), logarithmic(rng, 0.7, 4.5)))
        yield Mark(opacity * patchy(rng, size, rng.uniform(0.3, 1)), paint)


def abrasion(rng: Rng, size: Size) -> Iterator[Mark]:
    """Many faint parallel scratches, as sand leaves them."""
    opacity, along = np.zeros(size, np.float32), rng.uniform(0, np.pi)
    centre, spread = anywhere(rng, size), rng.uniform(0.05, 0.25) * max(size)
    for _ in range(rng.integers(6, 30)):
        line = path(
            rng,
            centre + rng.normal(0, spread, 2),
            along + rng.normal(0, 0.06),
            max(size) * rng.uniform(0.05, 0.4),
            0.01,
        )
        opacity = np.maximum(opacity, rng.uniform(0.15, 0.7) * stroke(size, line, np.full(len(line), 1.0)))
    yield Mark(opacity, paper_or_dark(rng, size), solid=0.12)


def painted(rng: Rng, size: Size) -> Iterator[Mark]:
    """Hard even lines of one colour, as a pen or a paint program draws them."""
    canvas, any_colour = np.zeros(size, np.uint8), rng.uniform() < 0.4
    thickness = int(rng.integers(1, 7))
    for _ in range(rng.integers(1, 7)):
        bend = rng.uniform(0, 0.35)
        line = path(
            rng, anywhere(rng, size), rng.uniform(0, 2 * np.pi), max(size) * rng.uniform(0.2, 1.2), bend, step=12
        )
        kind = cv2.LINE_AA if rng.uniform() < 0.5 else cv2.LINE_8
        cv2.polylines(canvas, [line.round().astype(np.int32)], False, 255, thickness, kind)
    paint = rng.uniform(0, 1, 3) if any_colour else np.full(3, rng.choice((rng.uniform(0.85, 1), rng.uniform(0, 0.15))))
    yield Mark(unit(canvas) * rng.choice((1.0, rng.uniform(0.5, 1))), paint)


def cracks(rng: Rng, size: Size) -> Iterator[Mark]:
    """Jagged lines where the emulsion broke and paper shows, branching, often from the border; one rim may be dark."""
    lines: list[tuple[Array, float]] = []
    for _ in range(rng.integers(1, 6)):
        start = at_border(rng, size) if rng.uniform() < 0.6 else anywhere(rng, size)
        towards = np.array(size) * rng.uniform(0.2, 0.8, 2) - start
        angle = np.arctan2(towards[0], towards[1]) + rng.normal(0, 0.4)
        branching(rng, lines, start, angle, max(size) * rng.uniform(0.2, 1.2), logarithmic(rng, 0.8, 5.5))
    opacity = np.zeros(size, np.float32)
    for line, width in lines:
        opacity = np.maximum(opacity, stroke(size, line, widths(rng, len(line), width, rough=0.6)))
    opacity *= patchy(rng, size, rng.uniform(0.5, 1), share=0.3)
    shade = None
    if rng.uniform() < 0.5:
        shade = shifted(opacity, rng.integers(-2, 3, 2)) * rng.uniform(-0.35, 0.1)
    paint = paper(rng, size) if rng.uniform() < 0.85 else dark(rng, size)
    yield Mark(opacity, paint, shade=shade)


def craquelure(rng: Rng, size: Size) -> Iterator[Mark]:
    """A net of fine cracks in a part of the print: the edges of warped Voronoi cells."""
    cell = logarithmic(rng, 10, 45)
    seeds = np.ones(size, np.uint8)
    for row, column in rng.uniform(0, 1, (max(6, int(size[0] * size[1] / cell**2)), 2)) * size:
        seeds[int(row), int(column)] = 0
    _, cells = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    edges = cv2.morphologyEx(cells.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    away = cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, 3)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    warped = rows + 2.5 * noise(rng, size, 6), columns + 2.5 * noise(rng, size, 6)
    away = cv2.remap(away, warped[1], warped[0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    opacity = np.clip(rng.uniform(0.5, 1.4) + 0.2 - away, 0, 1) * patchy(rng, size, rng.uniform(0.4, 1), share=0.7)
    yield Mark(opacity * blob(rng, size, rng.uniform(0.3, 0.9) * max(size), 4.0), paper_or_dark(rng, size))


def creases(rng: Rng, size: Size) -> Iterator[Mark]:
    """Folds across the print: a bright ridge, a shaded side, and paper where the emulsion has left the ridge."""
    for _ in range(rng.integers(1, 3)):
        away = signed_distance(rng, size) + noise(rng, size, 25) * rng.uniform(0, 3)
        ridge, valley = rng.uniform(0.7, 2.5), rng.uniform(1.5, 9)
        side = rng.choice((-1, 1))
        light = rng.uniform(0.08, 0.4) * np.exp(-((away / ridge) ** 2))
        shadow = rng.uniform(0.05, 0.3) * np.exp(-(((away - side * valley) / valley) ** 2)) * (away * side > 0)
        ends = patchy(rng, size, 1.0, cells=(30, 90), share=0.5)
        broken = np.clip(rng.uniform(0.3, 1.8) + 0.5 - abs(away), 0, 1) * patchy(rng, size, 1.0, share=0.9)
        shade = ((light - shadow) * ends).astype(np.float32)
        yield Mark(broken * ends * (rng.uniform() < 0.75), paper(rng, size), shade=shade)


def dust(rng: Rng, size: Size) -> Iterator[Mark]:
    """Specks, and hairs and fibres among them."""
    canvas, largest = np.zeros(size, np.uint8), logarithmic(rng, 0.8, 6)
    for _ in range(int(logarithmic(rng, 2, 60))):
        row, column = anywhere(rng, size)
        axes = (largest * rng.uniform(0.3, 1) * rng.uniform(0.5, 1, 2) * 2**FINE).astype(int) + 2**FINE // 2
        centre = (int(column * 2**FINE), int(row * 2**FINE))
        angle = rng.uniform(0, 180)
        box = (tuple(value / 2**FINE for value in centre), tuple(2 * axes / 2**FINE), angle)
        cv2.ellipse(canvas, box, int(rng.uniform(120, 256)), -1, cv2.LINE_AA)
    opacity = unit(canvas)
    for _ in range(rng.integers(0, 6)):
        line = path(rng, anywhere(rng, size), rng.uniform(0, 2 * np.pi), logarithmic(rng, 8, 90), rng.uniform(0.1, 0.4))
        opacity = np.maximum(opacity, stroke(size, line, np.full(len(line), rng.uniform(0.8, 2.2))))
    yield Mark(opacity * rng.uniform(0.5, 1), paper_or_dark(rng, size))


def flakes(rng: Rng, size: Size) -> Iterator[Mark]:
    """Spots where emulsion has come off: ragged, opaque."""
    paint = paper_or_dark(rng, size)
    for _ in range(rng.integers(1, 6)):
        yield Mark(blob(rng, size, logarithmic(rng, 4, 35), rng.uniform(0.6, 1.5), ragged=1.2), paint)


def stains(rng: Rng, size: Size) -> Iterator[Mark]:
    """Foxing, mould and drops: soft, translucent, some with a darker rim where they dried."""
    for _ in range(rng.integers(1, 5)):
        opacity = blob(rng, size, logarithmic(rng, 5, 45), rng.uniform(1.0, 5.0), ragged=rng.uniform(0.2, 0.9))
        if rng.uniform() < 0.3:
            opacity = np.clip(0.5 * opacity + 1.6 * opacity * (1 - opacity), 0, 1)
        lightness, brown = rng.uniform(0.1, 0.65), rng.uniform(0, 0.35)
        if rng.uniform() < 0.3:  # bleached: towards the paper
            yield Mark(opacity * rng.uniform(0.45, 0.95), paper(rng, size), solid=0.25)
        else:
            tint = lightness * np.array([1 + brown, 1, 1 - brown])
            yield Mark(opacity * rng.uniform(0.7, 1), tint.clip(0, 1), tints=True)


def torn(rng: Rng, size: Size) -> Iterator[Mark]:
    """A corner or a piece of an edge that is gone; the scanner's lid is seen, and the paper's fibres along the tear."""
    for _ in range(rng.integers(1, 3)):
        corner = rng.choice((0.0, 1.0), 2)
        inwards = np.where(corner == 0, 1.0, -1.0) * rng.uniform(0.15, 1, 2)
        inwards /= np.hypot(*inwards)
        rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
        edge = corner * size
        depth = rng.uniform(0.04, 0.22) * min(size)
        rough = noise(rng, size, 20) * rng.uniform(1, 8) + noise(rng, size, 3) * rng.uniform(0.2, 1.5)
        away = (rows - edge[0]) * inwards[0] + (columns - edge[1]) * inwards[1] - depth + rough
        if rng.uniform() < 0.7:
            fibres = rng.uniform(1, 6)
            yield Mark(np.clip(fibres - away + 0.5, 0, 1).astype(np.float32), paper(rng, size))
        lid = np.full(3, rng.choice((rng.uniform(0.9, 1), rng.uniform(0, 0.15), rng.uniform(0.3, 0.8))))
        yield Mark(np.clip(0.5 - away, 0, 1).astype(np.float32), lid)


KINDS: dict[Callable[[Rng, Size], Iterator[Mark]], float] = {
    scratches: 0.23, cracks: 0.2, dust: 0.15, painted: 0.1, creases: 0.09, stains: 0.07, flakes: 0.06,
    craquelure: 0.04, abrasion: 0.04, torn: 0.02,
}  # fmt: skip


def random_marks(rng: Rng, size: Size) -> list[Mark]:
    """One to four kinds of them."""
    count = rng.choice((1, 2, 3, 4), p=(0.4, 0.3, 0.2, 0.1))
    kinds = list(KINDS)
    chosen = rng.choice(len(kinds), size=count, replace=False, p=list(KINDS.values()))
    return [mark for number in chosen for mark in kinds[number](rng, size)]
