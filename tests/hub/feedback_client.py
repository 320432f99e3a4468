"""What the publishing tests do in a process of its own: the Hub's client reads HF_* once, when it is imported."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

from feedback_flags import flag_of
from tables import make_sqlite

from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.dataset.publish import Publisher
from deconvdemo.feedback.dataset.repository import DatasetHub
from deconvdemo.feedback.dataset.rows import COLUMNS
from deconvdemo.feedback.events.opinions import Verdict, Vote
from deconvdemo.feedback.events.records import StoredFlag
from deconvdemo.feedback.exchange.importing import ImportPlan, import_feedback
from deconvdemo.feedback.review.pairs import snapshot
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.store import FeedbackStore


@lru_cache(8)
def store_in(folder: str, database_url: str = "") -> FeedbackStore:
    """One store for a folder, which stays open from call to call; migrations are not what is tested here."""
    if not database_url:
        make_sqlite(Path(folder))
    return FeedbackStore(Path(folder), database_url, min_free_mb=0)


def publisher(folder: str, repo: str, database_url: str = "", **options: Any) -> Publisher:
    options = {"commits_per_hour": 1000, **options}
    return Publisher(store_in(folder, database_url), DatasetHub(repo), **options)


def fill(folder: str, numbers: list[int], opinions: bool = False) -> list[str]:
    store = store_in(folder)
    ids = [store.add(flag_of(number, comment=f"flag {number}")).flag_id for number in numbers]
    if opinions:
        store.add(Verdict(flag_id=ids[0], reviewer="ada-1815", decision="accept", clean=flag_of(99).observed))
        store.add(Vote(task="denoise", choice="left", observed=flag_of(98).observed, flag_id=ids[0]))
    return ids


def publish(folder: str, repo: str, rounds: int = 1, options: dict[str, Any] | None = None) -> list[tuple[int, str]]:
    """Rows and error of each round."""
    one = publisher(folder, repo, **(options or {}))
    done = []
    for _ in range(rounds):
        with mock.patch("time.sleep"):  # the Hub's client waits between its own tries
            result = one.round()
        done.append((result.rows if result else -1, one.status()["error"]))
    one.release()
    return done


def replica(folder: str, repo: str, database_url: str, number: int, start: float) -> list[str]:
    """One of several app processes: flags come in on two threads while a third publishes; then it is stopped."""
    one = publisher(folder, repo, database_url)
    time.sleep(max(0.0, start - time.time()))

    def visitor(first: int) -> list[str]:
        ids = []
        for flag in range(first, first + 10):
            ids.append(one.store.add(flag_of(flag, comment=f"flag {flag}")).flag_id)
            # a click that reaches two replicas
            shared = flag_of(9000 + flag % 10, comment=f"flag {9000 + flag % 10}", client_token=f"click {flag % 10}")
            ids.append(one.store.add(shared).flag_id if database_url else ids[-1])
            time.sleep(0.02)
        return ids

    with ThreadPoolExecutor(2) as visitors:
        coming = [visitors.submit(visitor, first) for first in (number * 100, number * 100 + 50)]
        while not all(visit.done() for visit in coming):
            one.round()
        ids = [flag for visit in coming for flag in visit.result()]
    one.release()
    return ids


def publish_until_all_is(folder: str, repo: str, database_url: str = "") -> list[str]:
    """Rounds until nothing waits; returns what the store has then."""
    one = publisher(folder, repo, database_url)
    for _ in range(20):
        with mock.patch("time.sleep"):
            one.round()
        if not one.status()["waiting"] and not one.status()["error"]:
            break
    one.release()
    assert one.status()["waiting"] == 0, one.status()
    return list(one.store.ids())


def publish_with_a_new_column(folder: str, repo: str) -> list[tuple[int, str]]:
    """As a version of tomorrow would, whose flags have a mood."""
    columns = {**COLUMNS, "flags": {**COLUMNS["flags"], "mood": "the visitor's"}}
    with mock.patch.dict(COLUMNS, columns), mock.patch.object(StoredFlag, "mood", "fine", create=True):
        return publish(folder, repo)


def publish_and_tell(folder: str, repo: str) -> tuple[int, str, list[str]]:
    """Rows and error of a round, and what it found in the dataset that is not ours."""
    one = publisher(folder, repo)
    done = one.round()
    one.release()
    return done.rows if done else -1, one.status()["error"], one.status()["damaged"]


def import_from_hub(folder: str, repo: str) -> tuple[int, int, list[str]]:
    report = import_feedback(store_in(folder), f"hf://datasets/{repo}", ImportPlan())
    return report.added, report.known, report.refused


def command(folder: str, *words: str) -> int:
    """`deconvdemo …` with this data folder."""
    from deconvdemo.cli import main

    with mock.patch.dict("os.environ", {"DECONVDEMO_DATA_DIR": folder}):
        return main([*words])


def judged(folder: str, flag_id: str, photo: bytes, decision: str, clean: bytes | None, target: bytes | None) -> None:
    """A flag with this id, the visitor's `clean` version, and a verdict with the reviewer's `target`."""
    store = store_in(folder)
    store.add(flag_of(0, flag_id=flag_id, client_token=flag_id, observed=photo, restored=photo, clean=clean))
    uploaded = {"clean": target, "target": {"source": "upload"}} if target else {}
    store.add(Verdict(flag_id=flag_id, reviewer="ada", decision=decision, **uploaded))


def judge(folder: str, flag_id: str, decision: str, reviewer: str = "ada") -> None:
    store_in(folder).add(Verdict(flag_id=flag_id, reviewer=reviewer, decision=decision))


def decided(folder: str, flag_id: str) -> str:
    return ReviewQueue(store_in(folder)).opinions(flag_id).decision


def accept_too(folder: str, flag_id: str) -> None:
    store_in(folder).add(Verdict(flag_id=flag_id, reviewer="bob", decision="accept"))


@dataclass(frozen=True)
class Taught:
    """What a store's accepted flags teach: the flags that are trained on, those held back, and the snapshots' names."""

    names: tuple[str, str]
    trained: list[str]
    held_back: list[str]
    revision: str


def taught(folder: str) -> Taught:
    store = store_in(folder)
    one, other = (snapshot(store, "denoise", held_out=back) for back in (False, True))
    trained, held_back = ([pair.flag_id for pair in found.pairs] for found in (one, other))
    return Taught((one.name, other.name), trained, held_back, one.revision)


def status(folder: str, repo: str) -> dict[str, Any]:
    return publisher(folder, repo).status()


def erase_here(folder: str, ids: list[str]) -> list[str]:
    return erase(store_in(folder), ids).sentences()


def erased_during(step: str, folder: str, repo: str, ids: list[str]) -> tuple[int, str]:
    """A round of publishing during which somebody erases flags, just before one of its steps."""
    one = publisher(folder, repo)
    holder = one.publication if hasattr(one.publication, step) else one.publication.hub
    work = getattr(holder, step)

    def interrupted(*arguments: Any, **options: Any) -> Any:
        object.__setattr__(holder, step, work)
        erase_here(folder, ids)
        return work(*arguments, **options)

    object.__setattr__(holder, step, interrupted)
    done = one.round()
    assert getattr(holder, step) is work, f"{step} was not met"
    one.release()
    return done.rows if done else -1, one.status()["error"]


def stored(folder: str) -> dict[str, list[str]]:
    store = store_in(folder)
    return {kind: list(store.ids(kind)) for kind in KINDS}


def loaded(repo: str, kind: str = "flags", streaming: bool = False) -> list[dict[str, Any]]:
    """The rows as `datasets` gives them to anyone, images as bytes."""
    import datasets

    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.load_dataset(repo, kind, split="train", streaming=streaming, cache_dir=cache)
        for role in KINDS[kind].roles:
            rows = rows.cast_column(role, datasets.Image(decode=False))
        return [
            {name: value["bytes"] if isinstance(value, dict) else value for name, value in row.items()} for row in rows
        ]


def pauses(folder: str, repo: str, rounds: int) -> list[float]:
    """How long it waits after each of so many failures."""
    now = [1_800_000_000.0]
    one = publisher(folder, repo, steady=lambda: now[0])
    waited = []
    for _ in range(rounds):
        with mock.patch("time.sleep"):
            one.round()
        waited.append(one._next - now[0])
        now[0] = one._next
    return waited


def wait(folder: str, repo: str, options: dict[str, Any]) -> float:
    one = publisher(folder, repo, **options)
    try:
        return one.publish().wait
    finally:
        one.release()


def vote(folder: str) -> None:
    store_in(folder).add(Vote(task="denoise", choice="same"))


def publish_while_another_does(folder: str, other: str, repo: str) -> list[tuple[int, bool]]:
    """(rows, moved) of one round that another instance overtakes after the first has looked, and of the next ones."""
    one, two = publisher(folder, repo), publisher(other, repo)
    done = []
    commit = one.hub.commit

    def overtaken(*arguments: Any, **options: Any) -> str:
        object.__setattr__(one.hub, "commit", commit)
        done.append(two.round())
        return commit(*arguments, **options)

    object.__setattr__(one.hub, "commit", overtaken)
    first = one.round()
    moved = "somebody else" in one.status()["error"]
    second = one.round()
    return [
        (first.rows if first else -1, moved),
        (done[0].rows if done[0] else -1, False),
        (second.rows if second else -1, False),
    ]
