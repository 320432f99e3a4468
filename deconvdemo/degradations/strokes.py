"""What marks on a print are made of: paints, lines and blobs, drawn by OpenCV on the CPU."""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray
Rng = np.random.Generator
Size = tuple[int, int]  # height, width
FINE = 4  # bits after the point of OpenCV's coordinates


# ---- paints ------------------------------------------------------------------------------------------------


def paper(rng: Rng, size: Size) -> Array:
    """(H, W, 3): white to cream, even or fibrous."""
    tone = rng.uniform(0.68, 1.0) * (1 - np.array([0, 0.4, 1.0]) * rng.uniform(0, 0.25))
    return textured(rng, size, tone)


def dark(rng: Rng, size: Size) -> Array:
    """(H, W, 3): black to brown, even or uneven."""
    tone = rng.uniform(0.0, 0.3) * (1 - np.array([0, 0.4, 1.0]) * rng.uniform(0, 0.5))
    return textured(rng, size, tone)


def paper_or_dark(rng: Rng, size: Size) -> Array:
    return paper(rng, size) if rng.uniform() < 0.7 else dark(rng, size)


def textured(rng: Rng, size: Size, tone: Array) -> Array:
    grain = rng.normal(0, rng.uniform(0, 0.1), size) if rng.uniform() < 0.6 else np.zeros(size)
    return (tone + grain[..., None]).clip(0, 1).astype(np.float32)


# ---- forms -------------------------------------------------------------------------------------------------


def path(
    rng: Rng, start: Array, angle: float, length: float, wander: float, jitter: float = 0.0, step: float = 3.0
) -> Array:
    """(K, 2) points x, y: a walk whose heading drifts by `wander` radians a step, each point off by `jitter` pixels."""
    count = max(2, int(length / step))
    headings = angle + np.cumsum(rng.normal(0, wander, count) if wander else np.zeros(count))
    points = start[::-1] + np.cumsum(step * np.stack([np.cos(headings), np.sin(headings)], axis=1), axis=0)
    return points + rng.normal(0, jitter, points.shape) if jitter else points


def branching(
    rng: Rng, lines: list[tuple[Array, float]], start: Array, angle: float, length: float, width: float, depth: int = 0
) -> None:
    line = path(rng, start, angle, length, rng.uniform(0.05, 0.35), rng.uniform(0.3, 1.6))
    lines.append((line, width))
    for _ in range(rng.integers(0, 4 - depth) if depth < 2 else 0):
        point = line[rng.integers(len(line))][::-1]
        turned = angle + rng.choice((-1, 1)) * rng.uniform(0.4, 1.4)
        branching(
            rng,
            lines,
            point,
            turned,
            length * rng.uniform(0.15, 0.6),
            max(0.7, width * rng.uniform(0.3, 0.8)),
            depth + 1,
        )


def widths(rng: Rng, count: int, width: float, rough: float = 0.25) -> Array:
    """(count,) widths in pixels around `width`, thinner towards both ends as often as not."""
    drift = np.interp(np.arange(count), np.linspace(0, count, 2 + count // 6), rng.normal(0, rough, 2 + count // 6))
    taper = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / max(1, count / 6))
    return width * np.exp(drift) * (taper if rng.uniform() < 0.5 else 1)


def stroke(size: Size, line: Array, widths: Array) -> Array:
    """(H, W) in [0, 1]: the line's coverage, antialiased; a line under a pixel wide is faint."""
    canvas = np.zeros(size, np.uint8)
    fine = (line * 2**FINE).round().astype(np.int32)
    for first, second, width in zip(fine[:-1], fine[1:], widths, strict=False):
        level = int(255 * min(1.0, max(width, 0.35)))
        thickness = max(1, round(width))
        cv2.line(canvas, first.tolist(), second.tolist(), level, thickness, cv2.LINE_AA, FINE)
    return unit(canvas)


def blob(rng: Rng, size: Size, radius: float, soft: float, ragged: float = 0.6) -> Array:
    """(H, W) in [0, 1]: a spot of about this radius whose edge is `soft` pixels wide."""
    row, column = anywhere(rng, size)
    rows, columns = np.ogrid[: size[0], : size[1]]
    stretch, angle = rng.uniform(0.6, 1), rng.uniform(0, np.pi)
    y, x = rows - row, columns - column
    along, across = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / stretch
    uneven = noise(rng, size, max(3, radius / 2)) * 0.5 + noise(rng, size, max(2, radius / 6)) * 0.25
    inside = radius * (1 + ragged * uneven) - np.hypot(along, across)
    return (1 / (1 + np.exp(-np.clip(4 * inside / soft, -30, 30)))).astype(np.float32)


def signed_distance(rng: Rng, size: Size) -> Array:
    """(H, W): pixels to a straight line through the picture; half of them run along its sides, as folds do."""
    angle = rng.choice((0.0, np.pi / 2)) + rng.normal(0, 0.03) if rng.uniform() < 0.5 else rng.uniform(0, np.pi)
    row, column = anywhere(rng, size)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return (rows - row) * np.cos(angle) - (columns - column) * np.sin(angle)


def patchy(
    rng: Rng, size: Size, opacity: float, cells: tuple[float, float] = (6, 40), share: float = 0.5
) -> Array | float:
    """`opacity`, for a `share` of the marks uneven, with gaps."""
    if rng.uniform() > share:
        return opacity
    field = rng.uniform(0.2, 1.0) + 0.7 * noise(rng, size, rng.uniform(*cells))
    return opacity * field.clip(0, 1)


def noise(rng: Rng, size: Size, cell: float) -> Array:
    """(H, W) of about unit variance, smooth over `cell` pixels."""
    few = rng.normal(0, 1.3, (int(size[0] / cell) + 2, int(size[1] / cell) + 2)).astype(np.float32)
    return cv2.resize(few, size[::-1], interpolation=cv2.INTER_CUBIC)


def shifted(image: Array, by: Array) -> Array:
    return np.roll(image, tuple(int(one) for one in by), (0, 1))


def anywhere(rng: Rng, size: Size) -> Array:
    return rng.uniform(0, 1, 2) * size


def at_border(rng: Rng, size: Size) -> Array:
    place = anywhere(rng, size)
    axis = rng.integers(2)
    place[axis] = rng.choice((0, size[axis]))
    return place


def logarithmic(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def unit(canvas: Array) -> Array:
    return canvas.astype(np.float32) / 255
