"""Writes the drawing of the floors into docs/architecture.md, which room imports which, read from the code itself; and
counts the files that its walks pass.

The floors are those that tests/test_imports.py holds; a test there is what makes them true.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from test_imports import FILES, FLOORS, RANK, all_imports, room_of  # noqa: E402

PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- floors: written by `make docs` -->\n", "<!-- /floors -->\n"
GROUND = 1  # its rooms are single modules that any other may import: no arrows go there


def imported() -> dict[str, set[str]]:
    """Room → the rooms whose modules its own import."""
    found: dict[str, set[str]] = {room: set() for rooms in FLOORS for room in rooms}
    for name, modules in all_imports().items():
        found[room_of(name)] |= {room_of(module) for module, _ in modules if module in FILES} - {room_of(name)}
    return found


def reachable(graph: Mapping[str, set[str]], room: str) -> set[str]:
    found: set[str] = set()
    waiting = [*graph[room]]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += graph[one]
    return found


def arrows(graph: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """Those that do not follow from others: what a room reaches through another one is not drawn."""
    drawn = []
    for room, others in graph.items():
        beyond = set().union(*(reachable(graph, other) for other in others))
        drawn += [(room, other) for other in others - beyond if RANK[other] != GROUND]
    return sorted(drawn, key=lambda arrow: (-RANK[arrow[0]], arrow))


def drawing() -> str:
    """The floors as Mermaid draws them, and in words for who reads the page as text."""
    graph = imported()
    lines = ["```mermaid", "flowchart TB"]
    for rank, rooms in reversed([*enumerate(FLOORS, start=1)]):
        lines += [f'  subgraph floor{rank} ["floor {rank}"]']
        if rank == GROUND:
            lines += [f'    ground["{", ".join(room for room in rooms if "__" not in room)}"]']
        else:
            lines += [f'    {_node(room)}["{room}"]' for room in rooms]
        lines += ["  end"]
    lines += [f"  {_node(room)} --> {_node(other)}" for room, other in arrows(graph)]
    lines += ["```", "", "| room | imports from |", "|---|---|"]
    for rank, rooms in reversed([*enumerate(FLOORS, start=1)]):
        for room in rooms if rank != GROUND else []:
            others = sorted(
                (other for other in graph[room] if RANK[other] != GROUND), key=lambda one: (-RANK[one], one)
            )
            lines += [f"| `{room}` | {', '.join(others) or 'the ground alone'} |"]
    return "\n".join(lines) + "\n"


def _node(room: str) -> str:
    return re.sub(r"\W", "_", room.strip("_")) + "_"  # a word that Mermaid has no meaning for, as it has for `end`


def with_drawing(page: str) -> str:
    """The page with its drawing, and its walks counted."""
    before, rest = page.split(BEGIN)
    head, *walks = re.split(r"(?m)^(?=## From )", rest.split(END)[1])
    return f"{before}{BEGIN}{drawing()}{END}{head}{''.join(map(_counted, walks))}"


def walked(walk: str) -> tuple[int, int]:
    """How many files a walk's table passes, and how often the next one stands on a higher floor than the one before."""
    files = re.findall(r"(?m)^\| `([\w/.]+)\.py` \|", walk)
    floors = [RANK[room_of(f"deconvdemo.{file.replace('/', '.')}")] for file in files]
    return len(set(files)), sum(after > before for before, after in pairwise(floors))


def _counted(walk: str) -> str:
    files, climbs = walked(walk)
    return re.sub(r"\d+ files are passed, and \d+ times", f"{files} files are passed, and {climbs} times", walk)


if __name__ == "__main__":
    PAGE.write_text(with_drawing(PAGE.read_text()))
