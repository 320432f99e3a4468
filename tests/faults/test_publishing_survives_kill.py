"""Law 7, to its end: what was acknowledged is in the published dataset once, whatever is killed, whenever."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from feedback_flags import flag_of
from published import rows_of

sys.path.insert(0, str(Path(__file__).parents[1] / "hub"))

from hub_emulator import HubEmu

ROUNDS = 40  # of a process without pages; benchmarks/kills.py kills whole demos, as often as one likes
REPO = "lab/crashes"

# forked from a server that has imported all this already: a round takes a fraction of a second
PROCESSES = multiprocessing.get_context("forkserver")
PRELOADED = ["imported_to_publish"]


# where to kill the child; None: at a moment of no choosing
STEPS = [f"{when} {what}" for what in ("freeze", "sending", "commit", "committed") for when in ("at", "after")]
STEPS += [None] * len(STEPS)


def event_of(number: int):
    from deconvdemo.feedback.events.opinions import Verdict, Vote

    if number % 5 == 3:
        return Verdict(flag_id=f"flag-{number}", reviewer="ada", decision="accept", client_token=f"verdict-{number}")
    if number % 5 == 4:
        return Vote(task="denoise", choice="left", observed=flag_of(number).observed, client_token=f"vote-{number}")
    return flag_of(number, comment=f"flag {number}")


def work_until_killed(folder: Path, number: int, url: str, told) -> None:
    """Stores events and publishes them, and tells of each that was acknowledged and of each step."""
    assert url == constants().ENDPOINT
    assert sys.modules.keys() >= set(PRELOADED)
    from deconvdemo.feedback.dataset.publish import Publisher
    from deconvdemo.feedback.dataset.repository import DatasetHub
    from deconvdemo.feedback.store.store import FeedbackStore

    store = FeedbackStore(folder, min_free_mb=0)
    publisher = Publisher(store, DatasetHub(REPO), commits_per_hour=100_000)
    for step in ("freeze", "sending", "committed"):
        telling(publisher.publication.shards, step, told)
    telling(publisher.hub, "commit", told)
    while True:
        for _ in range(3):
            told.send(("acknowledged", number, store.add(event_of(number)).flag_id))
            number += 1
        publisher.round(with_tidying=number % 4 == 0)


def telling(thing, name: str, told) -> None:
    work = getattr(thing, name)

    def tell(*arguments, **options):
        told.send(("at", name, None))
        done = work(*arguments, **options)
        told.send(("after", name, None))
        return done

    object.__setattr__(thing, name, tell)


def constants():
    from huggingface_hub import constants

    return constants


@pytest.mark.timeout(600)
def test_acknowledged_events_are_published_once_whatever_is_killed(tmp_path):
    # in a process of its own: its fork server imports the Hub's client, which reads HF_* at that moment
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        process.submit(crash_and_look, tmp_path, random.randrange(1_000_000)).result()


def crash_and_look(tmp_path: Path, seed: int) -> None:
    PROCESSES.set_forkserver_preload(PRELOADED)
    moments = random.Random(seed)
    acknowledged: dict[int, str] = {}
    killed_at: Counter[str] = Counter()
    with HubEmu(tmp_path / "hub") as hub:
        os.environ.update(hub.env(tmp_path / "home"), PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
        number = 0
        for _ in range(ROUNDS):
            receiver, sender = PROCESSES.Pipe(duplex=False)
            # what was being saved when the last one was killed is sent again, with its token
            child = PROCESSES.Process(target=work_until_killed, args=(tmp_path / "data", number, hub.url, sender))
            child.start()
            sender.close()
            last = "idle"
            step = moments.choice(STEPS)  # kill it there, or, every other time, at any moment
            until = time.monotonic() + (60 if step else moments.uniform(0, 0.5))
            assert receiver.poll(60), f"seed {seed}: the child does nothing"
            try:
                while not step or last != step:
                    if not receiver.poll(max(0, until - time.monotonic())):
                        break
                    last = heard(receiver, acknowledged)
                child.kill()
                while True:
                    last = heard(receiver, acknowledged)
            except EOFError:
                receiver.close()
            child.join()
            assert child.exitcode == -9, f"seed {seed}"
            killed_at[last] += 1
            number = len(acknowledged)
        published = PROCESSES.Process(target=publish_the_rest, args=(tmp_path / "data", hub.url))
        published.start()
        published.join(120)
        assert published.exitcode == 0, f"seed {seed}: the last publication failed"
        rows = {kind: rows_of(hub, REPO, kind) for kind in ("flags", "verdicts", "votes")}

    names = {"flags": "flag_id", "verdicts": "verdict_id", "votes": "vote_id"}
    found = Counter(row[names[kind]] for kind, those in rows.items() for row in those)
    assert max(found.values()) == 1, f"seed {seed}: published twice"
    missing = set(acknowledged.values()) - set(found)
    assert not missing, f"seed {seed}: {len(missing)} acknowledged events were lost"
    assert len(found) - len(acknowledged) <= 1, f"seed {seed}"  # one may have been saved without the word of it
    for row in rows["flags"]:
        flag = flag_of(int(row["comment"].split()[1]))
        assert (row["observed"]["bytes"], row["restored"]["bytes"]) == (flag.observed, flag.restored), f"seed {seed}"
    assert len(acknowledged) >= ROUNDS
    # the kills must have met what matters: before and after the file is frozen, noted, and committed
    assert len(killed_at) >= len(STEPS) / 4, f"seed {seed}: {killed_at}"


def heard(receiver, acknowledged: dict[int, str]) -> str:
    """Where the child is, by the next thing it tells."""
    what, about, event_id = receiver.recv()
    if what == "acknowledged":
        acknowledged[about] = event_id
        return "adding"
    return f"{what} {about}"


def publish_the_rest(folder: Path, url: str) -> None:
    assert url == constants().ENDPOINT
    from deconvdemo.feedback.dataset.publish import Publisher
    from deconvdemo.feedback.dataset.repository import DatasetHub
    from deconvdemo.feedback.store.store import FeedbackStore

    publisher = Publisher(FeedbackStore(folder, min_free_mb=0), DatasetHub(REPO), commits_per_hour=100_000)
    for _ in range(5):
        publisher.publish()
    assert publisher.status()["waiting"] == 0
