"""Which image column of another program's table is what: from what is certain, or else the person is asked.

A wrong guess would teach a network the wrong thing, and nobody would see it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconvdemo.errors import ControlError, DatasetError
from deconvdemo.feedback.events.records import IMAGES
from deconvdemo.tasks import TASKS

ROLES = tuple(role for role in IMAGES if role != "region")  # that a column may be named for

Row = tuple[dict[str, Any], dict[str, Path | bytes | None]]  # values and images, by column


@dataclass(frozen=True)
class Table:
    """Rows of one kind. `images`: the columns that have images; of a cell with several, one each: see `part_of`."""

    name: str
    images: tuple[str, ...]
    rows: Iterator[Row | DatasetError]  # in place of a row that is not read, why


# what a column is by a word of its name, where no other word says otherwise
_WORDS = {
    "observed": {
        "observed", "input", "inp", "before", "noisy", "blurry", "blurred", "degraded", "damaged", "corrupted", "lq",
    },
    "restored": {
        "restored", "output", "result", "after", "denoised", "deblurred", "upscaled", "upsampled", "enlarged",
        "inpainted", "enhanced", "repaired", "cleaned", "prediction", "predicted",
    },
    "mask": {"mask", "hole", "holes"},
}  # fmt: skip
_WEAK = {"photo", "image", "img", "picture", "original", "source", "upload"}  # observed, if nothing else is
# what a part of a cell with several images is: gr.ImageSlider's pair, gr.ImageEditor's drawing
_PARTS = {"before": "observed", "after": "restored", "background": "observed", "layer 1": "mask"}
_PART = re.compile(r"(.*) \((before|after|background|composite|image|layer \d+|annotation \d+|\d+)\)", re.DOTALL)


def with_part(column: str, part: str) -> str:
    """The name of one of the images in a column's cells: "Result (after)"."""
    return f"{column} ({part})" if part else column


def roles_of(table: Table, named: Mapping[str, str], task: str) -> dict[str, str]:
    """Role → column. `named` are those that a person named; the others come from names and parts that leave no choice.

    A mask is taken for a task that needs one. Raises ControlError, with the columns' names, where there is a choice.
    """
    roles = {role: _named(table, role, column) for role, column in named.items()}
    for role in ROLES:
        free = [column for column in table.images if column not in roles.values()]
        if role not in roles and (column := _certain(role, free, task)):
            roles[role] = column
    for role in ("observed", "restored"):
        if role not in roles:
            raise ControlError(f"{table.name} does not say which of its images is the {role} one: {_choice(table)}")
    if len(set(roles.values())) < len(roles):
        raise ControlError(f"{table.name}: one column cannot be two things: {_choice(table)}")
    return {role: roles[role] for role in ROLES if role in roles}


def _choice(table: Table) -> str:
    if not table.images:
        return "it has no column with images that are there"
    columns = ", ".join(map(repr, table.images))
    return f"name its columns with --observed COLUMN --restored COLUMN (--mask, --clean); it has {columns}"


def _named(table: Table, role: str, column: str) -> str:
    if column in table.images:
        return column
    parts = [match for name in table.images if (match := _PART.fullmatch(name)) and match[1] == column]
    fitting = [match[0] for match in parts if _PARTS.get(match[2]) == role]
    if len(fitting) != 1:
        raise ControlError(f"{table.name} has no image in the column {column!r}: {_choice(table)}")
    return fitting[0]


def _certain(role: str, columns: Sequence[str], task: str) -> str | None:
    """The one column that has this role; None if there is none, or a choice."""
    if role == "clean":  # a result may be called clean, too: by the whole name alone
        found = [column for column in columns if column.casefold() == "clean"]
        return found[0] if len(found) == 1 else None
    if role == "mask" and not (task in TASKS and TASKS[task].needs_mask):
        return None
    by_word = [column for column in columns if _role_by_words(column) == role]
    by_part = [column for column in columns if (match := _PART.fullmatch(column)) and _PARTS.get(match[2]) == role]
    if role == "restored":  # two results, however they are called, are a choice
        by_word, by_part = by_word + by_part, []
    weak = [column for column in columns if role == "observed" and _role_by_words(column) == "observed?"]
    first = next((found for found in (by_word, by_part, weak) if found), [])
    return first[0] if len(first) == 1 else None


def _role_by_words(column: str) -> str | None:
    """By the words of a whole column's name: parts of a cell are what they are."""
    if _PART.fullmatch(column):
        return None
    words = set(re.findall(r"[^\W_]+", column.casefold()))
    found = [role for role, known in _WORDS.items() if words & known]
    if len(found) == 1:
        return found[0]
    return "observed?" if not found and words & _WEAK else None
