"""The gate: a candidate takes the served weights' place only if it is measurably better and nothing is worse (law 9).

Both restore the same images with the same noise. What counts is the difference on each image: its mean, a 95 % interval
and a paired t-test (Student 1908), for each validation set and for the accepted flags that were kept from training,
which are restored with what their visitors had set. Then come the laws: finite everywhere, a flat field stays flat,
strength 0 changes nothing, a tiled photo equals the whole; and the time it takes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.degradations import BicubicDownscale
from deconvdemo.degradations.holes import random_masks
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.engine.rounding import Rounding
from deconvdemo.errors import DeconvdemoError
from deconvdemo.evaluation.measure import restoring
from deconvdemo.evaluation.photo_protocols import variant_cases
from deconvdemo.evaluation.protocols import SIGMAS, Case
from deconvdemo.feedback.events.records import HOLES, SELF, Pair
from deconvdemo.image.metrics import task_psnr
from deconvdemo.image.pixels import as_images, eight_bits, to_depth
from deconvdemo.tasks import TASKS

TOLERANCE = 0.05  # dB that the mean of a validation set may lose
DOUBT = 0.15  # dB below which the interval's lower end must not lie
GAIN = 0.1  # dB that the mean on held-back flags must win
FEWEST_FLAGS = 3  # held-back flags that can tell anything
TIMED = 512  # pixels a side, at most, of the photo that is timed
SLOWER = 1.25  # times as long as the served weights
FLAT = {"inpaint": 4.0}  # grey levels that a flat field may move; an invented filling more than a correction
FLAT_OTHERS = 2.0
LARGEST = 45.0  # dB that count: nobody sees what is beyond, and a perfect result's infinity has no mean
FLAGS = "held-back flags"
CLEAN = "without noise"  # a denoiser's photos that have nothing to remove
UNSEEN = 36.0  # dB: photos that had no noise may change so much, as by JPEG's quality 85, and few see it


@dataclass(frozen=True)
class Comparison:
    """One set and setting: PSNR in dB of both on the same images."""

    images: str  # the set's name, or FLAGS
    setting: str
    served: tuple[float, ...]
    candidate: tuple[float, ...]

    @property
    def differences(self) -> np.ndarray:
        return np.subtract(self.candidate, self.served)

    @property
    def mean(self) -> float:
        return float(self.differences.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, of the mean difference, by Student's t."""
        from scipy import stats

        count = len(self.differences)
        error = float(self.differences.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
        if not error:
            return self.mean, self.mean
        reach = float(stats.t.ppf(0.975, count - 1)) * error if count > 1 else math.inf
        return self.mean - reach, self.mean + reach

    @property
    def p_value(self) -> float:
        """Of a paired t-test that there is no difference; 1.0 where there is none at all."""
        from scipy import stats

        if len(self.differences) < 2 or not self.differences.any():
            return 1.0
        found = float(stats.ttest_rel(self.candidate, self.served).pvalue)
        return found if math.isfinite(found) else 0.0

    def refusal(self) -> str:
        """Why this alone keeps the candidate out, or ""."""
        low, high = self.interval
        where = f"{self.images} {self.setting}".strip()
        told = f"{self.mean:+.2f} dB, 95 % from {low:+.2f} to {high:+.2f}, on {len(self.served)} images"
        if self.setting == CLEAN:
            seen = np.mean(self.candidate) < min(UNSEEN, float(np.mean(self.served)) - TOLERANCE)
            return f"it changes {where} ({told}), where {UNSEEN:g} dB are asked for" if seen else ""
        if self.images == FLAGS:
            if len(self.served) < FEWEST_FLAGS:
                return f"{len(self.served)} held-back flags cannot tell whether it is better: {FEWEST_FLAGS} are needed"
            better = self.mean >= GAIN and low > 0
            return "" if better else f"it is not better on {where} ({told}), where {GAIN:+.2f} dB are asked for"
        worse = self.mean < -TOLERANCE or (high < 0 and low < -DOUBT)
        return f"it is worse on {where} ({told})" if worse else ""


@dataclass(frozen=True)
class Report:
    """What the gate found. `refusals` has a sentence for each reason; none: the candidate may serve."""

    served: str  # sha256
    candidate: str
    comparisons: tuple[Comparison, ...]
    seconds: tuple[float, ...]  # a megapixel of the result, of both
    refusals: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return not self.refusals

    def facts(self) -> list[dict[str, Any]]:
        """The comparisons for the history, JSON-able: `mean` is that of the difference, in dB, as is its interval."""
        return [
            {
                "images": one.images,
                "setting": one.setting,
                "served": round(float(np.mean(one.served)), 4),
                "candidate": round(float(np.mean(one.candidate)), 4),
                "mean": round(one.mean, 4),
                "interval": [round(end, 4) for end in one.interval] if math.isfinite(one.interval[0]) else None,
            }
            for one in self.comparisons
        ]

    def table(self) -> str:
        """For a person: served | candidate | difference | verdict."""
        head = f"{'':34} {'served':>8} {'candidate':>9} {'difference':>10} {'95 %':>16} {'p':>6}  verdict"
        lines = [head]
        for one in self.comparisons:
            low, high = one.interval
            between = f"{low:+.2f} to {high:+.2f}" if math.isfinite(low) else "–"
            verdict = "refused" if one.refusal() else "good"
            lines.append(
                f"{f'{one.images} {one.setting}':34.34} {np.mean(one.served):8.2f} {np.mean(one.candidate):9.2f} "
                f"{one.mean:+10.2f} {between:>16} {one.p_value:6.3f}  {verdict}"
            )
        lines.append(f"{'seconds a megapixel':34} {self.seconds[0]:8.2f} {self.seconds[1]:9.2f}")
        lines += [f"refused: {reason}" for reason in self.refusals] or ["passed"]
        return "\n".join(lines)


def judge(
    served: Checkpoint,
    candidate: Checkpoint,
    sets: Sequence[Path],
    held_out: Iterable[Pair],
    compute_on: Compute,
    objections: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Compares two checkpoints of one name. `objections` are reasons from elsewhere, such as what it was trained on."""
    refusals = list(objections)
    if candidate.name != served.name:
        refusals.append(f"it is {candidate.name}, but {served.name} is to be replaced")
    parent = candidate.header.recipe.get("parent")
    if parent and parent != served.sha256:
        refusals.append(f"it was made from {str(parent)[:12]}, but {served.sha256[:12]} serves now: fine-tune anew")
    if candidate.sha256 == served.sha256:
        refusals.append("these weights serve already")
    if refusals:
        return Report(served.sha256, candidate.sha256, (), (0.0, 0.0), tuple(refusals))
    found: list[Comparison] = []
    timed: Case | None = None
    for folder in sets:
        say(f"measuring on {folder.name}")
        cases = list(_cases(candidate, folder))
        found += _compared(folder.name, cases, served, candidate, compute_on)
        timed = timed or cases[0]
    flags = [case for number, pair in enumerate(held_out) if (case := _case(pair, candidate, number))]
    say(f"measuring on {len(flags)} held-back flags")
    of_flags = _compared(FLAGS, flags, served, candidate, compute_on)
    if not of_flags:
        refusals.append(f"no held-back flag can be judged by: {FEWEST_FLAGS} accepted ones with a target are needed")
    refusals += [reason for one in (*found, *of_flags) if (reason := one.refusal())]
    refusals += _broken_laws(candidate, compute_on)
    seconds = _seconds((served, candidate), timed, compute_on) if timed else (0.0, 0.0)
    if seconds[1] > SLOWER * seconds[0]:
        refusals.append(f"it takes {seconds[1] / seconds[0]:.2f} times as long, {SLOWER} at most are allowed")
    return Report(served.sha256, candidate.sha256, (*found, *of_flags), seconds, tuple(refusals))


def _cases(checkpoint: Checkpoint, folder: Path) -> Iterator[Case]:
    """The literature's, and for denoising the images as they are: who brings a good photo must not see it change."""
    header = checkpoint.header
    yield from variant_cases(header.variant, header.task, folder, SIGMAS, (header.scale,))
    if header.task == "denoise":
        for case in variant_cases("", header.task, folder, (0.0,), (1,)):
            clean = "sigma" in case.controls  # else a pair of real photos, which has noise
            if clean:
                yield replace(case, setting=CLEAN, observed=to_depth(case.observed, np.uint8), controls={})


def _compared(
    images: str, cases: Sequence[Case], served: Checkpoint, candidate: Checkpoint, compute_on: Compute
) -> list[Comparison]:
    """The two on each case, by setting."""
    both = [restoring(checkpoint, compute_on) for checkpoint in (served, candidate)]
    rows: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        scores = [case.score(to_depth(restore(case), np.uint8)) for restore in both]
        measure = "PSNR in holes" if "PSNR in holes" in scores[0] else "PSNR"
        pair = tuple(min(score[measure], LARGEST) for score in scores)
        rows.setdefault(case.setting, []).append(pair)  # type: ignore[arg-type]
    return [
        Comparison(images, setting, tuple(a for a, _ in found), tuple(b for _, b in found))
        for setting, found in rows.items()
    ]


def _case(pair: Pair, checkpoint: Checkpoint, number: int) -> Case | None:
    """A held-back flag as a case; None for one that has nothing to be judged by."""
    task, scale = checkpoint.header.task, checkpoint.header.scale
    observed, mask = pair.observed, pair.mask
    controls: dict[str, Any] = {}
    target = pair.target
    if target is None:
        return None
    if pair.kind == SELF:
        images, shrink = as_images(target), BicubicDownscale(scale)
        target, observed = (eight_bits(made) for made in (shrink.crop(images), shrink(images)))
    if task == "upscale":
        controls = {"scale": scale}
    if pair.kind == HOLES:
        assert mask is not None
        side = max(mask.shape)
        cut = random_masks(np.random.default_rng(number), 1, side)[0][: mask.shape[0], : mask.shape[1]] > 0
        counts, mask = cut & ~mask, cut | mask
        if not counts.any():
            return None
    elif mask is not None:
        counts = mask
    if mask is not None:
        observed = np.where(mask[..., None], 0, observed).astype(np.uint8)

        def inside(restored: np.ndarray) -> dict[str, float]:
            return {"PSNR in holes": task_psnr(task, restored, target, holes=counts)}

        return Case(pair.flag_id, "", observed, controls, inside, mask)

    def score(restored: np.ndarray) -> dict[str, float]:
        return {"PSNR": task_psnr(task, restored, target, scale)}

    if task == "denoise" and pair.sigma is not None:
        controls = {"sigma": pair.sigma}
    return Case(pair.flag_id, "", observed, controls, score)


def _broken_laws(checkpoint: Checkpoint, compute_on: Compute) -> list[str]:
    """A sentence for each law that the candidate breaks."""
    task, scale = checkpoint.header.task, checkpoint.header.scale
    broken = []
    side = 96
    mask = np.zeros((side, side), bool)
    mask[30:60, 30:60] = True
    controls = _controls(checkpoint)
    given = mask if task == "inpaint" else None
    photo = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    small, large = (Restorer.of(checkpoint, compute_on, tile) for tile in (32, 1024))
    try:
        for level in (0, 64, 128, 255):
            flat = np.full((side, side, 3), level, np.uint8)
            moved = large.restore(task, flat, given, **controls).photo.pixels.astype(int) - level
            inner = np.abs(moved[8 * scale : -8 * scale, 8 * scale : -8 * scale]).max()
            allowed = FLAT.get(task, FLAT_OTHERS)
            if inner > allowed:
                broken.append(
                    f"a flat field of {level} is moved by {inner} grey levels, {allowed:g} at most are allowed"
                )
                break
        whole = large.restore(task, photo, given, **controls).photo.pixels
        compared = Rounding()
        compared.add(small.restore(task, photo, given, **controls).photo.pixels, whole)
        if compared.broken():
            broken.append(f"a photo in tiles is not the whole photo: {compared.broken()}")
        if scale == 1:
            nothing = large.restore(task, photo, given, **{**controls, "strength": 0}).photo.pixels
            if not np.array_equal(nothing, photo):
                broken.append("strength 0 changes the photo")
    except DeconvdemoError as error:
        broken.append(f"it cannot restore: {error}")
    network = checkpoint.network()
    for amplitude in (0.0, 1.0):
        inputs = torch.full((1, 3, 64, 64), amplitude)
        holes = torch.zeros(1, 1, 64, 64) if task == "inpaint" else None
        with torch.inference_mode():
            shown = TASKS[task].inputs(inputs, holes, {"sigma": 75.0, "variant": checkpoint.header.variant})
            out = network(shown)
        if not torch.isfinite(out).all():
            broken.append("it gives numbers that are not finite")
            break
    return broken


def _seconds(checkpoints: Sequence[Checkpoint], case: Case, compute_on: Compute) -> tuple[float, ...]:
    """Seconds a megapixel of each one's result: the best of some, taken in turn: a busy machine is busy for all."""
    photo = case.observed[:TIMED, :TIMED]
    mask = None if case.mask is None else case.mask[:TIMED, :TIMED]
    restorers = [Restorer.of(checkpoint, compute_on) for checkpoint in checkpoints]
    best = [math.inf] * len(restorers)
    for _ in range(6):  # the first warms up
        for place, (restorer, checkpoint) in enumerate(zip(restorers, checkpoints, strict=True)):
            begun = time.perf_counter()
            restorer.restore(checkpoint.header.task, photo, mask, **{**_controls(checkpoint), **case.controls})
            best[place] = min(best[place], time.perf_counter() - begun)
    megapixels = photo.shape[0] * photo.shape[1] * checkpoints[0].header.scale ** 2 / 1e6
    return tuple(seconds / megapixels for seconds in best)


def _controls(checkpoint: Checkpoint) -> dict[str, Any]:
    known: dict[str, dict[str, Any]] = {"upscale": {"scale": checkpoint.header.scale}, "denoise": {"sigma": 25.0}}
    variant = {"variant": checkpoint.header.variant} if checkpoint.header.variant else {}
    return known.get(checkpoint.header.task, {}) | variant
