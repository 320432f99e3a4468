"""What a visitor says about a result: a flag is a fact, never edited. Pure data, and the page's words."""

from __future__ import annotations

import json
import re
import secrets
import time
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from deconvdemo import __version__
from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.imagefile import stored_image

SCHEMA_VERSION = 1  # of a flag's fields; each stored row says which it has

# key → the words a visitor sees, in the order they are shown
REASONS = {
    "good": "Good result",
    "too_smooth": "Too smooth",
    "invented_detail": "Invented detail",
    "artefacts": "Artefacts or checkerboard",
    "seams": "Visible seams",
    "colour_shift": "Colour shift",
    "noise_left": "Noise left",
    "halo": "Halo around edges",
    "other": "Something else",
}

CONSENT = (
    "I agree that the images of this flag and my comment become part of a public dataset under the licence "
    "CC BY 4.0 (anyone may share and adapt them, also commercially, giving credit) and may be used to train "
    "restoration networks. EXIF data such as the place and the camera are removed first. "
    "I may do this with these images, and can have them erased on request."
)

IMAGES = ("observed", "restored", "mask", "clean", "region")

MAX_IMAGE_BYTES = 100_000_000
MAX_COMMENT = 10_000  # characters
MAX_JSON = 100_000  # characters of the controls or the checkpoint as JSON
MAX_TOKEN = 200  # characters

_TASK = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_FLAG_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def new_flag_id() -> str:
    """32 hex digits that sort by the moment they were made (a version 7 UUID)."""
    milliseconds = time.time_ns() // 1_000_000
    version, variant = 0x7 << 12 | secrets.randbits(12), 0b10 << 62 | secrets.randbits(62)
    return UUID(int=milliseconds << 80 | version << 64 | variant).hex


@dataclass(frozen=True)
class Flag:
    """One flagged result: what went in, what came out, how it was made, why it was flagged, and where.

    Images are the bytes of PNG or lossless WebP files: `observed` went in, `restored` came out, `mask` has
    the pixels to inpaint, `clean` is a better version, `region` is where the visitor painted a complaint.
    `controls` and `checkpoint` (name, sha256, source) are JSON-able. Flags of one `client_token` are one.

    Making one checks it: FeedbackError, in one sentence, for a flag that cannot be taken. EXIF, XMP and text
    in the images are dropped. A flag without consent is not stored at all, so `consent` is true in every
    stored row; the column is there to tell the dataset's readers.
    """

    task: str
    observed: bytes
    restored: bytes
    reasons: tuple[str, ...]
    mask: bytes | None = None
    clean: bytes | None = None
    region: bytes | None = None
    comment: str = ""
    controls: dict[str, Any] = field(default_factory=dict)
    checkpoint: dict[str, Any] = field(default_factory=dict)
    app_version: str = __version__
    consent: bool = True
    client_token: str = ""
    flag_id: str = field(default_factory=new_flag_id)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self):
        if self.consent is not True:
            raise FeedbackError(
                "a flag is stored only with your consent to the public dataset: tick the box to send it"
            )
        if not _TASK.fullmatch(self.task):
            raise FeedbackError(f"{self.task!r} is not a task's name: give one like 'denoise'")
        if not _FLAG_ID.fullmatch(self.flag_id):
            raise FeedbackError("a flag's id is at most 64 letters, digits, - and _: leave it out to get one")
        if self.created_at.tzinfo is None:
            raise FeedbackError("a flag's created_at needs a time zone: give it in UTC")
        if len(self.client_token) > MAX_TOKEN or self.client_token != _clean_text(self.client_token):
            raise FeedbackError(f"a client token is at most {MAX_TOKEN} visible characters: send a shorter one")
        for name in ("controls", "checkpoint"):
            _require_json(name, getattr(self, name))
        cleaned: dict[str, Any] = {
            "reasons": _checked_reasons(self.reasons),
            "comment": _checked_comment(self.comment),
            "created_at": self.created_at.astimezone(UTC),
        }
        for role in IMAGES:
            cleaned[role] = _checked_image(role, getattr(self, role))
        for name, value in cleaned.items():
            object.__setattr__(self, name, value)

    @property
    def images(self) -> dict[str, bytes]:
        """Role → file, for the images that this flag has."""
        return {role: data for role in IMAGES if (data := getattr(self, role)) is not None}


@dataclass(frozen=True)
class StoredFlag(Flag):
    """A flag read back. It is not checked again: what was taken under older rules stays readable."""

    sequence: int = 0  # the place in the order in which flags were acknowledged
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self):
        pass


@dataclass(frozen=True)
class Acknowledgement:
    """The promise that a flag survives whatever is killed now."""

    flag_id: str
    state: str = "saved"


def as_json(value: Any) -> str:
    """Compact, with sorted keys: equal values are equal text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _checked_reasons(reasons) -> tuple[str, ...]:
    """The reasons in the order of REASONS, each once."""
    if isinstance(reasons, str):
        reasons = (reasons,)
    if not reasons:
        raise FeedbackError("say why you flag this result: choose at least one reason")
    unknown = [reason for reason in reasons if reason not in REASONS]
    if unknown:
        raise FeedbackError(f"{unknown[0]!r} is not a reason: choose among {', '.join(REASONS)}")
    chosen = tuple(reason for reason in REASONS if reason in reasons)
    if "good" in chosen and len(chosen) > 1:
        raise FeedbackError(f"a result cannot be good and have “{REASONS[chosen[1]]}” at once: choose one or the other")
    return chosen


def _checked_comment(comment: str) -> str:
    comment = _clean_text(comment).strip()
    if len(comment) > MAX_COMMENT:
        raise FeedbackError(
            f"the comment has {len(comment):,} characters but at most {MAX_COMMENT:,} are kept: shorten it"
        )
    return comment


def _clean_text(text: str) -> str:
    """Without lone surrogates and control characters (but tab and newline), which databases choke on.

    Format characters stay: right-to-left text and joined emoji are made of them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\t\n" or unicodedata.category(c) not in ("Cc", "Cs"))


def _require_json(name: str, value: dict[str, Any]) -> None:
    try:
        text = as_json(value)
        text.encode()
    except (TypeError, ValueError) as error:
        raise FeedbackError(f"the flag's {name} cannot be written as JSON: {error}") from error
    if len(text) > MAX_JSON:
        raise FeedbackError(f"the flag's {name} take {len(text):,} characters but at most {MAX_JSON:,} are kept")


def _checked_image(role: str, data: bytes | None) -> bytes | None:
    if data is None and role not in ("observed", "restored"):
        return None
    if not isinstance(data, bytes) or not data:
        raise FeedbackError(f"the flag's {role} image is empty: send the file's bytes")
    if len(data) > MAX_IMAGE_BYTES:
        raise FeedbackError(
            f"the flag's {role} image has {len(data) / 1e6:.1f} MB but at most "
            f"{MAX_IMAGE_BYTES / 1e6:.0f} MB are stored: send a smaller one"
        )
    try:
        return stored_image(data)
    except FeedbackError as error:
        raise FeedbackError(f"the flag's {role} image {error}") from error
