"""Damaged and hostile pictures through the door that visitors' files take: whatever comes, a photo or one sentence.

    python benchmarks/hostile.py [--count N] [--minutes M] [--seed S] [--keep DIR]

Mutates a small picture of every format that is taken (flipped bits, other numbers, lengths, pieces cut out, doubled and
of another file, ends cut off), and begins with the bombs of tests/hostile_files.py. Exit status 1 for anything but a
photo or a PhotoError, for more than 10 s, and where an ordinary photo is not opened afterwards. Decoders that fell
over in their own process are counted: the demo went on, and said so in a sentence.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from hostile_files import BOMBS, ordinary

from deconvdemo.errors import PhotoError
from deconvdemo.image.apart import STRANGERS

MAX_PIXELS = 50_000_000  # the demo's own
HANGS = 10.0  # seconds
LARGEST_SEED_FILE = 1_000_000  # bytes of a bomb that is mutated, too
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
WORDS = (
    b"\xff\xda", b"\xff\xc2", b"\xff\xdb", b"\xff\xd8", b"IDAT", b"zTXt", b"iCCP", b"IEND", b"PLTE", b"tRNS", b"VP8X",
    b"VP8L", b"ALPH", b"ANMF", b"meta", b"iloc", b"ispe", b"ipma", b"grid", b"av1C", b"hvcC", b"II*\0", b"!\xf9",
)  # fmt: skip


def flipped(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flipped_in_head(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(min(len(data), 200))] = rng.randrange(256)


def numbered(data: bytearray, rng: random.Random) -> None:
    """Another number in place of one, two or four bytes: most of them are lengths, sizes and counts somewhere."""
    for _ in range(rng.randint(1, 3)):
        length, order = rng.choice((1, 2, 4)), rng.choice(("little", "big"))
        at = rng.randrange(min(len(data), rng.choice((64, 512, len(data)))))
        value = rng.choice(EXTREMES) & ((1 << 8 * length) - 1)
        data[at : at + length] = value.to_bytes(length, order)


def cut_off(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(1, len(data)) :]


def cut_out(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, 64)]


def doubled(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    piece = data[start : start + rng.randint(1, 600)]
    at = rng.choice((start, rng.randrange(len(data))))
    data[at:at] = piece * rng.choice((1, 2, 50, 1000))


def worded(data: bytearray, rng: random.Random) -> None:
    word, at = rng.choice(WORDS), rng.randrange(len(data))
    data[at : at + len(word) * rng.randint(0, 1)] = word


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flipped, flipped_in_head, numbered, numbered, cut_off, cut_out, doubled, worded,
)  # fmt: skip


def mutated(files: list[bytes], rng: random.Random) -> bytes:
    data = bytearray(rng.choice(files))
    if rng.random() < 0.1:  # the start of one file, the end of another
        other = rng.choice(files)
        data = data[: rng.randrange(1, len(data))] + other[rng.randrange(len(other)) :]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if len(data) > 1:
            rng.choice(MUTATIONS)(data, rng)
    return bytes(data)


class Memory(threading.Thread):
    """The most that this process and its children hold, in bytes, looked at ten times a second (Linux)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.here = self.child = self.together = 0

    def run(self) -> None:
        while True:
            here, children = _resident(os.getpid()), [_resident(pid) for pid in _children()]
            self.here, self.child = max(self.here, here), max(self.child, *children, 0)
            self.together = max(self.together, here + sum(children))
            time.sleep(0.1)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _children() -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(file.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


@dataclass
class Tally:
    photos: int = 0
    sentences: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    fallen: list[str] = field(default_factory=list)
    slowest: float = 0.0
    keep: Path | None = None

    @property
    def total(self) -> int:
        return self.photos + sum(self.sentences.values())

    def open(self, name: str, data: bytes) -> None:
        started = time.monotonic()
        failure = ""
        try:
            STRANGERS.open(data, MAX_PIXELS)
            self.photos += 1
        except PhotoError as error:
            self.sentences[_kind_of(str(error))] += 1
            if "fell over" in str(error):
                self.fallen.append(name)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            failure = f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - started
        self.slowest = max(self.slowest, seconds)
        if seconds > HANGS:
            failure = failure or f"took {seconds:.1f} s"
        if failure:
            self.failures.append(f"{name}: {failure}")
            if self.keep:
                (self.keep / name.replace(" ", "-")).write_bytes(data)


def _kind_of(sentence: str) -> str:
    for words in ("more time", "more memory", "fell over", "damaged", "not supported", "not a photo", "at most"):
        if words in sentence:
            return words
    return "others"


def inputs(seed: int, count: int | None) -> Iterator[tuple[str, bytes]]:
    bombs = {name: make() for name, make in BOMBS.items()} if count is None or count > 1000 else {}
    yield from bombs.items()
    files = [*ordinary().values(), *(data for data in bombs.values() if len(data) < LARGEST_SEED_FILE)]
    for number in itertools.count() if count is None else range(count):
        yield f"seed {seed} number {number}", mutated(files, random.Random(f"{seed} {number}"))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, help="so many mutated pictures (default: as many as the minutes hold)")
    parser.add_argument("--minutes", type=float, default=60.0, help="no longer than this (default: 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the files that failed")
    options = parser.parse_args(arguments)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    tally, ends = Tally(keep=options.keep), time.monotonic() + 60 * options.minutes
    memory = Memory()
    memory.start()
    source, taking = inputs(options.seed, options.count), threading.Lock()

    def work() -> None:
        while time.monotonic() < ends:
            with taking:
                item = next(source, None)
            if item is None:
                return
            tally.open(*item)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(work) for _ in range(2)]:
            done.result()
    for name, data in ordinary().items():
        try:
            STRANGERS.open(data)
        except PhotoError as error:
            tally.failures.append(f"afterwards an ordinary {name} is not opened: {error}")
    STRANGERS.close()
    told = ", ".join(f"{count} {words!r}" for words, count in tally.sentences.most_common())
    print(f"{tally.total} files: {tally.photos} opened, refused in a sentence: {told}")
    here, child, together = (value / 1e6 for value in (memory.here, memory.child, memory.together))
    print(
        f"slowest {tally.slowest:.1f} s; most {here:.0f} MB here, {child:.0f} MB in a child, {together:.0f} MB in all"
    )
    if tally.fallen:
        print(f"decoders that fell over in their process: {', '.join(tally.fallen)}")
    for failure in tally.failures:
        print(f"FAILED {failure}")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
