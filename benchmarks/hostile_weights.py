"""Weights, indexes and histories as somebody writes them who wants the demo to stop: each is refused in a sentence.

    python benchmarks/hostile_weights.py [--files 2000] [--minutes 20] [--seed 0]

Each number makes one folder of weights with something wrong in it (a flipped byte, a value of another kind, a network
of 10^9 blocks, an index 100,000 lists deep, a pipe in place of a file, …) and does with it what the demo and the
commands do, in a process that is killed where one use takes 10 seconds. What is not refused must serve. Status 1 for a
hang, another exception than ours, a crash, or more than 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 10.0  # for one use of a folder
MEMORY = 1_500_000_000  # bytes, of the process that tries them all
STARTING = 120.0  # seconds until a process has imported torch

# what a value is replaced by
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 64, 10**9, 10**18, 10**400, -(10**9), 0.5, 1e300, float("inf"), float("nan"),
    "", "x", "../x", "/dev/zero", "x" * 100_000, "\ud800", "\0", "denoise.safetensors", "DeconvUNet", "DeconvSR",
    "GatedExpert", "Unknown", "F8_E4M3", "F32", "I64", "C64", [], {}, [[]], {"a": 1}, [1] * 50_000, [10**9] * 3, [0],
    [0, 0], [1, 2, 3, 4, 5, 6, 7, 8], {"widths": [4, 8], "blocks": 10**9}, {"network": "GatedExpert"},
]  # fmt: skip
SPECIALS = ("pipe", "folder", "device", "sparse", "empty", "missing", "loop")


class Deep:
    """Stands in JSON for a value that is nested too deep to be made by json.dumps."""

    def __init__(self, brackets: str, times: int):
        self.text = brackets[0] * times + brackets[1:] * times


@dataclass
class Case:
    """A folder of weights as bytes; `special`: file → what is there in place of a file."""

    what: str
    files: dict[str, bytes]
    special: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        for name, kind in self.special.items():
            path = folder / name
            path.unlink(missing_ok=True)
            if kind == "pipe":
                os.mkfifo(path)
            elif kind == "folder":
                path.mkdir()
            elif kind == "device":
                path.symlink_to("/dev/zero")
            elif kind == "loop":
                path.symlink_to(path)
            elif kind != "missing":
                path.touch()
                os.truncate(path, 24_000_000_000 if kind == "sparse" else 0)


def whole() -> dict[str, bytes]:
    """A folder in which all is well: two networks, a candidate of one, and their history."""
    import torch

    from deconvdemo.checkpoints.checkpoint import Header, save_checkpoint
    from deconvdemo.networks import NETWORKS

    unet = {"image_channels": 3, "side_channels": 1, "widths": [4, 8], "blocks": [1, 1]}
    gated = {"network": "DeconvUNet", "base": unet, "expert": unet}
    entries, files = {}, {}
    with tempfile.TemporaryDirectory() as place:
        for name, header in (
            ("denoise", Header("DeconvUNet", unet, "denoise", data=["photos, CC0"], measured={"PSNR": 30.5})),
            ("denoise-photo", Header("GatedExpert", gated, "denoise", variant="photo", recipe={"steps": 3})),
            ("upscale-x2", Header("DeconvSR", {"scale": 2, "channels": 4, "depth": 2}, "upscale", 2)),
        ):
            torch.manual_seed(0)
            file = Path(place) / f"{name}.safetensors"
            sha256 = save_checkpoint(file, header, NETWORKS[header.network](**header.config).state_dict())
            entries[name] = {"file": file.name, "sha256": sha256, "repo": "", "revision": ""}
            files[file.name] = file.read_bytes()
    line = {"what": "promoted", "name": "denoise", "when": "2026-01-01T00:00:00+00:00", **entries["denoise"]}
    history = [{**line, "before": entries["denoise-photo"], "learned": ["a"], "flags": {"from": "b"}}]
    files["index.json"] = json.dumps({"version": 1, "weights": entries}).encode()
    files["shadow.json"] = json.dumps({"version": 1, "weights": {"denoise": entries["denoise"]}}).encode()
    files["history.json"] = json.dumps(history).encode()
    return files


# ---- what is done to it -------------------------------------------------------------------------------------


def case(number: int, seed: int, files: dict[str, bytes]) -> Case:
    """The folder of this number: the same for the same seed."""
    rng = random.Random(f"{seed} {number}")
    name = rng.choice(sorted(files))
    kinds = [bytes_changed, special, parts_changed, parts_changed]
    kinds += [header_changed, header_changed, config_changed, config_changed] if name.endswith(".safetensors") else []
    kind = rng.choice(kinds)
    if kind is parts_changed and name.endswith(".safetensors"):
        kind = header_changed
    return kind(rng, name, files)


def bytes_changed(rng: random.Random, name: str, files: dict[str, bytes]) -> Case:
    data = bytearray(files[name])
    # half of them where it is read first
    reach = len(data) if rng.random() < 0.5 else min(len(data), 400)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        place = rng.randrange(min(reach, len(data)) or 1)
        how = rng.randrange(4)
        if how == 0 and data:
            data[place % len(data)] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[place:place] = rng.randbytes(rng.choice((1, 8, 1000)))
        elif how == 2:
            del data[place : place + rng.choice((1, 8, 1000))]
        else:
            data = data[: max(place, 1)]
    return Case(f"bytes of {name}", {**files, name: bytes(data)})


def special(rng: random.Random, name: str, files: dict[str, bytes]) -> Case:
    kind = rng.choice(SPECIALS)
    return Case(f"{name} is {kind}", files, {name: kind})


def parts_changed(rng: random.Random, name: str, files: dict[str, bytes]) -> Case:
    return Case(f"values of {name}", {**files, name: text_of(changed(rng, json.loads(files[name])))})


def header_changed(rng: random.Random, name: str, files: dict[str, bytes]) -> Case:
    """The layout of the tensors, or the metadata; now and then with a length that lies."""
    entries, body = parts(files[name])
    text = text_of(changed(rng, entries))
    length = rng.choice((0, 1, len(text) - 1, 2**31, 2**63, 2**64 - 1)) if rng.random() < 0.1 else len(text)
    return Case(f"header of {name}", with_its_sha256(files, name, length.to_bytes(8, "little") + text + body))


def config_changed(rng: random.Random, name: str, files: dict[str, bytes]) -> Case:
    """What the metadata say of the network, with all else well."""
    entries, body = parts(files[name])
    metadata = entries["__metadata__"]
    key = rng.choice([f"deconvdemo.{part}" for part in ("config", "config", "config", "network", "scale", "recipe")])
    value = metadata[key] if key.endswith("network") else json.loads(metadata[key])
    metadata[key] = text_of(changed(rng, value)).decode(errors="replace")
    text = json.dumps(entries).encode()
    return Case(f"{key} of {name}", with_its_sha256(files, name, len(text).to_bytes(8, "little") + text + body))


def with_its_sha256(files: dict[str, bytes], name: str, data: bytes) -> dict[str, bytes]:
    """The index promises what is there: whoever writes a bad file writes its index, too."""
    import hashlib

    index = json.loads(files["index.json"])
    index["weights"][name.removesuffix(".safetensors")]["sha256"] = hashlib.sha256(data).hexdigest()
    return {**files, name: data, "index.json": json.dumps(index).encode()}


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def changed(rng: random.Random, value: Any) -> Any:
    """One or more of the values in it are others, are gone, or are there often."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        value = _changed(rng, value, rng.choice((0, 1, 2, 3, 4)))
    return value


def _changed(rng: random.Random, value: Any, depth: int) -> Any:
    if not depth or not isinstance(value, dict | list) or not value:
        deep = rng.random() < 0.1
        return Deep(rng.choice(("[]", '{"a":1}')), rng.choice((20, 500, 100_000))) if deep else rng.choice(VALUES)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        return [*value[:place], _changed(rng, value[place], depth - 1), *value[place + 1 :]]
    key = rng.choice(sorted(value))
    how = rng.randrange(8)
    if how == 0:
        return {other: one for other, one in value.items() if other != key}
    if how == 1:
        return {**value, rng.choice(("", "x" * 10_000, "../x", "version", "\ud800", "a b")): value[key]}
    if how == 2:
        return {**value, **{f"{key}-{number}": value[key] for number in range(rng.choice((10, 20_000)))}}
    return {**value, key: _changed(rng, value[key], depth - 1)}


def text_of(value: Any) -> bytes:
    """JSON, and what only looks like it."""
    deep: list[Deep] = []

    def stand_in(thing: Any) -> str:
        deep.append(thing)
        return f"@deep {len(deep) - 1}@"

    text = json.dumps(value, default=stand_in)
    for number, thing in enumerate(deep):
        text = text.replace(f'"@deep {number}@"', thing.text)
    return text.encode(errors="surrogatepass")


# ---- what is done with it -----------------------------------------------------------------------------------


def uses(folder: Path) -> list[Callable[[], Any]]:
    """What the demo and the commands do with a folder of weights."""
    from deconvdemo.checkpoints.checkpoint import load_checkpoint
    from deconvdemo.checkpoints.promotion import history, promote, rollback, versions
    from deconvdemo.checkpoints.serving import Weights
    from deconvdemo.evaluation.lineage import of_old_lines
    from deconvdemo.feedback.review.lineage import learned_from
    from deconvdemo.release.push import FolderRelease

    def told() -> None:
        lines = history(folder)
        known = of_old_lines(lines)
        versions(lines), [learned_from(known, line["sha256"]) for line in lines[:50]]

    def looked() -> None:
        weights = Weights(folder)
        ready: dict[str, Any] = {}
        weights._take_over("bundled", ready.update)
        for name in weights.names():
            served(weights.load(name))

    names = ("denoise", "denoise-photo", "upscale-x2")
    files = [partial_of(load_checkpoint, folder / f"{name}.safetensors") for name in names]
    return [
        *(lambda load=load: served(load()) for load in files),
        told,
        looked,
        lambda: Weights(folder, str(folder)).list(),
        lambda: [found.load() for found in Weights(folder).candidates()],
        lambda: FolderRelease.of(folder),
        lambda: rollback(folder, "denoise"),
        lambda: promote(folder / "denoise-photo.safetensors", folder, {}),
    ]


def partial_of(function: Callable[..., Any], *given: Any) -> Callable[[], Any]:
    return lambda: function(*given)


def served(checkpoint: Any) -> None:
    """What was not refused computes a small photo."""
    import torch

    network = checkpoint.network()
    made = network(torch.zeros(1, network.image_channels + network.side_channels, 12, 20))
    assert made.shape == (1, 3, 12 * checkpoint.header.scale, 20 * checkpoint.header.scale)


def refusals(folder: Path, begun: Callable[[], None]) -> list[str]:
    """What each use was refused with; `begun` is told of each. Raises whatever is no sentence of ours."""
    from deconvdemo.errors import DeconvdemoError

    found = []
    for use in uses(folder):
        begun()
        try:
            use()
        except DeconvdemoError as error:
            sentence = str(error)
            if "\n" in sentence or len(sentence) > 2000 or not sentence.isprintable():
                raise AssertionError(f"not one short sentence: {sentence[:200]!r}") from error
            found.append(sentence)
    return found


def try_them(pipe: Any, seed: int) -> None:
    """In a process of its own: the folder of each number that comes, and what became of it."""
    import logging

    logging.disable()
    os.environ.update(HF_HUB_OFFLINE="1")  # an index may name other repositories: nothing is to be fetched here
    import torch

    torch.set_num_threads(1)
    files = whole()
    begun = lambda: pipe.send(("begun", "", 0.0))
    refused = refusals_of(Case("whole", files), begun)
    pipe.send(("ready", refused, 0.0))
    while (number := pipe.recv()) is not None:
        begin, tried = time.monotonic(), case(number, seed, files)
        try:
            outcome = ("refused", tried.what) if refusals_of(tried, begun) else ("served", tried.what)
        except BaseException as error:  # noqa: BLE001 - Rust's panics, too: each is told by its number
            outcome = (f"{type(error).__name__}: {str(error)[:200]}", tried.what)
        pipe.send((*outcome, time.monotonic() - begin))
    pipe.send(("memory", most_memory(), 0))


def most_memory() -> int:
    """Bytes that this process had at most.

    On Linux not getrusage's figure, which a process inherits from the one that started it.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:  # macOS, where it is in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def refusals_of(tried: Case, begun: Callable[[], None]) -> list[str]:
    with tempfile.TemporaryDirectory() as place:
        tried.write(Path(place))
        return refusals(Path(place), begun)


class Worker:
    """A process that tries them, and is killed where it takes too long."""

    def __init__(self, seed: int):
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=try_them, args=(theirs, seed), daemon=True)
        self.process.start()
        theirs.close()
        what, refused, _ = self.answer(STARTING)
        if (
            what != "ready" or len(refused) > 2
        ):  # of a whole folder: a rollback to what was never there, a repeated promotion
            raise SystemExit(f"a whole folder of weights is refused: {what} {refused}")

    def answer(self, seconds: float) -> tuple[str, Any, float]:
        try:
            while self.pipe.poll(seconds):
                if (told := self.pipe.recv())[0] != "begun":
                    return told
        except EOFError:
            return "crash", "", 0.0
        return "hang", "", seconds

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def attack(files: int, seed: int, minutes: float) -> tuple[Counter[str], list[str], float]:
    """(outcome → folders, a line for each that should not be, the slowest in seconds)."""
    counted: Counter[str] = Counter()
    wrong: list[str] = []
    slowest, end, worker = 0.0, time.monotonic() + 60 * minutes, Worker(seed)
    for number in range(files):
        if time.monotonic() > end:
            break
        worker.pipe.send(number)
        outcome, what, seconds = worker.answer(SECONDS)
        slowest = max(slowest, seconds)
        counted[outcome if outcome in ("refused", "served", "hang", "crash") else "other exception"] += 1
        if outcome not in ("refused", "served"):
            wrong.append(f"--seed {seed}, number {number}, {what}: {outcome}")
        if outcome in ("hang", "crash"):
            worker.stop()
            worker = Worker(seed)
    worker.pipe.send(None)
    _, memory, _ = worker.answer(SECONDS)
    worker.stop()
    if isinstance(memory, int) and memory > MEMORY:
        wrong.append(f"--seed {seed}: {memory / 1e9:.1f} GB were taken")
    return counted, wrong, slowest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    counted, wrong, slowest = attack(options.files, options.seed, options.minutes)
    told = ", ".join(f"{number:,} {outcome}" for outcome, number in counted.most_common())
    print(f"{counted.total():,} folders of weights: {told}; the slowest took {slowest:.1f} s")
    print("\n".join(wrong))
    return 1 if wrong or counted.total() < options.files else 0


if __name__ == "__main__":
    sys.exit(main())
