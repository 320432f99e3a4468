"""What became of a batch of photos: one line at its end that accounts for every file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from deconvdemo.cli.console import shown
from deconvdemo.cli.targets import THERE

_NAMED, _EXPLAINED = 3, 10  # so many skips of a kind, and failures: a folder may hold thousands


@dataclass
class Tally:
    """Every file by what became of it. `resumed`: results that were there already are what was expected."""

    total: int
    resumed: bool = False
    done: int = 0
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        """Each photo that was given has its result."""
        return not self.failed and (self.resumed or not any(why == THERE for _, why in self.skipped))

    def line(self) -> str:
        """3 done, 2 skipped (1 not photos: notes.txt; 1 there already: a.png), 1 failed (b.png is empty …)"""
        return f"{self.done} done, {len(self.skipped)} skipped{self._skips()}, {len(self.failed)} failed{self._fails()}"

    def _skips(self) -> str:
        kinds: dict[str, list[str]] = {}
        for path, why in self.skipped:
            kinds.setdefault(why, []).append(path.name)
        told = [f"{len(names)} {why}: {_some(names)}" for why, names in kinds.items()]
        if THERE in kinds and not self.resumed:
            told.append("--skip-existing is content with those, --overwrite replaces them")
        return f" ({'; '.join(told)})" if told else ""

    def _fails(self) -> str:
        return f" ({_some([sentence for _, sentence in self.failed], '; ', _EXPLAINED)})" if self.failed else ""


def _some(names: list[str], between: str = ", ", most: int = _NAMED) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return between.join([*map(shown, names[:most]), *more])
