"""Several photos on the bench, at one damage or more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import DatasetError, PhotoError, TrainingError
from deconvdemo.evaluation.bench.damages import Damage
from deconvdemo.evaluation.bench.run import Bench, bench, bounded, harmed
from deconvdemo.image.metrics import LARGEST
from deconvdemo.tasks import TASKS

MOST = 200  # photos of a report
CROP = 160  # pixels a side of what is shown of a photo
PSNR = "PSNR"

Images = Iterable[tuple[str, Path | bytes | DatasetError]]


@dataclass(frozen=True)
class Measured:
    """One photo at one damage. `crops`: by label, where the first method is farthest from the original."""

    image: str
    gain: float  # dB of the first method over `Section.plain`
    scores: dict[str, dict[str, float]]
    seconds: dict[str, float]  # a megapixel of the result
    crops: dict[str, np.ndarray]


@dataclass
class Section:
    """One damage. `plain`: the method that the others are compared with: nothing, or the first classical one."""

    damage: Damage
    plain: str = ""
    first: str = ""
    photos: list[Measured] = field(default_factory=list)
    left_out: dict[str, None] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(label for photo in self.photos for label in photo.scores))

    def worst(self) -> Measured:
        return min(self.photos, key=lambda photo: photo.gain)

    def mean(self) -> Measured:
        """The photo whose gain is nearest to the mean."""
        middle = float(np.mean([photo.gain for photo in self.photos]))
        return min(self.photos, key=lambda photo: abs(photo.gain - middle))


@dataclass(frozen=True)
class Report:
    sections: list[Section]
    images: int
    problems: list[str]  # photos that are not there, and why
    more: bool = False  # whether there were others, which were not looked at


def measured(
    restorer: Restorer,
    images: Images,
    chosen: Sequence[Damage],
    first: int,
    say: Callable[[str], None] = lambda words: None,
    thorough: bool = False,
) -> Report:
    """Every method on the first so many images, each at every damage. Raises TrainingError where no image is one.

    Nor are more than MOST that are none looked at: a dataset may have millions.
    """
    sections, count, more = [Section(damage) for damage in chosen], 0, False
    problems: list[str] = []
    for name, image in images:
        if more := count == first or len(problems) == MOST:
            break
        try:
            if isinstance(image, DatasetError):
                raise image
            clean = bounded(restorer.opener.open(image, restorer.max_pixels).pixels)
        except (PhotoError, DatasetError) as error:
            problems.append(f"{name}: {error}")
            say(problems[-1])
            continue
        count += 1
        for section in sections:
            say(f"{name}: {section.damage.words}")
            *_, done = bench(restorer, harmed(clean, section.damage), name, thorough)
            _add(section, name, done)
    if not count:
        raise TrainingError("there is no photo to put on the bench" + (f": {problems[0]}" if problems else ""))
    return Report(sections, count, problems, more)


def _add(section: Section, name: str, done: Bench) -> None:
    section.left_out |= dict.fromkeys(done.left_out)
    methods = [one for one in done.outcomes if one.name]
    if not methods:
        return
    baseline = TASKS[section.damage.task].baselines[:1]
    known = {one.name: one for one in done.outcomes}
    plain = known.get("") or known.get(baseline[0].name if baseline else "") or methods[-1]
    section.plain, section.first = plain.label, methods[0].label
    scores = {
        one.label: {measure: min(value, LARGEST) for measure, value in one.measured.items()} for one in done.outcomes
    }
    clean = done.subject.made.clean
    place = _farthest(methods[0].restored, clean)
    crops = {"Original": clean[place], "Degraded": done.subject.shown[place]}
    crops |= {one.label: one.restored[place] for one in methods}
    megapixels = clean.shape[0] * clean.shape[1] / 1e6
    section.photos.append(
        Measured(
            name,
            scores[methods[0].label][PSNR] - scores[plain.label][PSNR],
            scores,
            {one.label: one.seconds / megapixels for one in methods if one.seconds is not None},
            {label: crop.copy() for label, crop in crops.items()},
        )
    )


def _farthest(restored: np.ndarray, clean: np.ndarray) -> tuple[slice, slice]:
    """The square of CROP pixels in which the squared error is largest."""
    errors = ((restored.astype(np.float32) - clean) ** 2).sum(axis=2)
    height, width = (min(CROP, side) for side in errors.shape)
    sums = cv2.boxFilter(errors, -1, (width, height), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
    sums = sums[: errors.shape[0] - height + 1, : errors.shape[1] - width + 1]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)
