"""What accepted flags teach: pairs of what a network sees and what it should give.

Nothing is ever trained on a network's own output (law 8). A pair exists where a clean target does: the visitor's, or
one that a reviewer uploaded. Without one, an accepted photo still teaches what it shows itself: an upscaled photo is
the target of its own smaller copy, an inpainted one of holes cut into its known pixels, and a noisy one is denoised by
predicting one of two neighbouring pixels from the other. Flags that reviewers did not all accept, and erased ones, are
not there; without consent none was ever stored.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from sqlalchemy import func, or_, select

from deconvdemo.bounded import clipped
from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.catch_up import HEAD
from deconvdemo.feedback.dataset.copied import copy_of
from deconvdemo.feedback.dataset.shards import COMMITTED
from deconvdemo.feedback.events.imagefile import UNREADABLE, rgb_pixels
from deconvdemo.feedback.events.opinions import StoredVerdict
from deconvdemo.feedback.events.records import HOLES, NOISY, SELF, TARGET, Pair, StoredFlag
from deconvdemo.feedback.review.likeness import Likenesses
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.review.view import View
from deconvdemo.feedback.review.targets import targets
from deconvdemo.feedback.store.blobs import DamagedBlobError
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, shards, verdicts

HELD_OUT = 5  # one family of flags in so many is kept from training: the gate judges by them


@dataclass(frozen=True)
class Snapshot:
    """Exactly what was used: `name` follows from the pairs' images alone, so equal names are equal pairs.

    `revision` is the dataset's commit that teaches the same, or "" as long as it does not have all that was said; for
    a store that was imported from one, with the dataset's name: hf://datasets/owner/name@commit.
    """

    task: str
    scale: int
    pairs: tuple[Pair, ...]
    name: str
    revision: str
    skipped: tuple[str, ...]  # a sentence for each accepted flag that teaches nothing

    @property
    def counts(self) -> dict[str, int]:
        """Kind → pairs."""
        return dict(Counter(pair.kind for pair in self.pairs))


def snapshot(store: FeedbackStore, task: str, scale: int = 1, needed: int = 1, held_out: bool = False) -> Snapshot:
    """The pairs of a task's accepted flags; `held_out`: those that are kept from training, in place of the others.

    A flag is held back with all others of its picture. FeedbackError for nothing at all.
    """
    found, skipped, lines = [], [], []
    likenesses = Likenesses(store)
    while likenesses.note():
        pass
    # by their ids: stores that took the flags in at other times, or in another order, have them in the same
    for flag_id in sorted(ReviewQueue(store, needed).all(View(status="accepted", task=task))):
        if is_held_out(likenesses.family(flag_id)[0] or flag_id) != held_out:
            continue
        try:
            flag = store.get(flag_id)
            given = list(_standing(store, flag_id))
            target = targets(store, [flag_id]).get(flag_id)
            clean = store.blobs.read(target) if target else None
        except DamagedBlobError as error:
            skipped.append(str(error))
            continue
        try:
            made: Pair | str = _pair(flag, given, clean, task, scale)
        except UNREADABLE as error:
            made = f"its images cannot be decoded ({clipped(str(error))})"
        if isinstance(made, str):
            skipped.append(f"flag {flag_id}: {made}")
            continue
        found.append(made)
        digest = _digest(made.observed, made.target, made.mask, made.region)
        lines.append(f"{flag_id} {made.kind} {made.sigma} {digest}")
    if not found:
        which = "held-back " if held_out else ""
        why = f": {skipped[0]}" if skipped else ": accept some on /review first"
        raise FeedbackError(f"no {which}accepted flag of {task} teaches anything yet{why}")
    name = "snapshot " + hashlib.sha256("\n".join([f"{task} {scale}", *lines]).encode()).hexdigest()[:16]
    revision = copy_of(store) or _published(store, task)
    return Snapshot(task, scale, tuple(found), name, revision, tuple(skipped))


def objections(store: FeedbackStore, flag_ids: list[str], task: str, needed: int = 1) -> list[str]:
    """Why weights that learned from these flags must not serve: a sentence for each flag that should not be there."""
    accepted = set(ReviewQueue(store, needed).all(View(status="accepted", task=task)))
    likenesses, found = Likenesses(store), []
    for flag_id in flag_ids:
        if store.erased(flag_id):
            found.append(f"it learned from flag {flag_id}, which was erased")
        elif flag_id not in accepted:
            found.append(f"it learned from flag {flag_id}, which reviewers have not accepted")
        elif is_held_out(likenesses.family(flag_id)[0] or flag_id):
            found.append(f"it learned from flag {flag_id}, by which it is to be judged")
    return found


def is_held_out(family: str) -> bool:
    """By the name of a family alone: a flag never changes sides."""
    return hashlib.sha256(family.encode()).digest()[0] % HELD_OUT == 0


def _standing(store: FeedbackStore, flag_id: str) -> Iterator[StoredVerdict]:
    """The newest verdict of each reviewer, the newest last."""
    query = select(verdicts.c.verdict_id).where(verdicts.c.flag_id == flag_id)
    with refusals("the verdicts cannot be read"), store.reading() as connection:
        ids = connection.execute(query.order_by(verdicts.c.created_at, verdicts.c.sequence)).scalars().all()
    newest: dict[str, StoredVerdict] = {}
    for verdict_id in ids:
        verdict = store.get(verdict_id, "verdicts")
        newest.pop(verdict.reviewer, None)
        newest[verdict.reviewer] = verdict
    return (verdict for verdict in newest.values() if verdict.decision == "accept")


def _pair(flag: StoredFlag, given: list[StoredVerdict], clean: bytes | None, task: str, scale: int) -> Pair | str:
    """The flag's pair, or why there is none."""
    asked = str(flag.controls.get("scale") or 1) if task == "upscale" else "1"
    if asked != str(scale):
        return f"it is of ×{clipped(asked, 20)}, not ×{scale}"
    observed = rgb_pixels(flag.observed)
    target = rgb_pixels(clean) if clean else None
    size = (observed.shape[0] * scale, observed.shape[1] * scale)
    if target is not None and target.shape[:2] != size:
        return f"its target is {target.shape[1]}×{target.shape[0]}, not {size[1]}×{size[0]}"
    painted = [verdict.region for verdict in given] if any(verdict.region for verdict in given) else [flag.region]
    regions = [_holes(file, size) for file in painted if file]
    region = np.any(regions, axis=0) if regions else None
    mask = None
    if task == "inpaint":
        corrected = [verdict.mask for verdict in given if verdict.mask]
        file = corrected[-1] if corrected else flag.mask
        if file is None:
            return "it has no mask"
        mask = _holes(file, observed.shape[:2])
        if not mask.any() or mask.all():
            return "its mask leaves nothing to learn from"
    told = flag.controls.get("sigma")
    sigma = float(told) if isinstance(told, int | float) and 0 <= told <= 255 else None
    if target is not None:
        return Pair(flag.flag_id, TARGET, observed, target, mask, region, sigma)
    kind = {"upscale": SELF, "inpaint": HOLES, "denoise": NOISY}.get(task)
    if kind is None:
        return f"{task} learns from targets alone, and it has none"
    own = observed if kind != NOISY else None
    return Pair(flag.flag_id, kind, observed, own, mask, None if kind == SELF else region, sigma)


def _published(store: FeedbackStore, task: str) -> str:
    """The dataset's newest commit, if it has every verdict on flags of the task, and the flags."""
    said, shown = shards.alias(), shards.alias()
    judged = verdicts.join(flags, flags.c.flag_id == verdicts.c.flag_id)
    both = judged.outerjoin(said, said.c.shard == verdicts.c.shard).outerjoin(shown, shown.c.shard == flags.c.shard)
    waits = or_(*(func.coalesce(file.c.state, "") != COMMITTED for file in (said, shown)))
    waiting = select(verdicts.c.sequence).select_from(both).where(flags.c.task == task, waits).limit(1)
    with refusals("the published files cannot be looked up"), store.reading() as connection:
        if connection.execute(waiting).first():
            return ""
    return store.word(HEAD) or ""


def _holes(file: bytes, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    with Image.open(BytesIO(file)) as opened:
        return np.asarray(opened.convert("L").resize((size[1], size[0]), Image.Resampling.NEAREST)) > 127


def _digest(*arrays: Any) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        shown = (b"none",) if array is None else (repr((array.shape, array.dtype.str)).encode(), array.tobytes())
        for part in shown:
            digest.update(part)
    return digest.hexdigest()
