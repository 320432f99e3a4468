"""What meets in a duel: a photo, and two ways to restore it that a visitor cannot tell by their names.

Photos are bundled ones, which are damaged here so that the original is known, and published flags that were accepted
and marked as something that may be shown.
Bundled, from scikit-image's samples: "astronaut" and "rocket" (NASA, public domain), "cat" (Stéfan van der Walt, CC0)
and "coffee" (Rachel Michetti, CC0), cropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, func, select

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import CheckpointError
from deconvdemo.evaluation.checkpoint_restorers import CheckpointRestorers
from deconvdemo.evaluation.protocols import middle
from deconvdemo.feedback.dataset.shards import COMMITTED
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.ruling import may_be_shown
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, reviews, shards
from deconvdemo.image import PHOTOS
from deconvdemo.image.mask_reading import open_mask
from deconvdemo.image.pixels import eight_bit_rgb, to_depth
from deconvdemo.image.reading import read_photo
from deconvdemo.tasks import STANDARD, TASKS, in_words
from deconvdemo.tasks.declared import Baseline

KNOWN = {"clean": "The original", "spoilt": "The original, spoilt to see who looks"}  # kinds whose worth is known

log = logging.getLogger(__name__)

SIDE = 480  # pixels: a larger flag's photo is cropped to so much of its middle
GOLD_SHARE = 0.08  # of the duels on bundled photos: the original against a spoilt one, which tells who looks
SPOILT = 6  # pixels of the squares that a spoilt one is made of
SEEDS = 4  # so many ways to damage a bundled photo: several voters get the same pair, and it is told whether they agree
FLAG_SHARE = 0.5  # of the duels, where flags are published
CLEAN_SHARE = 0.15  # of the duels, where the original is known
CANDIDATE_SHARE = 0.5  # of the duels, where a candidate waits for its promotion: it meets what it would replace


@dataclass(frozen=True)
class Subject:
    """A photo to restore, (H, W, C) uint8, with what its task needs, and its original if that is known."""

    task: str
    observed: np.ndarray
    told: str  # what a visitor is told of it
    mask: np.ndarray | None = None
    controls: Mapping[str, Any] = field(default_factory=dict)  # what is known of it
    clean: np.ndarray | None = None
    flag_id: str = ""

    @property
    def scale(self) -> int:
        """How many times longer a result's sides are."""
        return TASKS[self.task].scale(self.controls)


# a way to restore a subject: it gives the result, and the facts that name the way, JSON-able
Contender = Callable[[Subject], tuple[np.ndarray, dict[str, Any]]]


@dataclass(frozen=True)
class DuelSampler:
    """Where subjects and contenders are found."""

    restorer: Restorer
    store: FeedbackStore
    needed: int = 1  # reviewers that a flag should have

    def tasks(self) -> list[str]:
        """Those that some weights are served for."""
        names = self.restorer.weights.names()
        return [name for name, task in TASKS.items() if task.weights(task.combinations()[0]) in names]

    def subject(self, task: str, rng: np.random.Generator) -> Subject:
        return (self._flagged(task) if rng.random() < FLAG_SHARE else None) or _bundled(task, rng)

    def pair(self, subject: Subject, rng: np.random.Generator) -> tuple[Contender, Contender]:
        """Two different contenders, in random order."""
        if subject.clean is not None and rng.random() < GOLD_SHARE:
            return (_original, _spoilt) if rng.random() < 0.5 else (_spoilt, _original)
        known, candidates = self.contenders(subject), self.candidates(subject)
        first, second = (known[i] for i in rng.permutation(len(known))[:2])
        if candidates and rng.random() < CANDIDATE_SHARE:
            variant, first = candidates[rng.integers(len(candidates))]
            second = self._network(self.restorer, variant=variant)
        elif subject.clean is not None and rng.random() < CLEAN_SHARE:
            second = _original
        return (first, second) if rng.random() < 0.5 else (second, first)

    def contenders(self, subject: Subject) -> list[Contender]:
        """The task's networks, the standard one with another setting, and the classical methods."""
        offered = self.restorer.task(subject.task)
        networks = [
            self._network(self.restorer, variant=word)
            for word, option in offered.variant.options.items()
            if option.network  # the others stand among the classical methods
            and offered.weights({**subject.controls, "variant": word}) in self.restorer.weights.names()
        ]
        altered = self._network(self.restorer, variant=STANDARD, **offered.altered)
        return [*networks, altered, *(_classical(method) for method in offered.baselines if method.title)]

    def candidates(self, subject: Subject) -> list[tuple[str, Contender]]:
        """Weights that are not promoted yet, each with the variant that it would replace."""
        found = []
        for candidate in self.restorer.weights.candidates():
            try:
                alone = self._alone.of(candidate.sha256 or "", candidate.load)
            except CheckpointError as error:
                log.warning("duels: %s; this candidate does not stand in them", error)
                continue
            header = alone.weights.load(candidate.name).header
            if (header.task, header.scale) == (subject.task, subject.scale):
                variant = header.variant or STANDARD
                found.append((variant, self._network(alone, variant=variant)))
        return found

    @cached_property
    def _alone(self) -> CheckpointRestorers:
        return CheckpointRestorers(self.restorer)

    @staticmethod
    def _network(restorer: Restorer, **controls: Any) -> Contender:
        def make(subject: Subject) -> tuple[np.ndarray, dict[str, Any]]:
            asked = {**subject.controls, **controls}
            done = restorer.restore(subject.task, subject.observed, subject.mask, **asked)
            # what was asked, not what was estimated of this photo: one contender is one contender
            facts = {"kind": "network", "checkpoint": done.checkpoint, "controls": controls}
            return done.photo.pixels, facts | _scale_of(subject)

        return make

    def shows(self, flag_id: str) -> bool:
        """Whether a flag's photo may be shown now: it may have been erased, rejected or withheld since a duel began."""
        there = select(flags.c.flag_id).join(shards, flags.c.shard == shards.c.shard)
        there = there.join(reviews, reviews.c.flag_id == flags.c.flag_id)
        with refusals("the flags cannot be read"), self.store.reading() as connection:
            return connection.execute(there.where(flags.c.flag_id == flag_id, *self._shown())).first() is not None

    def _shown(self) -> tuple[ColumnElement[bool], ...]:
        return shards.c.state == COMMITTED, may_be_shown(self.needed)

    def _flagged(self, task: str) -> Subject | None:
        """A published flag's photo that reviewers accepted and let be shown: no other is shown to anybody."""
        published = select(flags.c.flag_id).join(shards, flags.c.shard == shards.c.shard)
        published = published.join(reviews, reviews.c.flag_id == flags.c.flag_id)
        published = published.where(flags.c.task == task, *self._shown())
        with refusals("the flags cannot be read"), self.store.reading() as connection:
            flag_id = connection.execute(published.order_by(func.random()).limit(1)).scalar()
        if flag_id is None:
            return None
        flag = self.store.get(flag_id)
        with self.restorer.place(flag.observed, flag.mask):
            photo = read_photo(flag.observed)
            rows, columns = middle(photo.height, SIDE), middle(photo.width, SIDE)
            pixels = eight_bit_rgb(photo.pixels[rows, columns])
            mask = None
            if flag.mask is not None:
                mask = open_mask(flag.mask, photo.height, photo.width)[rows, columns].copy()
            del photo
        if mask is not None and (not mask.any() or mask.all()):
            return None
        return Subject(
            task, np.ascontiguousarray(pixels), "A visitor's photo, from the published dataset", mask,
            _asked(task, flag.controls), flag_id=flag_id,
        )  # fmt: skip


def words_of(facts: dict[str, Any]) -> str:
    """What a contender is, for people: from the facts that a vote keeps."""
    if facts.get("kind") in KNOWN:
        return KNOWN[facts["kind"]]
    scale = f" ×{facts['scale']}" if facts.get("scale") else ""
    if facts.get("kind") == "classical":
        titles = {method.name: method.title for task in TASKS.values() for method in task.baselines if method.title}
        return titles.get(facts.get("method", ""), str(facts.get("method"))) + scale
    checkpoint, controls = facts.get("checkpoint") or {}, facts.get("controls") or {}
    altered = in_words({name: value for name, value in controls.items() if name != "variant"})
    name = f"{checkpoint.get('name', 'network')} {str(checkpoint.get('sha256', ''))[:8]}"
    return ", ".join([name + scale, *altered])


def _bundled(task: str, rng: np.random.Generator) -> Subject:
    chosen, files = TASKS[task], sorted(PHOTOS.glob("*.webp"))
    clean = read_photo(files[rng.integers(len(files))]).pixels
    values = {name: chosen.duelled.get(name, axis.values) for name, axis in chosen.axes().items()}
    setting = {name: several[rng.integers(len(several))] for name, several in values.items()}
    made = chosen.degraded(clean, setting, int(rng.integers(SEEDS)))
    observed = to_depth(made.observed, np.uint8)
    return Subject(task, observed, made.told, made.mask, made.controls, made.clean)


def _asked(task: str, controls: Mapping[str, Any]) -> dict[str, Any]:
    """What a flag's visitor had set of that without which nothing can be restored, such as the scale."""
    axes = TASKS[task].axes()
    needed = [one for one in TASKS[task].controls if one.name in axes and one.default is not None]
    return {one.name: one.checked(controls.get(one.name) or one.default) for one in needed}


def _classical(method: Baseline) -> Contender:
    def make(subject: Subject) -> tuple[np.ndarray, dict[str, Any]]:
        told = TASKS[subject.task].told(subject.observed, subject.controls, subject.mask)
        return method.restore(subject.observed, *told), {"kind": "classical", "method": method.name} | _scale_of(
            subject
        )

    return make


def _original(subject: Subject) -> tuple[np.ndarray, dict[str, Any]]:
    assert subject.clean is not None  # `pair` has looked
    return subject.clean, {"kind": "clean"} | _scale_of(subject)


def _spoilt(subject: Subject) -> tuple[np.ndarray, dict[str, Any]]:
    """The original in squares of one colour: who looks does not choose it."""
    assert subject.clean is not None  # `pair` has looked
    height, width = subject.clean.shape[:2]
    rows, columns = (np.minimum(np.arange(side) // SPOILT * SPOILT + SPOILT // 2, side - 1) for side in (height, width))
    return subject.clean[rows][:, columns], {"kind": "spoilt"} | _scale_of(subject)


def _scale_of(subject: Subject) -> dict[str, int]:
    """Enlarging by two and by three are different tasks: who does the one well is another contender in the other."""
    return {"scale": subject.scale} if subject.scale > 1 else {}
