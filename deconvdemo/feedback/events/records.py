"""What a visitor says about a result: a flag is a fact, never edited. Pure data, and the page's words."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from deconvdemo.errors import FeedbackError
from deconvdemo.version import __version__

if TYPE_CHECKING:
    import numpy as np
from deconvdemo.feedback.events.imagefile import stored_image

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
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def new_erase_key() -> str:
    """64 hex digits: whoever has them may erase the flag whose id was made from them."""
    return secrets.token_hex(32)


def new_id(key: str = "") -> str:
    """32 hex digits that sort by the moment they were made: a version 7 UUID (RFC 9562).

    Its 74 random bits are the first of the key's SHA-256, so that the key proves itself by the id alone.
    """
    milliseconds, bits = time.time_ns() // 1_000_000, _id_bits(key or new_erase_key())
    version, variant = 0x7 << 12 | bits >> 62, 0b10 << 62 | bits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | version << 64 | variant).hex


def opens(key: str, flag_id: str) -> bool:
    """Whether the id was made from this key."""
    try:
        value = UUID(flag_id).int
    except ValueError:
        return False
    bits = (value >> 64 & 0xFFF) << 62 | value & (1 << 62) - 1
    return secrets.compare_digest(f"{bits:x}", f"{_id_bits(key):x}")


def bound_token(*parts: str | bytes) -> str:
    """A token that repeats when all its parts do: a client's own word counts only beside what its owner alone has."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def _id_bits(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:10]) >> 6


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every stored event has: a moment, the app's version, and a token by which repeated ones are one.

    Making one checks it: FeedbackError, in one sentence, for what cannot be taken. EXIF, XMP and text in the
    images are dropped.
    """

    ROLES: ClassVar[tuple[str, ...]] = ()  # its images
    NEEDED: ClassVar[tuple[str, ...]] = ()  # those it cannot be without
    JSON: ClassVar[tuple[str, ...]] = ()  # its fields that hold JSON-able dictionaries
    WORD: ClassVar[str] = "event"

    app_version: str = __version__
    client_token: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self):
        if self.created_at.tzinfo is None:
            raise FeedbackError(f"a {self.WORD}'s created_at needs a time zone: give it in UTC")
        if len(self.client_token) > MAX_TOKEN or self.client_token != clean_text(self.client_token):
            raise FeedbackError(f"a client token is at most {MAX_TOKEN} visible characters: send a shorter one")
        for name in self.JSON:
            _require_json(self.WORD, name, getattr(self, name))
        self._settle("created_at", self.created_at.astimezone(UTC))
        for role in self.ROLES:
            self._settle(role, _checked_image(self.WORD, role, getattr(self, role), role in self.NEEDED))

    @property
    def images(self) -> dict[str, bytes]:
        """Role → file, for the images that it has."""
        return {role: data for role in self.ROLES if (data := getattr(self, role)) is not None}

    def _settle(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # frozen for everyone else


@dataclass(frozen=True)
class Flag(Event):
    """One flagged result: what went in, what came out, how it was made, why it was flagged, and where.

    Images are the bytes of PNG or lossless WebP files: `observed` went in, `restored` came out, `mask` has
    the pixels to inpaint, `clean` is a better version, `region` is where the visitor painted a complaint.
    `controls` and `checkpoint` (name, sha256, source) are JSON-able. Flags of one `client_token` are one.
    `visitor` (a salted daily hash) and `erase_key` are never published. A flag without consent is not stored at
    all, so `consent` is true in every stored row; the column is there to tell the dataset's readers.
    """

    ROLES = IMAGES
    NEEDED = ("observed", "restored")
    JSON = ("controls", "checkpoint")
    WORD = "flag"

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
    consent: bool = True
    visitor: str = ""
    flag_id: str = ""  # left out: a new one, and the key that erases it
    erase_key: str = ""

    def __post_init__(self):
        require_consent(self.consent)
        require_task(self.task)
        if not self.flag_id:
            self._settle("erase_key", self.erase_key or new_erase_key())
            self._settle("flag_id", new_id(self.erase_key))
        require_id("flag", self.flag_id)
        self._settle("reasons", checked_reasons(self.reasons))
        self._settle("comment", checked_comment(self.comment))
        super().__post_init__()


@dataclass(frozen=True)
class StoredFlag(Flag):
    """A flag read back. It is not checked again: what was taken under older rules stays readable."""

    sequence: int = 0  # the place in the order in which flags were stored
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self):
        pass


@dataclass(frozen=True)
class Acknowledgement:
    """The promise that a flag survives whatever is killed now."""

    flag_id: str  # the verdict's or the vote's, if that is what was stored
    state: str = "saved"
    erase_key: str = ""  # for the private link


# what an accepted flag teaches: see pairs.py
TARGET, SELF, HOLES, NOISY = "target", "self", "holes", "noisy"
PAIRS = {
    TARGET: "with a clean target",
    SELF: "as targets of their own smaller copies",
    HOLES: "with holes cut into what is known",
    NOISY: "noisy, without a target",
}


@dataclass(frozen=True, eq=False)
class Pair:
    """One accepted flag's lesson. `observed` and `target` are (H, W, 3) uint8, the target `scale` times larger or
    None; `mask` (H, W) bool has inpainting's holes, `region`, of the target's size, where the result was bad. `sigma`
    is the noise level that was told, in grey levels, None where it was to be found out."""

    flag_id: str
    kind: str  # a key of PAIRS
    observed: np.ndarray
    target: np.ndarray | None = None
    mask: np.ndarray | None = None
    region: np.ndarray | None = None
    sigma: float | None = None


def as_json(value: Any) -> str:
    """Compact, with sorted keys: equal values are equal text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def require_consent(consent: bool) -> None:
    if consent is not True:
        raise FeedbackError("a flag is stored only with your consent to the public dataset: tick the box to send it")


def require_task(task: str) -> None:
    if not _TASK.fullmatch(task):
        raise FeedbackError(f"{task!r} is not a task's name: give one like 'denoise'")


def require_id(word: str, value: str) -> None:
    if not _ID.fullmatch(value):
        raise FeedbackError(f"a {word}'s id is at most 64 letters, digits, - and _: leave it out to get one")


def checked_reasons(reasons) -> tuple[str, ...]:
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


def checked_comment(comment: str) -> str:
    comment = clean_text(comment).strip()
    if len(comment) > MAX_COMMENT:
        raise FeedbackError(
            f"the comment has {len(comment):,} characters but at most {MAX_COMMENT:,} are kept: shorten it"
        )
    return comment


def clean_text(text: str) -> str:
    """Without lone surrogates and control characters (but tab and newline), which databases choke on.

    Format characters stay: right-to-left text and joined emoji are made of them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\t\n" or unicodedata.category(c) not in ("Cc", "Cs"))


def _require_json(word: str, name: str, value: dict[str, Any]) -> None:
    if not isinstance(value, dict):
        raise FeedbackError(f"the {word}'s {name} are {type(value).__name__}: give a dictionary of names and values")
    try:
        text = as_json(value)
        text.encode()
    except (TypeError, ValueError) as error:
        raise FeedbackError(f"the {word}'s {name} cannot be written as JSON: {error}") from error
    if len(text) > MAX_JSON:
        raise FeedbackError(f"the {word}'s {name} take {len(text):,} characters but at most {MAX_JSON:,} are kept")


def _checked_image(word: str, role: str, data: bytes | None, needed: bool) -> bytes | None:
    if data is None and not needed:
        return None
    if not isinstance(data, bytes) or not data:
        raise FeedbackError(f"the {word}'s {role} image is empty: send the file's bytes")
    if len(data) > MAX_IMAGE_BYTES:
        raise FeedbackError(
            f"the {word}'s {role} image has {len(data) / 1e6:.1f} MB but at most "
            f"{MAX_IMAGE_BYTES / 1e6:.0f} MB are stored: send a smaller one"
        )
    try:
        return stored_image(data)
    except FeedbackError as error:
        raise FeedbackError(f"the {word}'s {role} image {error}") from error
