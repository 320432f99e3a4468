"""What the first click gives: photos as people's are, restored by the defaults, each network and classical methods.

A mean hides the photo that was ruined: beside it stand the photo that lost most against doing nothing (for
super-resolution: against bicubic), and the share of those that lost at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.evaluation import cost
from deconvdemo.evaluation.evaluate import classical_method, result
from deconvdemo.evaluation.protocols import WILD, Case, Values, each_case, has_cases, has_images
from deconvdemo.image.metrics import LARGEST
from deconvdemo.image.pixels import to_depth
from deconvdemo.tasks import STANDARD, TASKS
from deconvdemo.version import __version__

FIRST_CLICK = "first click"  # a method: what the page gives whoever changes nothing
SETS = ("cbsd68", "polyu", "wild")  # of a folder of sets: clean photos, a camera's pairs, and ready pairs of any origin
SAME = 0.005  # dB and less is printed as no difference

Restored = tuple[np.ndarray, str]  # pixels, and the name of the weights that made them; "" for a classical method


@dataclass(frozen=True)
class WildPlan:
    """What to measure. `images`: a folder of images, or of sets; `methods`: names, "network" too (None: the quick)."""

    images: Path
    tasks: Sequence[str] = ()  # empty: all that have such photos
    values: Values = field(default_factory=dict)
    methods: Sequence[str] | None = None
    first: int | None = None  # only so many images of each set

    def chosen_tasks(self) -> list[str]:
        """Raises ControlError for one that has no such photos."""
        have = [task.name for task in TASKS.values() if task.wild]
        if wrong := [name for name in self.tasks if name not in have]:
            raise ControlError(f"there are no wild photos for {wrong[0]!r}: evaluate {' or '.join(have)}")
        return list(self.tasks) or have

    def checked(self) -> None:
        """Raises ControlError for a method that none of the tasks has, and for a severity that there is not."""
        tasks = [TASKS[name] for name in self.chosen_tasks()]
        for name in self.methods or ():
            if name != "network" and not any(name == one.name for task in tasks for one in task.baselines):
                tasks[0].baseline(name)
        for task in tasks:
            for name, axis in task.wild.items():
                for value in self.values.get(name, ()):
                    if value not in axis.values:
                        known = ", ".join(map(str, axis.values))
                        raise ControlError(f"--{name} is {value}, but wild photos have {axis.words} {known}")

    def classical(self, task: str) -> list[str]:
        """After the first, which restores nothing and is always there."""
        _, *others = TASKS[task].baselines
        return [one.name for one in others if (one.quick if self.methods is None else one.name in self.methods)]

    @property
    def networks(self) -> bool:
        return self.methods is None or "network" in self.methods


def wild(restorer: Restorer, plan: WildPlan, say: Callable[[str], None]) -> dict[str, Any]:
    """A row for each task, set, setting and method, as JSON-able values; the method that restores nothing comes first.

    Raises TrainingError where there is nothing to measure on, and ControlError for what is not there.
    """
    plan.checked()
    machine = cost.Machine.this(restorer.compute_on.device)
    rows = []
    for task in plan.chosen_tasks():
        for folder in sets_for(task, plan.images, plan.values):
            say(f"{task}: {folder.name}")
            rows += _rows(task, folder, restorer, plan)
    if not rows:
        raise TrainingError(
            f"{plan.images} has no images for {' or '.join(plan.chosen_tasks())}: --images takes a folder of clean "
            f"photos, of pairs, or of folders named {', '.join(SETS)}"
        )
    return {
        "deconvdemo": __version__,
        "machine": {**asdict(machine), "busy": machine.busy},
        "precision": restorer.compute_on.precision,
        "rows": rows,
    }


def sets_for(task: str, images: Path, values: Values) -> list[Path]:
    """`images` itself, or those of SETS in it; without those that have nothing for this task and scale."""
    if not images.is_dir():
        raise TrainingError(f"{images} is not a folder: --images takes a folder of clean photos, or of such folders")
    there = {path.name.lower(): path for path in sorted(images.iterdir()) if path.is_dir()}
    found = [images] if has_images(images) else [there[name] for name in SETS if name in there]
    return [folder for folder in found if has_cases(task, folder, values)]


def _rows(task: str, folder: Path, restorer: Restorer, plan: WildPlan) -> list[dict[str, Any]]:
    from tqdm import tqdm

    tallies: dict[tuple[str, str], Tally] = {}
    cases = each_case(task, folder, plan.values, WILD, plan.first)
    for case in tqdm(cases, desc=f"{task}, {folder.name}", unit="photo", disable=None, leave=False):
        plain: dict[str, float] | None = None
        for method, (pixels, weights) in _all_of(task, case, restorer, plan):
            scores = {name: min(value, LARGEST) for name, value in case.score(to_depth(pixels, np.uint8)).items()}
            plain = plain or scores
            tallies.setdefault((case.setting, method), Tally()).add(case.image, scores, plain, weights)
    return [
        {"task": task, "set": folder.name, "setting": setting, "method": method, **tally.row()}
        for (setting, method), tally in tallies.items()
    ]


def _all_of(task: str, case: Case, restorer: Restorer, plan: WildPlan) -> Iterator[tuple[str, Restored]]:
    """What each method makes of a photo; first of all what is there without any."""
    nothing = TASKS[task].baselines[0].name
    yield nothing, (classical_method(task, nothing)(case), "")
    if plan.networks:
        yield from _networks(task, case, restorer)
    for name in plan.classical(task):
        yield name, (classical_method(task, name)(case), "")


def _networks(task: str, case: Case, restorer: Restorer) -> Iterator[tuple[str, Restored]]:
    """The page's default, asked as the page asks, and then each network that could have been chosen."""
    offered = restorer.task(task)
    first = _restored(restorer, task, case)
    yield FIRST_CLICK, first
    for choices in offered.served:
        another = any(choices.get(name, value) != value for name, value in case.controls.items())  # scale
        if another or offered.weights(choices) not in restorer.weights.names():
            continue
        variant = choices["variant"]
        name = "network" if variant == STANDARD else f"network, {variant}"
        # a default that is one of the networks was asked already
        same = variant == offered.variant.default
        yield name, first if same else _restored(restorer, task, case, variant=variant)


def _restored(restorer: Restorer, task: str, case: Case, **chosen: str) -> Restored:
    restoration = restorer.restore(task, case.brought, **case.controls, **chosen)
    return result(restoration, case), restoration.checkpoint["name"]


@dataclass
class Tally:
    """One method at one setting: its figures, photo by photo, and how far they lie from those of doing nothing."""

    images: list[str] = field(default_factory=list)
    scores: list[Mapping[str, float]] = field(default_factory=list)
    gains: list[Mapping[str, float]] = field(default_factory=list)
    weights: Counter[str] = field(default_factory=Counter)

    def add(self, image: str, scores: Mapping[str, float], plain: Mapping[str, float], weights: str) -> None:
        self.images.append(image)
        self.scores.append(scores)
        self.gains.append({name: scores[name] - plain[name] for name in scores})
        self.weights.update([weights] if weights else [])

    def row(self) -> dict[str, Any]:
        """ "worst": by measure, the photo that lost most (or won least) and by how much; "below": a share."""
        return {
            "images": len(self.images),
            "measured": {name: _mean(score[name] for score in self.scores) for name in self.scores[0]},
            "gain": {name: _mean(gain[name] for gain in self.gains) for name in self.gains[0]},
            "worst": {name: self._worst(name) for name in self.gains[0]},
            "below": round(float(np.mean([gain["PSNR"] < -SAME for gain in self.gains])), 4),
            "weights": dict(self.weights.most_common()),
        }

    def _worst(self, measure: str) -> dict[str, Any]:
        lost, image = min((gain[measure], image) for gain, image in zip(self.gains, self.images, strict=True))
        return {"image": image, "gain": round(lost, 4)}


def _mean(values: Iterator[float]) -> float:
    return round(float(np.mean(list(values))), 4)
