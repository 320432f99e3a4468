"""What the page says, in every language it speaks: one file of `words/` a section, both languages of a sentence side by
side."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "zh": "中文"}
TAGS = {"en": "en", "zh": "zh-CN"}  # for <html lang>
FOLDER = Path(__file__).parent / "words"
_PLACE = re.compile(r"\{\{([a-z0-9_.]+)\}\}")


@cache
def sentences() -> Mapping[str, Mapping[str, str]]:
    """Key → language → sentence; a key is the section's name, a dot, and a name of its own."""
    found: dict[str, Mapping[str, str]] = {}
    for file in sorted(FOLDER.glob("*.json")):
        said = json.loads(file.read_text(encoding="utf-8"))
        found |= {f"{file.stem}.{key}": both for key, both in said.items()}
    return found


def in_language(language: str) -> dict[str, str]:
    return {key: both[language] for key, both in sentences().items()}


def filled(template: str, language: str) -> str:
    """`template` with a sentence in the place of each `{{key}}`. KeyError for a key that nobody wrote."""
    said = in_language(language)
    return _PLACE.sub(lambda place: said[place[1]], template)


def used_in(template: str) -> set[str]:
    return set(_PLACE.findall(template))


def language_of(asked: str, accepted: str) -> str:
    """The language that was `asked` for, else that of ours which an Accept-Language header likes best, else English."""
    if asked in LANGUAGES:
        return asked
    liked: list[tuple[float, str]] = []
    for part in accepted[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        language = tag.split("-")[0].strip().lower()
        if language in LANGUAGES:
            liked.append((float(weight) if re.fullmatch(r"[01](\.\d{0,3})?", weight) else 1.0, language))
    return max(liked, key=lambda one: one[0], default=(0.0, "en"))[1]  # the first of equals, as browsers mean it
