"""What one accepted flag teaches: the pair of what a network sees and what it should give, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np

from deconvdemo.bounded import clipped
from deconvdemo.feedback.events.imagefile import UNREADABLE, rgb_pixels
from deconvdemo.feedback.events.opinions import StoredVerdict
from deconvdemo.feedback.events.records import HOLES, SELF, TARGET, Pair, StoredFlag
from deconvdemo.tasks import TASKS


class NoLessonError(Exception):
    """An accepted flag teaches nothing, and why."""


def pair_of(flag: StoredFlag, given: Sequence[StoredVerdict], clean: bytes | None, task: str, scale: int) -> Pair:
    """`given`: the verdicts that accept the flag, the newest last; `clean`: its target's file. Raises NoLessonError."""
    try:
        return _pair(flag, given, clean, task, scale)
    except UNREADABLE as error:
        raise NoLessonError(f"its images cannot be decoded ({clipped(str(error))})") from error


def _pair(flag: StoredFlag, given: Sequence[StoredVerdict], clean: bytes | None, task: str, scale: int) -> Pair:
    _require_scale(flag, task, scale)
    observed = rgb_pixels(flag.observed)
    size = (observed.shape[0] * scale, observed.shape[1] * scale)
    target = _target(clean, size)
    region = _region(flag, given, size)
    mask = _mask(flag, given, observed.shape[:2]) if TASKS[task].needs_mask else None
    kind = TARGET if target is not None else TASKS[task].own_pair
    if not kind:
        raise NoLessonError(f"{task} learns from targets alone, and it has none")
    if kind in (SELF, HOLES):
        target = observed
    if kind == SELF:
        region = None  # it was painted on the result, which is no part of this lesson
    return Pair(flag.flag_id, kind, observed, target, mask, region, _told_sigma(flag))


def _require_scale(flag: StoredFlag, task: str, scale: int) -> None:
    asked = str(flag.controls.get("scale") or 1) if TASKS[task].has("scale") else "1"
    if asked != str(scale):
        raise NoLessonError(f"it is of ×{clipped(asked, 20)}, not ×{scale}")


def _target(clean: bytes | None, size: tuple[int, int]) -> np.ndarray | None:
    target = rgb_pixels(clean) if clean else None
    if target is not None and target.shape[:2] != size:
        raise NoLessonError(f"its target is {target.shape[1]}×{target.shape[0]}, not {size[1]}×{size[0]}")
    return target


def _region(flag: StoredFlag, given: Sequence[StoredVerdict], size: tuple[int, int]) -> np.ndarray | None:
    """Where the result is bad: what reviewers painted, or else the visitor."""
    painted = [file for verdict in given if (file := verdict.region)] or ([flag.region] if flag.region else [])
    regions = [_holes(file, size) for file in painted]
    return np.any(regions, axis=0) if regions else None


def _mask(flag: StoredFlag, given: Sequence[StoredVerdict], size: tuple[int, ...]) -> np.ndarray:
    """The newest mask that a reviewer corrected, or else the visitor's."""
    corrected = [file for verdict in given if (file := verdict.mask)]
    file = corrected[-1] if corrected else flag.mask
    if file is None:
        raise NoLessonError("it has no mask")
    mask = _holes(file, size)
    if not mask.any() or mask.all():
        raise NoLessonError("its mask leaves nothing to learn from")
    return mask


def _told_sigma(flag: StoredFlag) -> float | None:
    told = flag.controls.get("sigma")
    return float(told) if isinstance(told, int | float) and 0 <= told <= 255 else None


def _holes(file: bytes, size: tuple[int, ...]) -> np.ndarray:
    from PIL import Image

    with Image.open(BytesIO(file)) as opened:
        return np.asarray(opened.convert("L").resize((size[1], size[0]), Image.Resampling.NEAREST)) > 127
