"""What people think of flags and results: reviewers' verdicts and visitors' blind votes. Never edited either."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.records import (
    SCHEMA_VERSION,
    Event,
    checked_comment,
    checked_reasons,
    clean_text,
    new_id,
    require_consent,
    require_id,
    require_task,
)

# what a reviewer decides; the newest verdict of one reviewer on a flag is theirs
DECISIONS = {
    "accept": "Accept",
    "reject": "Reject",
    "needs_target": "Needs a target",
    "unsafe": "Unsafe",
    "hide": "Hide",
    "withdrawn": "Taken back",
}

# these keep a flag from everybody but reviewers, and one of them is enough: "unsafe" is what nobody should see, "hide"
# what is somebody's own
WITHHOLDING = ("unsafe", "hide")

# what a flag can be: the decisions that stand
TRUTHS = {name: words for name, words in DECISIONS.items() if name != "withdrawn"}

# where a verdict's target is from: a network's own output tells what is better, and nothing is trained on it
SOURCES = {"upload": "Uploaded", "rerun": "A result with other settings"}

# what a visitor says of two results
CHOICES = {
    "left": "The left one",
    "right": "The right one",
    "same": "They are the same",
    "both_bad": "Both are bad",
}

MAX_REVIEWER = 100  # characters


@dataclass(frozen=True)
class Verdict(Event):
    """One reviewer's opinion of one flag. `reasons` are the reviewer's, if they see others than the visitor did.

    `clean` is a target to learn from, `mask` a corrected mask for inpainting, `region` where the result is bad.
    `target`, JSON-able, tells where `clean` is from: `source` is a key of SOURCES, with `controls` and `checkpoint` of
    a result. `may_be_shown`: strangers may see the photo, if the flag is accepted. `adjudicates`: it is an owner's, and
    decides (see `store/ruling.py`).
    """

    ROLES = ("clean", "mask", "region")
    JSON = ("target",)
    WORD = "verdict"

    flag_id: str
    reviewer: str
    decision: str
    reasons: tuple[str, ...] = ()
    comment: str = ""
    clean: bytes | None = None
    mask: bytes | None = None
    region: bytes | None = None
    target: dict[str, Any] = field(default_factory=dict)
    may_be_shown: bool = False
    adjudicates: bool = False
    verdict_id: str = ""

    def __post_init__(self):
        require_id("flag", self.flag_id)
        if not self.verdict_id:
            self._settle("verdict_id", new_id())
        require_id("verdict", self.verdict_id)
        reviewer = clean_text(self.reviewer).strip()
        if not reviewer or len(reviewer) > MAX_REVIEWER:
            raise FeedbackError(f"a verdict needs its reviewer's name, of at most {MAX_REVIEWER} characters")
        if self.decision not in DECISIONS:
            raise FeedbackError(f"{self.decision!r} is not a decision: choose among {', '.join(DECISIONS)}")
        if self.decision in WITHHOLDING and self.images:
            raise FeedbackError("what is unsafe or hidden gets no target, mask or region: give the verdict without")
        self._settle("may_be_shown", self.may_be_shown is True and self.decision == "accept")
        self._settle("adjudicates", self.adjudicates is True)
        self._settle("reviewer", reviewer)
        self._settle("reasons", checked_reasons(self.reasons) if self.reasons else ())
        self._settle("comment", checked_comment(self.comment))
        super().__post_init__()


@dataclass(frozen=True)
class StoredVerdict(Verdict):
    """A verdict read back, not checked again."""

    sequence: int = 0
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self):
        pass


@dataclass(frozen=True)
class Vote(Event):
    """A blind choice between two results of one photo: `choice` is a key of CHOICES, sides as they were shown.

    A contender is JSON-able: what made that side (`checkpoint`, `controls`, or a classical method's name). `flag_id`
    names the flag whose photo it was, or is empty. `visitor` is never published.
    """

    ROLES = ("observed", "left", "right")
    JSON = ("left_contender", "right_contender")
    WORD = "vote"

    task: str
    choice: str
    left_contender: dict[str, Any] = field(default_factory=dict)
    right_contender: dict[str, Any] = field(default_factory=dict)
    observed: bytes | None = None
    left: bytes | None = None
    right: bytes | None = None
    flag_id: str = ""
    consent: bool = True
    visitor: str = ""
    vote_id: str = ""

    def __post_init__(self):
        require_consent(self.consent)
        require_task(self.task)
        if self.flag_id:
            require_id("flag", self.flag_id)
        if not self.vote_id:
            self._settle("vote_id", new_id())
        require_id("vote", self.vote_id)
        if self.choice not in CHOICES:
            raise FeedbackError(f"{self.choice!r} is not a choice: choose among {', '.join(CHOICES)}")
        super().__post_init__()


@dataclass(frozen=True)
class StoredVote(Vote):
    """A vote read back, not checked again."""

    sequence: int = 0
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self):
        pass
