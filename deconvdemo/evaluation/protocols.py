"""The protocols: which degraded images a method is given, and how its results are judged.

What varies is each task's: how it degrades a clean image, along which axes and where it is judged (`tasks/`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.hub.datasets import SUFFIXES
from deconvdemo.image.mask_reading import open_mask
from deconvdemo.image.metrics import SSIM_WINDOW, psnr_inside, ssim
from deconvdemo.image.photo import Photo
from deconvdemo.image.pixels import eight_bit_rgb
from deconvdemo.image.reading import read_photo
from deconvdemo.tasks import PHOTO, STANDARD, TASKS, Task
from deconvdemo.tasks.declared import Degraded
from deconvdemo.tasks.wild import seed_of

CLEAN = "without noise"  # a setting: photos that have nothing to remove
IN_HOLES = "PSNR in holes"
MASK = "_mask"  # what a mask's file is called beside its image's
WILD = "wild"  # no variant's protocol, but every one's: photos as people's are
Values = Mapping[str, Sequence[Any]]  # an axis's name → its values, in place of the task's


@dataclass(frozen=True)
class Case:
    """One degraded image: what is given to a method and how its result is judged."""

    image: str
    setting: str  # such as "sigma 25" or "×2"
    observed: np.ndarray  # (H, W, 3) uint8, or float32 in [0, 1] where the protocol does not round
    controls: Mapping[str, Any]
    score: Callable[[np.ndarray], dict[str, float]]  # of the restored uint8 image
    mask: np.ndarray | None = None
    file: Path | bytes | None = None  # what `observed` was read from, where it is as a person would bring it

    @property
    def brought(self) -> Path | bytes | np.ndarray:
        """What a visitor would drop on the page: a file, whose format says something of what it went through."""
        return self.observed if self.file is None else self.file


def each_case(
    task: str, folder: Path, values: Values | None = None, variant: str = STANDARD, first: int | None = None
) -> Iterator[Case]:
    """What a network of `task` and `variant` is measured on over the images of `folder`, one after another.

    Each image is degraded at every combination of the axes' values; how depends on them and on its place in the folder
    alone; WILD in place of a variant: on them and on its pixels. Real pairs are taken as they are. `first`: only so
    many images. Raises TrainingError where there are no images.
    """
    if task not in TASKS:
        raise ControlError(f"there is no protocol for {task!r}: evaluate {_either(list(TASKS))}")
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder: --images takes a folder of clean images")
    chosen, count = TASKS[task], 0
    pairs = _has_pairs(chosen, folder)
    if pairs and not _wanted_pairs(chosen, folder, values or {}):
        there = _either(_endings(chosen, folder))
        raise TrainingError(f"{folder} has pairs of other scales alone: its files end in {there}")
    found = _real(chosen, folder, values or {}) if pairs else _degraded(chosen, folder, values or {}, variant)
    images: set[str] = set()
    for count, case in enumerate(found, 1):  # noqa: B007
        images.add(case.image)
        if first is not None and len(images) > first:
            return
        yield case
    if not count:
        raise none_in(folder)


def cases(task: str, folder: Path, values: Values | None = None, variant: str = STANDARD) -> list[Case]:
    """All cases at once, for several methods; a folder of large images takes gigabytes (noisy ones are floats)."""
    return list(each_case(task, folder, values, variant))


def require_photo_protocol(task: str) -> None:
    """Raises ControlError unless the task's images can be degraded as people's photos are."""
    have = [name for name, one in TASKS.items() if PHOTO in one.protocols]
    if task not in have:
        raise ControlError(f"there is no photo protocol for {task!r}: evaluate {_either(have)} by it")


def clean_cases(task: str, folder: Path) -> Iterator[Case]:
    """The images as they are, for a task that must keep them so; none where they are real pairs."""
    chosen = TASKS[task]
    if chosen.keeps_clean and not _has_pairs(chosen, folder):
        for file in image_files(folder):
            clean = _rgb(file)
            yield Case(file.stem, CLEAN, clean, {}, _judged(chosen, file, clean))


def _degraded(task: Task, folder: Path, values: Values, variant: str) -> Iterator[Case]:
    declared = task.wild if variant == WILD else task.axes(variant)
    axes = {name: values.get(name, axis.values) for name, axis in declared.items()}
    files = [file for file in image_files(folder) if not (task.needs_mask and file.stem.endswith(MASK))]
    for number, file in enumerate(files):
        clean = _rgb(file)
        _require_large(file, clean)
        mask = None
        seed = seed_of(clean) if variant == WILD else number
        if task.needs_mask:
            mask = open_mask(_twin(file, "", MASK), clean.shape[0], clean.shape[1], observed=Photo(clean))
        for setting in itertools.product(*axes.values()):
            made = task.degraded(clean, dict(zip(axes, setting, strict=True)), seed, mask)
            yield case_of(task, file, made)


def case_of(task: Task, file: Path, made: Degraded) -> Case:
    """How a method is asked about what was made of the image in `file`. Raises TrainingError if it is too small."""
    score = _judged(task, file, made.clean, task.scale(made.controls), made.mask)
    return Case(file.stem, made.setting, made.observed, made.controls, score, made.mask, made.file)


def _real(task: Task, folder: Path, values: Values) -> Iterator[Case]:
    """Files with a clean twin; what is estimated of others is of these, too."""
    for file, ending in _wanted_pairs(task, folder, values):
        known = task.pairs[ending]
        observed, twin = _rgb(file), _twin(file, ending, "_clean")
        scale = known.get("scale", 1)
        clean = _fitting(twin, _rgb(twin), file, observed, scale)
        setting = task.real if scale == 1 else f"×{scale} {task.real}"
        yield Case(
            file.stem.removesuffix(ending), setting, observed, known, _judged(task, file, clean, scale), file=file
        )


def _fitting(twin: Path, clean: np.ndarray, file: Path, observed: np.ndarray, scale: int) -> np.ndarray:
    """`clean` without what did not divide by `scale`. Raises TrainingError if `observed` is of another size."""
    height, width = observed.shape[0] * scale, observed.shape[1] * scale
    if any(not 0 <= large - small < scale for large, small in zip(clean.shape, (height, width), strict=False)):
        raise TrainingError(
            f"{twin.name} is {clean.shape[1]}×{clean.shape[0]}, but {file.name} is {observed.shape[1]}×"
            f"{observed.shape[0]}: of a pair, expected {width}×{height} of the clean one"
        )
    return clean[:height, :width]


def has_cases(task: str, folder: Path, values: Values) -> bool:
    """Whether there is anything for a task: pairs of the values asked for, or images that are not another task's."""
    if _has_pairs(TASKS[task], folder):
        return bool(_wanted_pairs(TASKS[task], folder, values))
    return bool(image_files(folder)) and not other_task(task, folder)[1]


def _wanted_pairs(task: Task, folder: Path, values: Values) -> list[tuple[Path, str]]:
    """The observed files of pairs, with their endings, of which nothing is known that is not among `values`."""
    wanted = [
        ending
        for ending, known in task.pairs.items()
        if all(value in values.get(name, (value,)) for name, value in known.items())
    ]
    return [(file, ending) for file in image_files(folder) for ending in wanted if file.stem.endswith(ending)]


def _has_pairs(task: Task, folder: Path) -> bool:
    return bool(_endings(task, folder))


def _endings(task: Task, folder: Path) -> list[str]:
    return [ending for ending in task.pairs if any(file.stem.endswith(ending) for file in image_files(folder))]


# ---- the sets that the literature measures on, by the names their folders have -----------------------------


def sets_in(folder: Path, say: Callable[[str], None]) -> dict[str, list[Path]]:
    """task → the sets under `folder` it is measured on, in the task's order; watched ones that are not there are said.

    Raises TrainingError if there is none.
    """
    watched = [name for task in TASKS.values() for name in task.watched]
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder: --images takes a folder of sets such as {', '.join(watched)}")
    there = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir() and image_files(path)}
    found = {task.name: [there[name] for name in task.sets if name in there] for task in TASKS.values()}
    if not any(found.values()):
        known = dict.fromkeys(name for task in TASKS.values() for name in task.sets)
        raise TrainingError(f"{folder} has none of the folders {', '.join(known)} with images: nothing to measure on")
    if missing := [name for name in watched if name not in there]:
        say(f"{folder} has no images in {', '.join(missing)}: left out")
    return {task: paths for task, paths in found.items() if paths}


def other_task(task: str, folder: Path) -> tuple[str, str]:
    """(ending, task) of files in `folder` that make it a set of another task alone; ("", "") if there are none."""
    owners: dict[str, list[str]] = {MASK: [one.name for one in TASKS.values() if one.needs_mask]}
    for one in TASKS.values():
        for ending in one.pairs:
            owners.setdefault(ending, []).append(one.name)
    there = {ending: names for ending, names in owners.items() if any(folder.glob(f"*{ending}.*"))}
    if any(task in names for names in there.values()):
        return "", ""
    return next(((ending, names[0]) for ending, names in there.items()), ("", ""))


def _either(names: Sequence[str]) -> str:
    """ "denoise, upscale or inpaint" """
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def image_files(folder: Path) -> list[Path]:
    """The images in a folder, but not in those within it."""
    # by name, not by path: paths sort differently on Windows, and the noise goes by the place in this order
    return sorted((file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES), key=lambda file: file.name)


def none_in(folder: Path) -> TrainingError:
    return TrainingError(f"no images in {folder}: expected {', '.join(sorted(SUFFIXES))} files")


def middle(length: int, most: int) -> slice:
    """The middle of so many rows or columns: at most `most` of them."""
    start = max(0, (length - most) // 2)
    return slice(start, start + min(most, length))


def has_images(folder: Path) -> bool:
    return bool(image_files(folder))


def _twin(file: Path, ending: str, other: str) -> Path:
    stem = file.stem.removesuffix(ending) + other
    for twin in image_files(file.parent):
        if twin.stem == stem:
            return twin
    raise TrainingError(f"{file.name} has no {stem} beside it in {file.parent}")


def _rgb(file: Path) -> np.ndarray:
    return eight_bit_rgb(read_photo(file).pixels)


def _judged(task: Task, file: Path, clean: np.ndarray, scale: int = 1, holes: np.ndarray | None = None):
    """What scores a restored image. Raises TrainingError if `clean` is too small for it."""
    border = task.border(scale)
    _require_large(file, clean, border)

    def score(restored: np.ndarray) -> dict[str, float]:
        in_holes = {} if holes is None else {IN_HOLES: psnr_inside(restored, clean, holes)}
        whole = {"PSNR": task.psnr(restored, clean, scale), "SSIM": ssim(restored, clean, border, task.on_luma)}
        return {**in_holes, **whole}

    return score


def _require_large(file: Path, clean: np.ndarray, border: int = 0) -> None:
    height, width = clean.shape[:2]
    if min(height, width) < SSIM_WINDOW + 2 * border:
        raise TrainingError(
            f"{file.name} is {width}×{height} pixels, too small to be judged by SSIM, which needs {SSIM_WINDOW}×"
            f"{SSIM_WINDOW}" + (f" inside a border of {border}" if border else "") + ": take it out of the folder"
        )
