"""Pictures that are drawn: what is hard to tell from damage in a photo, where no photo may be shipped.

Stripes, nets, text, foliage, skies, screens and so on: fine, regular or flat, as a network that was taught a new damage
may take for it. A seed names a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

SIZES = ((64, 64), (101, 144), (192, 160))  # height and width, not all of them divisible by a network's stride
Grid = tuple[np.ndarray, np.ndarray]


def drawn_pictures(seed: int = 0, sizes: Sequence[tuple[int, int]] = SIZES) -> Iterator[tuple[str, np.ndarray]]:
    """(name, (H, W, 3) uint8) of every kind at every size."""
    for number, kind in enumerate(KINDS):
        for height, width in sizes:
            yield f"{kind} {width}×{height}", drawn(kind, np.random.default_rng([seed, number, height]), height, width)


def drawn(kind: str, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8 of one of KINDS, a little soft, as a lens leaves edges, and lit from one side."""
    import cv2

    y, x = np.mgrid[:height, :width].astype(np.float32)
    picture = KINDS[kind](rng, (y, x)).astype(np.float32)
    lit = 1 + rng.uniform(-0.2, 0.2) * (x / width - 0.5) + rng.uniform(-0.2, 0.2) * (y / height - 0.5)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.8)) * lit[..., None]
    return np.clip(picture, 0, 255).round().astype(np.uint8)


def _between(share: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W) of 0 to 1 and two colours → (H, W, 3)."""
    return first + np.clip(share, 0, 1)[..., None] * (second - first)


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A dark and a light one."""
    return rng.uniform(10, 90, 3), rng.uniform(130, 245, 3)


def _wave(rng: np.random.Generator, grid: Grid, shortest: float, longest: float) -> np.ndarray:
    """(H, W) between -1 and 1, in some direction, of a period in pixels."""
    y, x = grid
    angle, period = rng.uniform(0, np.pi), rng.uniform(shortest, longest)
    return np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period + rng.uniform(0, 6))


def _clouds(rng: np.random.Generator, shape: tuple[int, int], coarsest: int = 4) -> np.ndarray:
    """(H, W) of mean 0 and deviation 1: smooth noise of several sizes."""
    import cv2

    total = np.zeros(shape, np.float32)
    for octave in range(4):
        side = coarsest * 2**octave
        small = rng.normal(size=(side, side)).astype(np.float32)
        total += cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC) / 2**octave
    return (total - total.mean()) / total.std()


def _stripes(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """A shirt, a blind: straight ones, sharp or soft."""
    return _between(0.5 + rng.uniform(0.6, 3) * _wave(rng, grid, 3, 12), *_colours(rng))


def _net(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """A fence or a curtain before something soft."""
    y, x = grid
    turn, step, thick = rng.uniform(0, np.pi / 2), rng.uniform(5, 14), rng.uniform(1, 2)
    across, along = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    wire = ((across % step) < thick) | ((along % step) < thick)
    dark, light = _colours(rng)
    behind = _between(0.5 + 0.3 * _clouds(rng, x.shape), rng.uniform(40, 120, 3), light)
    return np.where(wire[..., None], dark, behind)


def _checks(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """A table cloth: two waves that cross, sharp."""
    y, x = grid
    side = rng.uniform(3, 10)
    return _between(((x // side + y // side) % 2), *_colours(rng))


def _text(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """A page: lines of letters."""
    import cv2

    height, width = grid[0].shape
    dark, light = _colours(rng)
    page = np.full((height, width, 3), light, np.uint8)
    size = rng.uniform(0.3, 0.6)
    line = int(30 * size)
    for top in range(line, height + line, line):
        letters = "".join(chr(code) for code in rng.choice([32, *range(97, 123)], 80))
        cv2.putText(page, letters, (2, top), cv2.FONT_HERSHEY_SIMPLEX, size, dark.tolist(), 1, cv2.LINE_AA)
    return page


def _foliage(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Leaves over leaves, lit differently."""
    import cv2

    height, width = grid[0].shape
    picture = np.full((height, width, 3), (20, 30, 15), np.float32)
    for _ in range(height * width // 40):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(2, 9)), int(rng.integers(1, 4)))
        light = rng.uniform(0.3, 1.4)
        colour = light * (np.array([70, 120, 45]) + rng.normal(0, 15, 3))
        cv2.ellipse(picture, centre, axes, rng.uniform(0, 180), 0, 360, colour.tolist(), -1, cv2.LINE_AA)
    return picture


def _sky(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Flat, or nearly so: a slope, and clouds without an edge."""
    y, _ = grid
    slope = y / len(y) + rng.uniform(0, 0.15) * _clouds(rng, y.shape, 2)
    return _between(slope, np.array([80, 130, 200]) + rng.normal(0, 20, 3), np.array([190, 210, 235]))


def _screen(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """A display seen from near: red, green and blue columns, and dark rows."""
    y, x = grid
    step = int(rng.integers(1, 4))
    column, row = (x // step % 3)[..., None], (y // step % 3)[..., None]
    shown = _between(0.5 + 0.4 * _clouds(rng, x.shape), *_colours(rng))
    return shown * np.where(column == np.arange(3), 1.6, 0.5) * np.where(row == 2, 0.6, 1.0)


def _moire(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Two fine weaves, one over the other."""
    both = _wave(rng, grid, 2.2, 4) * _wave(rng, grid, 2.2, 4)
    return _between(0.5 + rng.uniform(0.3, 0.9) * both, *_colours(rng))


def _face(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """An oval with what ovals of faces have, before a wall."""
    y, x = grid
    height, width = y.shape
    u, v = (x / width - 0.5) / 0.32, (y / height - 0.5) / 0.42
    skin = rng.uniform(0.5, 1.0) * np.array([235, 190, 165])
    picture = _between(0.5 + 0.15 * _clouds(rng, y.shape, 2), *_colours(rng))

    def paint(centre: tuple[float, float], axes: tuple[float, float], colour: np.ndarray) -> None:
        inside = 1 - np.hypot((u - centre[0]) / axes[0], (v - centre[1]) / axes[1])
        cover = np.clip(inside * 8, 0, 1)[..., None]
        picture[:] = picture * (1 - cover) + cover * colour

    shade = (1 - 0.25 * (u**2 + v**2) + 0.1 * rng.uniform(-1, 1) * u)[..., None]
    paint((0, -0.2), (1.15, 1.15), rng.uniform(15, 110, 3))  # hair
    paint((0, 0), (1, 1), np.clip(skin * shade, 0, 255))
    for side in (-0.4, 0.4):
        paint((side, -0.2), (0.2, 0.1), np.array([240.0, 240, 240]))
        paint((side, -0.2), (0.08, 0.09), rng.uniform(20, 90, 3))
    paint((0, 0.15), (0.1, 0.2), 0.85 * skin)
    paint((0, 0.55), (0.32, 0.08), np.array([170.0, 80, 80]))
    return picture


def _bricks(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """A wall: rows that are shifted against each other, each brick of its own shade."""
    y, x = grid
    high = int(rng.integers(6, 12))
    row = (y // high).astype(int)
    along = x + (row % 2) * high
    shades = rng.uniform(0.7, 1.2, (64, 64))[row % 64, (along // (2 * high)).astype(int) % 64]
    joint = ((y % high) < 1.5) | ((along % (2 * high)) < 1.5)
    return np.where(joint[..., None], 190, shades[..., None] * (np.array([150, 75, 60]) + rng.normal(0, 20, 3)))


def _windows(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """A building in perspective: frames and panes, smaller towards one side."""
    y, x = grid
    height, width = y.shape
    near = 1 + rng.uniform(0.3, 1.2) * x / width
    step = rng.uniform(7, 14)
    across, along = (x * near) % step, ((y - height / 2) * near) % step
    pane = (across > 0.3 * step) & (along > 0.35 * step)
    dark, light = _colours(rng)
    glass = dark + 40 * np.abs(_wave(rng, grid, 30, 90))[..., None]
    return np.where(pane[..., None], glass, light)


def _hair(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Thin lines that run nearly along each other: fur, grass, hair."""
    y, x = grid
    bent = x + 0.4 * y * rng.uniform(-1, 1) + 4 * _clouds(rng, y.shape, 2)
    strands = rng.uniform(0, 1, 4096)
    shade = np.take(strands, (bent * rng.uniform(0.5, 1.2)).astype(int) % 4096)
    return _between(shade, *_colours(rng))


KINDS: dict[str, Callable[[np.random.Generator, Grid], np.ndarray]] = {
    "stripes": _stripes,
    "net": _net,
    "checks": _checks,
    "text": _text,
    "foliage": _foliage,
    "sky": _sky,
    "screen": _screen,
    "moire": _moire,
    "face": _face,
    "bricks": _bricks,
    "windows": _windows,
    "hair": _hair,
}
