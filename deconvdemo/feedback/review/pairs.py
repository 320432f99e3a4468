"""What accepted flags teach: pairs of what a network sees and what it should give.

Nothing is ever trained on a network's own output (law 8). A pair exists where a clean target does: the visitor's, or
one that a reviewer uploaded. Without one, an accepted photo still teaches what it shows itself: an upscaled photo is
the target of its own smaller copy, an inpainted one of holes cut into its known pixels, and a noisy one is denoised by
predicting one of two neighbouring pixels from the other. Flags that reviewers did not all accept, and erased ones, are
not there; without consent none was ever stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, or_, select

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.copied import copy_of
from deconvdemo.feedback.dataset.shards import COMMITTED
from deconvdemo.feedback.events.opinions import StoredVerdict
from deconvdemo.feedback.events.records import Pair
from deconvdemo.feedback.review.frozen_pairs import FrozenPairs
from deconvdemo.feedback.review.lesson import NoLessonError, pair_of
from deconvdemo.feedback.review.likeness import Likenesses
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.review.targets import targets
from deconvdemo.feedback.review.view import View
from deconvdemo.feedback.store.about import told
from deconvdemo.feedback.store.blobs import DamagedBlobError
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.standing import newest_verdicts
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import about, flags, shards, verdicts

BEGINNING = datetime.min.replace(tzinfo=UTC)
HELD_OUT = 5  # one family of flags in so many is kept from training: the gate judges by them


@dataclass(frozen=True)
class Snapshot:
    """Exactly what was used: `name` says how many flags they are of, and when the newest of what they show was given.

    `revision` is the dataset's commit that teaches the same, or "" as long as it does not have all that was said; for
    a store that was imported from one, with the dataset's name: hf://datasets/owner/name@commit.
    """

    task: str
    scale: int
    pairs: FrozenPairs
    name: str
    revision: str
    skipped: tuple[str, ...]  # a sentence for each accepted flag that teaches nothing


def snapshot(store: FeedbackStore, task: str, scale: int = 1, needed: int = 1, held_out: bool = False) -> Snapshot:
    """The pairs of a task's accepted flags; `held_out`: those that are kept from training, in place of the others.

    A flag is held back with all others of its picture. FeedbackError for nothing at all.
    """
    likenesses = Likenesses(store)
    while likenesses.note():
        pass
    found, skipped, newest = FrozenPairs(store.folder), [], BEGINNING
    # by their ids: stores that took the flags in at other times, or in another order, have them in the same
    for flag_id in sorted(ReviewQueue(store, needed).all(View(status="accepted", task=task))):
        if is_held_out(likenesses.family(flag_id)[0] or flag_id) != held_out:
            continue
        try:
            pair, given = _lesson(store, flag_id, task, scale)
            found.add(pair)
            newest = max(newest, given)
        except NoLessonError as error:
            skipped.append(f"flag {flag_id}: {error}")
        except DamagedBlobError as error:
            skipped.append(str(error))
    if not found:
        which = "held-back " if held_out else ""
        why = f": {skipped[0]}" if skipped else ": accept some on /review first"
        raise FeedbackError(f"no {which}accepted flag of {task} teaches anything yet{why}")
    revision = copy_of(store) or _published(store, task)
    of = f"{task} ×{scale}" if scale > 1 else task
    name = f"{len(found)} flag{'s' * (len(found) > 1)} of {of} up to {newest.isoformat()}"
    return Snapshot(task, scale, found, name, revision, tuple(skipped))


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


def _lesson(store: FeedbackStore, flag_id: str, task: str, scale: int) -> tuple[Pair, datetime]:
    """What a flag teaches, and when the newest of its images was given.

    NoLessonError if it is nothing, DamagedBlobError if its images are not what was stored.
    """
    flag = store.get(flag_id)
    given = list(_accepting(store, flag_id))
    target = targets(store, [flag_id]).get(flag_id)
    pair = pair_of(flag, given, store.blobs.read(target) if target else None, task, scale)
    return pair, max([flag.created_at, *(verdict.created_at for verdict in given if verdict.images)])


def _accepting(store: FeedbackStore, flag_id: str) -> Iterator[StoredVerdict]:
    """The verdicts that stand and accept the flag, the newest last."""
    newest = newest_verdicts([flag_id], "verdict_id", "created_at", "sequence")
    query = select(newest.c.verdict_id).where(newest.c.decision == "accept")
    with refusals("the verdicts cannot be read"), store.reading() as connection:
        ids = connection.execute(query.order_by(newest.c.created_at, newest.c.sequence)).scalars().all()
    return (store.get(verdict_id, "verdicts") for verdict_id in ids)


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
    return told(store, about.c.head) or ""
