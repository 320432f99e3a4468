"""Which flags are of one picture: perceptual hashes of the observed photos, looked up rather than compared one by one.

A hash has 64 bits: the signs, about their median, of the lowest 8×8 cosine coefficients of the picture at 32×32 (pHash;
Zauner 2010). What is compressed again or resized changes a few of them. Cut into five pieces, two hashes that differ
in at most four bits have one piece in common (the pigeonhole principle): that is what the database is asked for.
"""

from __future__ import annotations

import logging
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import exists, func, or_, select

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.background import in_background
from deconvdemo.feedback.store.ledger import upsert
from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import PIECES, flags, likenesses
from deconvdemo.heartbeat import Look

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

DIFFERENT_BITS = PIECES - 1  # at most so many between two of one picture
BITS = 64
SIDE, COEFFICIENTS = 32, 8
BATCH = 20

log = logging.getLogger(__name__)


def perceptual_hash(image: bytes) -> int:
    """64 bits of a PNG or WebP file."""
    from PIL import Image

    with Image.open(BytesIO(image)) as opened:
        return hash_of(opened)


def hash_of(picture: Picture) -> int:
    """64 bits of an open picture."""
    import cv2
    from PIL.Image import Resampling

    small = picture.convert("L").resize((SIDE, SIDE), Resampling.BOX, reducing_gap=2.0)
    waves = cv2.dct(np.asarray(small, np.float32))[:COEFFICIENTS, :COEFFICIENTS].ravel()
    bits = waves > np.median(waves[1:])  # without the mean, which says nothing of the picture
    return int.from_bytes(np.packbits(bits).tobytes())


class Likenesses:
    """Hashes of the flags in a store, and the families that they make."""

    def __init__(self, store: FeedbackStore):
        self.store = store
        self.look = Look()
        self._seen = 0  # the sequence number up to which every flag has its hash

    def start(self) -> None:
        """Notes new flags from here on, behind the demo, resting between."""
        in_background("likenesses", self.note, "pictures are not compared", self.look)

    def note(self, limit: int = BATCH) -> int:
        """Hashes at most `limit` flags that have no hash yet, the oldest first; returns how many it looked at."""
        known = exists().where(likenesses.c.flag_id == flags.c.flag_id)
        new = select(flags.c.sequence, flags.c.flag_id, flags.c.observed).where(flags.c.sequence > self._seen, ~known)
        with refusals("the flags cannot be read"), self.store.reading() as connection:
            rows = connection.execute(new.order_by(flags.c.sequence).limit(limit)).all()
        for row in rows:
            try:
                value = perceptual_hash(self.store.blobs.read(row.observed))
            except (FeedbackError, OSError, ValueError) as error:
                log.warning("flag %s has no likeness: %s", row.flag_id, error)  # damaged, or erased meanwhile
            else:
                self._note(row.flag_id, value)
            self._seen = row.sequence
        return len(rows)

    def family(self, flag_id: str) -> tuple[str, int]:
        """The name of a flag's family, and how many flags it has; ("", 1) as long as that is not known."""
        own = select(likenesses.c.family).where(likenesses.c.flag_id == flag_id).scalar_subquery()
        query = select(likenesses.c.family, func.count()).where(likenesses.c.family == own)
        with refusals("the flags cannot be read"), self.store.reading() as connection:
            row = connection.execute(query.group_by(likenesses.c.family)).first()
        return (row[0], row[1]) if row else ("", 1)

    def _note(self, flag_id: str, value: int) -> None:
        pieces = {f"piece{place}": piece for place, piece in enumerate(pieces_of(value))}
        alike = select(likenesses.c.hash, likenesses.c.family).where(
            or_(*(likenesses.c[name] == piece for name, piece in pieces.items()))
        )
        with refusals("the flag's likeness cannot be noted"), self.store.writing() as connection:
            nearest = (DIFFERENT_BITS + 1, flag_id)
            for found, family in connection.execute(alike):
                nearest = min(nearest, ((int(found, 16) ^ value).bit_count(), family))
            row = {"flag_id": flag_id, "hash": f"{value:016x}", "family": nearest[1], **pieces}
            # not if the flag was erased while its picture was looked at
            there = exists().where(flags.c.flag_id == flag_id)
            if connection.execute(select(there)).scalar():
                connection.execute(upsert(connection, likenesses).values(row).on_conflict_do_nothing())


def pieces_of(value: int) -> list[int]:
    """The hash in pieces of 13, 13, 13, 13 and 12 bits."""
    width = -(-BITS // PIECES)
    return [value >> place * width & (1 << width) - 1 for place in range(PIECES)]
