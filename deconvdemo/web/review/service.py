"""What a reviewer works with: a flag's facts, its images small and large, results with other settings, and verdicts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from deconvdemo.engine.admission import Admission, expected_bytes
from deconvdemo.engine.restoration import Restoration
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import FeedbackError
from deconvdemo.evaluation.replaying import run_again, scale_of
from deconvdemo.feedback.events.imagefile import rgb_pixels
from deconvdemo.feedback.events.opinions import WITHHOLDING, Verdict
from deconvdemo.feedback.events.records import Acknowledgement, StoredFlag, bound_token
from deconvdemo.feedback.exchange.annotation_export import FORMATS
from deconvdemo.feedback.review.gold_items import GoldItems
from deconvdemo.feedback.review.likeness import Likenesses
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.review.view import View
from deconvdemo.feedback.store.ruling import LEFT_OUT
from deconvdemo.image.lossless import lossless
from deconvdemo.redaction import for_strangers
from deconvdemo.web.components.painter import mask_file
from deconvdemo.web.review.measured import measured
from deconvdemo.web.review.sent import painted_of, size_of, target_of
from deconvdemo.web.review.thumbnails import Thumbnails

MOST_AT_ONCE = 100  # flags in one bulk verdict


@dataclass(frozen=True)
class ReviewService:
    """The queue, and the network that serves now. Errors are FeedbackError, PhotoError and ControlError."""

    queue: ReviewQueue
    restorer: Restorer
    max_pixels: int
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    admission: Admission = field(default_factory=Admission)

    @property
    def store(self):
        return self.queue.store

    def page(self, view: View, reviewer: str, after: str, limit: int) -> list[str]:
        """A page of the reviewer's queue, catch items among it."""
        ids = self.queue.ids(view, reviewer, after, limit)
        return GoldItems(self.store).mixed(self.queue, ids, view, reviewer)

    def facts(self, flag_id: str, reviewer: str, owner: bool = False) -> dict[str, Any]:
        """What the page says of a flag, JSON-able. `catch` is its truth, for whoever may know it."""
        flag = self.store.get(flag_id)
        family, alike = Likenesses(self.store).family(flag_id)
        verdict_id, mine = self.queue.own(flag_id, reviewer)
        facts = {
            **_short(flag),
            "controls": flag.controls,
            "checkpoint": flag.checkpoint,
            "images": {role: size_of(data) for role, data in flag.images.items()},
            "family": family,
            "alike": alike - 1,
            "mine": mine,
            "my_verdict": {},
            "opinions": None,
            "catch": GoldItems(self.store).told([flag_id], reviewer, owner).get(flag_id, ""),
        }
        if mine:
            # what others think is told to those who have said what they think
            opinions = self.queue.opinions(flag_id)
            consensus = opinions.consensus(self.queue.needed)
            ruling = self.queue.ruling(flag_id)
            facts["opinions"] = {
                **asdict(opinions),
                "disputed": opinions.disputed,
                "consensus": consensus,
                "why": ruling.comment if ruling else "",
            }
            verdict = self.store.get(verdict_id, "verdicts")
            sizes = {role: size_of(data) for role, data in verdict.images.items()}
            facts["my_verdict"] = {
                "verdict_id": verdict_id,
                "images": sizes,
                "target": verdict.target,
                "reasons": list(verdict.reasons),
                "comment": verdict.comment,
                "may_be_shown": verdict.may_be_shown,
            }
        return facts

    def cards(self, flag_ids: list[str], reviewer: str, owner: bool = False) -> list[dict[str, Any]]:
        """What the grid says of each of these flags; those that are gone are left out."""
        likenesses, cards = Likenesses(self.store), []
        truths = GoldItems(self.store).told(flag_ids[:MOST_AT_ONCE], reviewer, owner)
        for flag_id in flag_ids[:MOST_AT_ONCE]:
            try:
                flag = self.store.get(flag_id, with_images=False)
            except FeedbackError:
                continue
            family, alike = likenesses.family(flag_id)
            verdict_id, mine = self.queue.own(flag_id, reviewer)
            card = {**_short(flag), "family": family, "alike": alike - 1, "mine": mine, "verdict_id": verdict_id}
            cards.append({**card, "comment": flag.comment[:200], "catch": truths.get(flag_id, "")})
        return cards

    def image(self, flag_id: str, role: str, small: bool = False) -> bytes:
        if not small:
            return self.store.image(flag_id, role)
        self.queue.require(flag_id)  # a small picture may be kept of a flag that is erased by now
        return self.thumbnails.of((flag_id, role), lambda: self.store.image(flag_id, role), self._place)

    def verdict_image(self, verdict_id: str, role: str, reviewer: str) -> bytes:
        """An image of a verdict, for its author and for those who have judged the flag themselves."""
        verdict = self.store.get(verdict_id, "verdicts", with_images=False)
        if verdict.reviewer != reviewer and not self.queue.mine(verdict.flag_id, reviewer):
            raise FeedbackError("judge this flag first: what others think is shown to those who have")
        return self.store.image(verdict_id, role, "verdicts")

    def metrics(self, flag_id: str) -> dict[str, Any]:
        """PSNR in dB and SSIM of what went in and what came out, where the visitor gave a clean version."""
        flag = self.store.get(flag_id)
        with self._place(flag.observed, flag.restored, flag.clean):
            return {role: self._measured(flag, getattr(flag, role)) for role in ("observed", "restored")}

    def rerun(self, flag_id: str, asked: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
        """The flag's photo restored by the weights that serve now, as a lossless file, and the report.

        `asked`: `controls`, those left out as the flag had them, and `mask`, a painter's value in place of the flag's.
        """
        flag, controls = self.store.get(flag_id), asked.get("controls") or {}
        if not isinstance(controls, dict):
            raise FeedbackError("controls are a dictionary of names and values: reload the page")
        mask = painted_of(asked.get("mask"), size_of(flag.observed), self.max_pixels)
        with self._place(flag.observed, flag.clean, scale=scale_of(flag)):
            restoration = run_again(self.restorer, flag, controls, mask)
            result = lossless(restoration.photo)
            return result, {**_report(restoration), "metrics": self._measured(flag, result)}

    def give(
        self, reviewer: str, said: Mapping[str, Any], clean: bytes | None, owner: bool = False
    ) -> tuple[Acknowledgement, Verdict]:
        """Stores a verdict. `said` is what the page sends; `clean` an image file of any kind, of the result's size. An
        owner's decides."""
        flag_id, decision, comment, token = (
            str(said.get(name, "")) for name in ("flag_id", "decision", "comment", "client_token")
        )
        if said.get("back_to"):
            return self._given_again(reviewer, flag_id, str(said["back_to"]), token, owner)
        reasons, target = said.get("reasons") or (), said.get("target") or {}
        if not isinstance(reasons, list | tuple) or not isinstance(target, dict):
            raise FeedbackError("a verdict's reasons are a list and its target a dictionary: reload the page")
        images: dict[str, Any] = {}
        if decision in WITHHOLDING:  # one key is enough for it, whatever was painted before
            said, clean = {**said, "mask": None, "region": None}, None
        if clean is not None or said.get("mask") or said.get("region"):
            self.queue.require(flag_id)
            flag = self.store.get(flag_id)
            with self._place(flag.restored, clean):
                images = {
                    "clean": target_of(clean, size_of(flag.restored), self.max_pixels),
                    "mask": self._mask_file(said.get("mask"), flag.observed),
                    "region": self._mask_file(said.get("region"), flag.restored),
                }
        verdict = Verdict(
            flag_id=flag_id,
            reviewer=reviewer,
            decision=decision,
            reasons=tuple(map(str, reasons)),
            comment=comment,
            target=target if clean is not None else {},
            may_be_shown=said.get("may_be_shown") is True,
            adjudicates=owner,
            client_token=bound_token(reviewer, flag_id, token) if token else "",
            **images,
        )
        if token and (earlier := self.store.stored_before(verdict, f"{reviewer} {token}"[:200], reviewer=reviewer)):
            return earlier, verdict
        return self.queue.decide(verdict), verdict

    def _given_again(
        self, reviewer: str, flag_id: str, verdict_id: str, token: str, owner: bool
    ) -> tuple[Acknowledgement, Verdict]:
        """What one reviewer said of a flag before stands again, with all that went with it: as a new verdict."""
        before = self.store.get(verdict_id, "verdicts")
        if (before.reviewer, before.flag_id) != (reviewer, flag_id):
            raise FeedbackError("this verdict is not one of yours on this flag: reload the page")
        kept = {name: getattr(before, name) for name in ("decision", "reasons", "comment", "target", "may_be_shown")}
        verdict = Verdict(
            flag_id=flag_id,
            reviewer=reviewer,
            adjudicates=owner,
            client_token=bound_token(reviewer, flag_id, token) if token else "",
            **kept,
            **before.images,
        )
        return self.queue.decide(verdict), verdict

    def give_several(self, reviewer: str, said: Mapping[str, Any], owner: bool = False) -> dict[str, Any]:
        """Verdicts of a page that is being left, one after another: how many were stored. What is none is left out."""
        verdicts = said.get("said")
        if not isinstance(verdicts, list) or not 0 < len(verdicts) <= MOST_AT_ONCE:
            raise FeedbackError(f"send from 1 to {MOST_AT_ONCE} verdicts")
        stored = 0
        for one in (one for one in verdicts if isinstance(one, dict)):
            with suppress(FeedbackError):  # nobody is there any more to be told; the next page asks for it again
                if "flag_ids" in one:
                    stored += len(self.give_many(reviewer, one, owner)["saved"])
                else:
                    self.give(reviewer, one, None, owner)
                    stored += 1
        return {"stored": stored}

    def give_many(self, reviewer: str, said: Mapping[str, Any], owner: bool = False) -> dict[str, Any]:
        """One decision on many flags: which were saved, and why the others were not."""
        flag_ids = said.get("flag_ids")
        if not isinstance(flag_ids, list) or not 0 < len(flag_ids) <= MOST_AT_ONCE:
            raise FeedbackError(f"choose from 1 to {MOST_AT_ONCE} flags")
        saved, refused = [], {}
        for flag_id in map(str, flag_ids):
            token = f"{said.get('client_token', '')}-{flag_id}"
            try:
                self.give(reviewer, {**said, "flag_id": flag_id, "client_token": token}, None, owner)
                saved.append(flag_id)
            except FeedbackError as error:
                refused[flag_id] = str(error)
        return {"saved": saved, "refused": refused}

    def zipped(self, view: View, reviewer: str, form: str, owner: bool = False) -> Path:
        """The flags of a view as a ZIP file in a temporary folder of its own, which the caller removes.

        Without those that were rejected or are withheld, and with what others think of those alone that the reviewer
        has judged; an owner gets what is asked for.
        """
        if form not in FORMATS:
            raise FeedbackError(f"{form!r} is not a format: choose among {', '.join(FORMATS)}")
        folder = Path(mkdtemp(prefix="deconvdemo-"))
        try:
            name = f"deconvdemo-flags-{form}"
            chosen = self.queue.all(view, reviewer)
            if owner:
                FORMATS[form](self.store, folder / name, chosen)
            else:
                FORMATS[form](self.store, folder / name, self.queue.without(LEFT_OUT, chosen), reader=reviewer)
            file = folder / f"{name}.zip"
            with ZipFile(file, "w", ZIP_STORED) as archive:  # images are compressed already
                for path in sorted((folder / name).rglob("*")):
                    archive.write(path, path.relative_to(folder))
            shutil.rmtree(folder / name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return file

    def _mask_file(self, value: Any, picture: bytes) -> bytes | None:
        holes = painted_of(value, size_of(picture), self.max_pixels)
        return None if holes is None else mask_file(holes)

    def _place(self, *files: bytes | None, scale: int = 1) -> AbstractContextManager[None]:
        """To work on these images in."""
        return self.admission.place(expected_bytes(files, scale, self.max_pixels))

    def _measured(self, flag: StoredFlag, data: bytes) -> dict[str, float] | None:
        """None where there is no clean image of this size."""
        if flag.clean is None or size_of(flag.clean) != size_of(data):
            return None
        clean, other = (rgb_pixels(image) for image in (flag.clean, data))
        return measured(other, clean)


def _short(flag: StoredFlag) -> dict[str, Any]:
    return {
        "flag_id": flag.flag_id,
        "task": flag.task,
        "created_at": flag.created_at.isoformat(timespec="seconds"),
        "reasons": list(flag.reasons),
        "comment": flag.comment,
    }


def _report(restoration: Restoration) -> dict[str, Any]:
    report = restoration.report()
    return {
        "width": restoration.photo.width,
        "height": restoration.photo.height,
        "seconds": report["seconds"],
        "controls": restoration.controls,
        "checkpoint": for_strangers(restoration.checkpoint),
    }
