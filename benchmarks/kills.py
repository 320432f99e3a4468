"""Flags by HTTP to real demos that are killed with -9 at moments of no choosing: none may be lost, none may be twice.

    python benchmarks/kills.py [--kills 200] [--minutes 60] [--seed 0]

Each demo is started on what the last one left, takes flags and publishes them to a Hub on this machine. Whoever had no
answer when it was killed asks again, with the same token. At the end what was acknowledged is counted against what is
stored and what is published. SQLite has half of the kills, and PostgreSQL, where the machine has its programs, the
other half. Ends with status 1 if a flag is lost, or there twice, or too few were taken for this to mean something.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/hub"), str(ROOT / "tests/faults")]

REPO = "lab/kills"
WINDOW = 2.0  # seconds within which a demo is killed, once it has acknowledged a flag
WORKING = 30.0  # seconds until it must have
SENDERS = 3
ENDINGS = 90.0  # seconds until the last demo has published all
MANY = {"FLAGS_PER_VISITOR": "1000000", "FLAGS_PER_HOUR": "1000000", "COMMITS_PER_HOUR": "100000", "PRECISION": "fp32"}


@dataclass
class Visitors:
    """They flag one result again and again; a flag without an answer is sent once more, to the demo that comes next."""

    restoration_id: str = ""
    url: str = ""  # of the demo that lives; "": none does
    acknowledged: dict[str, str] = field(default_factory=dict)  # token → flag id
    different: list[str] = field(default_factory=list)  # tokens that were given two ids
    over: bool = False

    def begin(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._flag, args=(number,), daemon=True) for number in range(SENDERS)]
        for thread in threads:
            thread.start()
        return threads

    def ask(self, url: str) -> None:
        """Sends them to this demo, and returns when it has acknowledged a flag."""
        before, until = len(self.acknowledged), time.monotonic() + WORKING
        self.url = url
        while len(self.acknowledged) == before and time.monotonic() < until:
            time.sleep(0.01)

    def _flag(self, sender: int) -> None:
        number = 0
        while not self.over:
            token = f"kills-{sender}-{number}"
            if not self.url or not (flag_id := self._sent(self.url, token)):
                time.sleep(0.05)
                continue
            self.acknowledged[token] = flag_id
            number += 1
            if number % 5 == 0 and self.url and self._sent(self.url, token) not in ("", flag_id):
                self.different.append(token)

    def _sent(self, url: str, token: str) -> str:
        """The flag's id; "" where nobody answers."""
        given = [self.restoration_id, ["seams"], token, True, None, None, token]
        with suppress(OSError, HTTPException, ValueError, LookupError, TypeError):
            return call(url, "flag", given)[0]["flag_id"]
        return ""


def call(url: str, name: str, given: list[Any], seconds: float = 20) -> list[Any]:
    """What one of the demo's endpoints answers. OSError, HTTPException and ValueError where it does not."""
    data = json.dumps({"data": given}).encode()
    request = urllib.request.Request(f"{url}/gradio_api/call/{name}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=seconds) as reply:
        event_id = json.load(reply)["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/{name}/{event_id}", timeout=seconds) as reply:
        lines = reply.read().decode().splitlines()
    return json.loads(lines[lines.index("event: complete") + 1].removeprefix("data: "))


@dataclass(frozen=True)
class Outcome:
    kills: int
    acknowledged: int
    stored: int
    published: int
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.acknowledged:,} flags acknowledged, {self.stored:,} stored, "
            f"{self.published:,} published" + "".join(f"\n  {line}" for line in self.wrong)
        )


def attack(folder: Path, kills: int, minutes: float, seed: int, database_url: str = "") -> Outcome:
    """So many demos in one folder, one after another, and what they leave."""
    import tiny
    from demo_app import becomes, running_door
    from hub_emulator import HubEmu

    from deconvdemo.tasks import TASKS

    moments, visitors, killed, end = random.Random(seed), Visitors(), 0, time.monotonic() + 60 * minutes
    (folder / "weights").mkdir(parents=True)
    tiny.weights_file(folder / "weights", TASKS["denoise"], {"variant": "standard"})
    settings = {f"DECONVDEMO_{name}": value for name, value in MANY.items()}
    settings |= {"DECONVDEMO_DATABASE_URL": database_url, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with HubEmu(folder / "hub") as hub:
        demo = lambda: running_door(folder / "weights", folder / "data", hub, REPO, **settings)
        threads: list[threading.Thread] = []
        while killed < kills and time.monotonic() < end:
            with demo() as (url, _):
                if not threads:
                    visitors.restoration_id = restored(url)
                    threads = visitors.begin()
                visitors.ask(url)  # it works: kill it a moment later
                time.sleep(moments.uniform(0, WINDOW))
            visitors.url = ""  # it is dead now
            killed += 1
        with demo() as (url, _):
            visitors.ask(url)
            visitors.over = True
            for thread in threads:
                thread.join(60)
            becomes(f"{url}/healthz", lambda facts: not facts["publishing"]["waiting"], ENDINGS)
        return counted(hub, folder / "data", database_url, visitors, killed)


def restored(url: str) -> str:
    """A result that is flagged: its id."""
    import tiny
    from demo_app import png
    from gradio_client import Client, handle_file

    with tempfile.TemporaryDirectory() as place, redirect_stdout(io.StringIO()):
        (photo := Path(place) / "photo.png").write_bytes(png(tiny.picture(24, 32)))
        _, report = Client(url, verbose=False).predict(handle_file(photo), sigma=20, api_name="/denoise")
    return report["restoration_id"]


def counted(hub: Any, data_dir: Path, database_url: str, visitors: Visitors, killed: int) -> Outcome:
    from published import rows_of

    from deconvdemo.feedback.store.store import FeedbackStore

    store = FeedbackStore(data_dir, database_url, min_free_mb=0)
    stored = [(flag.comment, flag.flag_id) for flag in store.flags()]  # each comment is its token
    store.close()
    published = Counter(row["flag_id"] for row in rows_of(hub, REPO, "flags"))
    given = visitors.acknowledged
    wrong = [f"{token} was given two ids" for token in visitors.different]
    wrong += [f"{token} {given[token]} was acknowledged, and is lost" for token in given.keys() - dict(stored).keys()]
    wrong += [f"{token} is stored twice" for token, times in Counter(token for token, _ in stored).items() if times > 1]
    wrong += [f"{token} is {one}, not {given[token]}" for token, one in stored if given.get(token, one) != one]
    wrong += [f"{token} {one} is not published" for token, one in given.items() if one not in published]
    wrong += [f"{one} is published {times} times" for one, times in published.items() if times > 1]
    if len(given) < killed:
        wrong.append("too few flags were taken for this to mean something")
    return Outcome(killed, len(given), len(stored), published.total(), tuple(wrong))


def main() -> int:
    import postgres

    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    programs = postgres.programs()
    parts = 1 if programs is None else 2
    kills, minutes = -(-options.kills // parts), options.minutes / parts
    print(f"--seed {options.seed}")
    with tempfile.TemporaryDirectory() as place:
        outcomes = [attack(Path(place) / "sqlite", kills, minutes, options.seed)]
        print(f"SQLite: {outcomes[0]}", flush=True)
        if programs is None:
            print("PostgreSQL: not on this machine, not tried")
        else:
            server = postgres.Server(programs)
            try:
                outcomes.append(attack(Path(place) / "postgres", kills, minutes, options.seed, server.database()))
            finally:
                server.remove()
            print(f"PostgreSQL: {outcomes[-1]}")
    if any(outcome.kills < kills for outcome in outcomes):
        print(f"the time was over before {options.kills} kills: give more --minutes")
        return 1
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
