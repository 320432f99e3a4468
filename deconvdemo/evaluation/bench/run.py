"""One photo on the bench: harmed, restored by one method after another, and measured."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError, DeconvdemoError, LeftError, PhotoError
from deconvdemo.evaluation.bench.damages import Damage
from deconvdemo.evaluation.bench.methods import methods, named
from deconvdemo.evaluation.protocols import Case, case_of, middle
from deconvdemo.image.perceptual import perceptual
from deconvdemo.image.pixels import eight_bit_rgb, to_depth
from deconvdemo.tasks import TASKS, Number, task_named
from deconvdemo.tasks.declared import Degraded
from deconvdemo.tasks.wild import seed_of

SIDE = 640  # pixels: larger photos are made smaller before they are harmed; of a pair the middle is taken
SMALLEST = 24  # pixels: less cannot be judged by SSIM, without the border that enlarging leaves out
DIFFERENT = 8  # grey levels: of a pair with holes, these are where the two differ by more


@dataclass(frozen=True)
class Subject:
    """What was done to a photo, and for which task."""

    task: str
    made: Degraded
    words: str

    @property
    def observed(self) -> np.ndarray:
        """(H, W, 3) uint8, as it is shown."""
        return to_depth(self.made.observed, np.uint8)

    @property
    def shown(self) -> np.ndarray:
        """The same in the size of the original, pixel by pixel."""
        return self.observed.repeat(self.scale, axis=0).repeat(self.scale, axis=1)

    @property
    def scale(self) -> int:
        return TASKS[self.task].scale(self.made.controls)


@dataclass(frozen=True)
class Outcome:
    """What one method made; `name` is empty, and no time was taken, for the degraded photo itself."""

    name: str
    label: str
    restored: np.ndarray  # (H, W, 3) uint8
    measured: dict[str, float]
    seconds: float | None = None


@dataclass(frozen=True)
class Bench:
    """How far it is: after each method one more outcome. `upcoming` is the next method's label, empty at the end."""

    subject: Subject
    outcomes: tuple[Outcome, ...] = ()
    total: int = 0  # of methods
    tried: int = 0
    upcoming: str = ""
    left_out: tuple[str, ...] = ()  # sentences

    @property
    def measures(self) -> list[str]:
        return list(dict.fromkeys(name for one in self.outcomes for name in one.measured))


def bounded(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) of any depth → (H, W, 3) uint8 of at most SIDE pixels a side. PhotoError for what is too small."""
    rgb = eight_bit_rgb(pixels)
    _require_large(rgb)
    height, width = rgb.shape[:2]
    if max(height, width) <= SIDE:
        return rgb
    factor = SIDE / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    smaller = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    _require_large(smaller)
    return smaller


def harmed(clean: np.ndarray, damage: Damage, seed: int | None = None) -> Subject:
    """(H, W, 3) uint8, harmed by `damage`; without a seed the chance goes by the photo's own pixels."""
    given = seed_of(clean) % 2**31 if seed is None else seed
    return Subject(damage.task, TASKS[damage.task].degraded(clean, damage.setting, given), damage.words)


def brought(task: str, clean: np.ndarray, observed: np.ndarray) -> Subject:
    """A visitor's own pair: the scale is told by the sizes, the holes, where the task needs some, by the pixels."""
    clean, observed = eight_bit_rgb(clean), eight_bit_rgb(observed)
    chosen, scale = task_named(task), _scale(task, clean, observed)
    places = [middle(length, SIDE // scale) for length in observed.shape[:2]]
    observed = np.ascontiguousarray(observed[tuple(places)])
    enlarged = tuple(slice(place.start * scale, place.stop * scale) for place in places)
    clean = np.ascontiguousarray(clean[enlarged])
    _require_large(clean)
    mask = None
    if chosen.needs_mask:
        mask = np.abs(clean.astype(np.int16) - observed).max(axis=2) > DIFFERENT
        if not mask.any() or mask.all():
            raise PhotoError(
                "the two photos differ nowhere, or everywhere: for holes, give the same photo with some of it lost"
            )
    known = {**chosen.usual} if chosen.needs_mask else {}
    known |= {"scale": scale} if chosen.has("scale") else {}
    return Subject(task, Degraded(clean, observed, "own pair", "your own pair", known, mask), "Your own pair")


def bench(
    restorer: Restorer, subject: Subject, image: str = "photo", thorough: bool = False, only: Collection[str] = ()
) -> Iterator[Bench]:
    """What is known after each method; the first is before any. Closing the iterator ends it.

    `only`: the methods of these names, slow ones, too. A method that cannot be had, or refuses, is left out and said.
    Raises PhotoError for a photo too small to be judged, and ControlError for a name that no method has.
    """
    task, made = TASKS[subject.task], subject.made
    case = case_of(task, Path(image), made)
    ways = methods(restorer, subject.task, made.controls, thorough or bool(only))
    if not ways:
        raise ControlError(f"no method applies: there are no weights for {subject.task} here")
    ways = named(only, ways, subject.task) if only else ways
    plain = (_outcome("", "Degraded", subject.observed, case, subject),) if subject.scale == 1 else ()
    state = Bench(subject, plain, len(ways), 0, ways[0].label)
    yield state
    for way in ways:
        for name in way.weights:  # what is read once shall not count as a method's time
            restorer.network(name)
    for number, way in enumerate(ways, 1):
        upcoming = ways[number].label if number < len(ways) else ""
        state = replace(state, tried=number, upcoming=upcoming)
        started = time.perf_counter()
        try:
            restored = to_depth(way.restore(case), np.uint8)
        except LeftError:
            raise
        except DeconvdemoError as error:
            state = replace(state, left_out=(*state.left_out, f"{way.label}: {error}"))
            yield state
            continue
        seconds = time.perf_counter() - started
        outcome = _outcome(way.name, way.label, restored, case, subject, seconds)
        state = replace(state, outcomes=(*state.outcomes, outcome))
        yield state


def _outcome(name: str, label: str, restored: np.ndarray, case: Case, subject: Subject, seconds=None) -> Outcome:
    measured = {**case.score(restored), **perceptual(restored, subject.made.clean)}
    return Outcome(name, label, restored, measured, seconds)


def _scale(task: str, clean: np.ndarray, observed: np.ndarray) -> int:
    """How many times larger the clean one is. Raises PhotoError where that is no scale of the task's."""
    chosen = TASKS[task]
    scales = next((one.choices for one in chosen.controls if isinstance(one, Number) and one.choices), ()) or (1,)
    for scale in scales:
        sides = zip(clean.shape[:2], observed.shape[:2], strict=True)
        if all(0 <= large - small * scale < scale for large, small in sides):
            return scale
    sizes = [f"{one.shape[1]}×{one.shape[0]}" for one in (clean, observed)]
    times = "the same size" if scales == (1,) else f"a size {' or '.join(map(str, scales))} times smaller"
    raise PhotoError(
        f"the clean photo is {sizes[0]} and the damaged one {sizes[1]}, but {chosen.title} expects {times}: "
        "give the two that belong together, or choose another damage"
    )


def _require_large(pixels: np.ndarray) -> None:
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST:
        raise PhotoError(
            f"the photo is {width}×{height} pixels here, too small to be judged: give one of {SMALLEST}×{SMALLEST} "
            "or more"
        )
