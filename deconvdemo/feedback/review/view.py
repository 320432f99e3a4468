"""What a reviewer asked to see, by filters that an address bar can hold. Pure data, and the page's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events.records import REASONS

STATUSES = {
    "todo": "To do",
    "mine": "Judged by me",
    "disputed": "Reviewers disagree",
    "accepted": "Accepted",
    "rejected": "Rejected",
    "needs_target": "Needs a target",
    "withheld": "Unsafe or hidden",
    "all": "All",
}
RATINGS = {"": "Any", "good": "Good", "bad": "Something is wrong"}
SORTS = {"newest": "Newest first", "oldest": "Oldest first", "disputed": "Disagreement first"}
CHOICES = {"status": STATUSES, "rating": RATINGS, "sort": SORTS, "reason": {"": "Any", **REASONS}}  # by View's field
MAX_TEXT = 200  # characters


@dataclass(frozen=True)
class View:
    """What a reviewer asked to see. Dates are UTC days like 2026-11-20; `weights` begins a sha256."""

    status: str = "todo"
    task: str = ""
    reason: str = ""
    rating: str = ""
    weights: str = ""
    since: str = ""
    until: str = ""
    text: str = ""
    family: str = ""  # flags of one picture
    flag: str = ""  # one alone
    sort: str = "newest"

    def __post_init__(self):
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise FeedbackError(
                    f"{getattr(self, name)!r} is not a {name}: choose among {', '.join(filter(None, known))}"
                )
        for name in ("since", "until"):
            if getattr(self, name) and not _is_day(getattr(self, name)):
                raise FeedbackError(f"{getattr(self, name)!r} is not a day: write it like 2026-11-20")
        if len(self.text) > MAX_TEXT:
            raise FeedbackError(f"search for at most {MAX_TEXT} characters")

    @classmethod
    def of(cls, query: Mapping[str, str]) -> View:
        """From an address's query; what it does not know is left out. FeedbackError for values that are none."""
        return cls(**{field.name: query[field.name] for field in fields(cls) if field.name in query})

    def query(self) -> dict[str, str]:
        """For an address: what is not the default."""
        plain = asdict(View())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
