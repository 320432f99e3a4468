"""Turning a kept result and what a visitor says of it into a stored flag."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from deconvdemo.engine.admission import Admission, expected_bytes
from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.records import MAX_TOKEN, REASONS, Acknowledgement, Flag, bound_token
from deconvdemo.feedback.store.limits import FlagLimits
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.image.apart import STRANGERS
from deconvdemo.image.lossless import lossless
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import encode_photo
from deconvdemo.web.restore.results import Kept, Results
from deconvdemo.web.server.leaving import asker


@dataclass(frozen=True)
class Flagging:
    """Where results are, and where flags go; `max_pixels` bounds what comes with a flag, `limits` how many come."""

    results: Results
    store: FeedbackStore
    max_pixels: int
    limits: FlagLimits | None = None
    behind_proxy: bool = False
    admission: Admission = field(default_factory=Admission)

    def add(
        self,
        restoration_id: str,
        reasons: Sequence[str],
        comment: str = "",
        consent: bool = False,
        clean: Any = None,
        region: Any = None,
        client_token: str = "",
        address: str = "",
    ) -> Acknowledgement:
        """Stores one flag and returns its acknowledgement. Raises FeedbackError or PhotoError, in one sentence.

        `address` is the visitor's; a hash of the day stands for it. What is known already counts towards no limit.
        A `client_token` counts within this result alone, whose id nobody but its owner has: another visitor who sends
        the same one learns nothing. Without one the flag's content is its token: the same flag twice is stored once.
        """
        kept = self.results.get(restoration_id)
        if not isinstance(reasons, list | tuple) or not all(isinstance(reason, str) for reason in reasons):
            raise FeedbackError(f"reasons are a list of names: choose among {', '.join(REASONS)}")
        mask = self.results.read(kept, kept.mask) if kept.mask else None
        with self._place(clean, region):
            clean_file = self._clean(kept, clean)
            region_file = self._region(kept, region)
        if len(client_token) > MAX_TOKEN:
            raise FeedbackError(f"a client token has at most {MAX_TOKEN} characters: send a shorter one")
        said = [restoration_id, client_token] if client_token else [restoration_id, *sorted(reasons), comment]
        files = [] if client_token else [clean_file or b"", region_file or b""]
        token = bound_token(*said, *files)
        flag = Flag(
            task=kept.task,
            observed=self.results.read(kept, kept.observed),
            restored=self.results.read(kept, kept.restored),
            mask=mask,
            clean=clean_file,
            region=region_file,
            reasons=tuple(reasons),
            comment=comment,
            controls=kept.controls,
            checkpoint=kept.checkpoint,
            consent=consent,
            client_token=token,
            visitor=self.limits.visitor(address) if self.limits else "",
        )
        if self.limits and not self.store.has(flag):
            visitor = self.limits.visitor_before(address) if client_token else ""
            if visitor and (earlier := self.store.stored_before(flag, client_token, visitor=visitor)):
                return earlier
            self.limits.check("flags", flag.visitor)
        return self.store.add(flag)

    def _place(self, *files: Any) -> AbstractContextManager[Any]:
        """To open what comes with a flag in; most come with nothing."""
        if all(file is None for file in files):
            return nullcontext()
        return self.admission.place(expected_bytes(files, 1, self.max_pixels), asker(self.behind_proxy))

    def _clean(self, kept: Kept, clean: Any) -> bytes | None:
        if clean is None:
            return None
        photo = STRANGERS.open(clean, self.max_pixels)
        if (photo.width, photo.height) != (kept.width, kept.height):
            raise FeedbackError(
                f"the clean version is {photo.width}×{photo.height} but the result is {kept.width}×{kept.height}: "
                "give one of the same size"
            )
        return lossless(photo)

    def _region(self, kept: Kept, region: Any) -> bytes | None:
        if region is None:
            return None
        painted, _ = STRANGERS.read_mask(region, kept.height, kept.width, self.max_pixels)
        return encode_photo(read_photo(painted.astype("uint8") * 255), "PNG") if painted.any() else None
