"""How long a reviewer waits with many flags in the store: a page, a filter's change, the counts, the next flag.

python benchmarks/review.py [--rows 1000 100000]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from flags import photo
from sqlalchemy import insert, select

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import postgres

from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.events.records import REASONS, Flag
from deconvdemo.feedback.review import insights, lineage
from deconvdemo.feedback.review.agreement import agreement
from deconvdemo.feedback.review.audit import audit
from deconvdemo.feedback.review.counts import counts
from deconvdemo.feedback.review.gold_items import GoldItems
from deconvdemo.feedback.review.likeness import Likenesses, pieces_of
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.review.replays import Replays
from deconvdemo.feedback.review.view import View
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.ledger import count
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import flags, likenesses, replays, reviews, verdicts
from deconvdemo.web.review.service import ReviewService

SENTENCES = ("the beard is gone", "the sky has noise", "halo at the edges", "the text is soft", "too smooth a wall")


def fill(store: FeedbackStore, number: int) -> None:
    """Flags as visitors leave them, a third judged by one reviewer and a tenth by two; without files of images."""
    chance, first = random.Random(0), datetime(2026, 1, 1, tzinfo=UTC)
    flag = Flag(task="denoise", observed=photo(0, 8), restored=photo(1, 8), reasons=("seams",))
    verdict = Verdict(flag_id="f", reviewer="ada", decision="accept")
    row, opinion = (
        KINDS["flags"].row(flag, {"observed": "o.png", "restored": "r.png"}),
        KINDS["verdicts"].row(verdict, {}),
    )
    for start in range(0, number, 5000):
        rows, judged, said = [], [], []
        for place in range(start, min(start + 5000, number)):
            flag_id = uuid4().hex
            sha256 = f"{chance.randrange(6):x}" * 64
            reasons = ["good"] if chance.random() < 0.3 else chance.sample([*REASONS][1:], chance.randint(1, 3))
            rows.append(
                row
                | {
                    "flag_id": flag_id,
                    "client_token": flag_id,
                    "task": chance.choice(("denoise", "upscale", "inpaint")),
                }
                | {"comment": ", ".join(chance.choices(SENTENCES, k=2)), "reasons": json.dumps(reasons)}
                | {"checkpoint": json.dumps({"name": "n", "sha256": sha256}, separators=(",", ":"))}
                | {"created_at": (first + timedelta(minutes=place)).isoformat(timespec="microseconds")}
            )
            names = ["ada", "bob"][: 2 if chance.random() < 0.1 else 1 if chance.random() < 0.33 else 0]
            decisions = [chance.choice(("accept", "reject")) for _ in names]
            for name, decision in zip(names, decisions, strict=True):
                said.append(
                    opinion
                    | {"verdict_id": uuid4().hex, "client_token": None}
                    | {"flag_id": flag_id, "reviewer": name, "decision": decision}
                )
            if names:
                accepted = decisions.count("accept")
                counts = {"accepted": accepted, "rejected": len(names) - accepted, "without_target": 0}
                judged.append({"flag_id": flag_id, "reviewers": len(names), **counts})
        with store.writing() as connection:
            connection.execute(insert(flags), rows)
            connection.execute(insert(verdicts), said)
            connection.execute(insert(reviews), judged)
            count(connection, "flags", len(rows))
    if store.database_url:
        with store.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")


def relate(store: FeedbackStore, ids: list[str]) -> None:
    """Hashes in place of pictures, every tenth like the one before it, and a hundred catch items."""
    chance, value, family = random.Random(1), 0, ""
    for start in range(0, len(ids), 5000):
        rows = []
        for place, flag_id in enumerate(ids[start : start + 5000]):
            if not family or place % 10:
                value, family = chance.getrandbits(64), flag_id
            pieces = {f"piece{number}": piece for number, piece in enumerate(pieces_of(value))}
            rows.append({"flag_id": flag_id, "hash": f"{value:016x}", "family": family, **pieces})
        with store.writing() as connection:
            connection.execute(insert(likenesses), rows)
    for flag_id in chance.sample(ids, 100):
        GoldItems(store).set(flag_id, "accept", "bench")


def replay(store: FeedbackStore) -> None:
    """Two releases that have replayed 10,000 accepted flags, or as many as there are."""
    chance = random.Random(2)
    accepted = select(reviews.c.flag_id).where(reviews.c.accepted == reviews.c.reviewers).limit(10_000)
    with store.writing() as connection:
        ids = connection.execute(accepted).scalars().all()
        for sha256 in ("a" * 64, "b" * 64):
            fixed = {"sha256": sha256, "target": "t.png", "flagged": 30.0, "created_at": "2026-11-20"}
            rows = [
                {**fixed, "flag_id": flag_id, "now": chance.gauss(30.2, 1), "held_back": chance.random() < 0.2}
                for flag_id in ids
            ]
            connection.execute(insert(replays), rows)
    for sha256 in ("a" * 64, "b" * 64):
        lineage.note_weights(store, "denoise", sha256, "", {})


def longest(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of the slowest of some calls."""
    worst = 0.0
    for _ in range(times):
        begin = time.perf_counter()
        work()
        worst = max(worst, time.perf_counter() - begin)
    return worst


def measure(store: FeedbackStore, number: int) -> None:
    fill(store, number)
    queue = ReviewQueue(store, needed=2)
    middle = queue.ids(View(status="all"), "ada", limit=200)[-1]
    waits: dict[str, Callable[[], object]] = {
        "a page": lambda: queue.ids(View(), "ada"),
        "a page, disagreement first": lambda: queue.ids(View(sort="disputed"), "ada"),
        "a page by text": lambda: queue.ids(View(text="beard is"), "ada"),
        "a page by text that is nowhere": lambda: queue.ids(View(text="nowhere at all"), "ada"),
        "all counts": lambda: counts(queue, View(task="denoise"), "ada"),
        "the next flag": lambda: queue.ids(View(), "ada", middle, 1),
        "the next one of few": lambda: queue.ids(View(status="disputed", sort="disputed"), "cyd", middle, 1),
    }
    desk = ReviewService(queue, None, 1)  # nothing is run again here
    relate(store, list(store.ids()))
    alike, catches = Likenesses(store), GoldItems(store)
    replay(store)
    replayed = Replays(store)
    waits |= {
        "a page as the page asks for it": lambda: desk.page(View(), "ada", "", 50),
        "how many are of one picture": lambda: alike.family(middle),
        "flags of one picture": lambda: queue.ids(View(status="all", family=middle), "ada"),
        "the audit list": lambda: audit(store, "ada"),
        "agreement": lambda: agreement(store),
        "reviewers' accuracy": catches.accuracy,
        "the releases' counts": lambda: replayed.releases("ada"),
        "a page of a release": lambda: replayed.page("b" * 64, reviewer="ada"),
        "the plots' numbers": lambda: (
            insights.flags_a_day(store, datetime(2026, 3, 1, tzinfo=UTC)),
            insights.reasons(store),
            insights.rates(store),
            insights.progress(store, 2),
        ),
    }
    print(f"  {number:,} flags")
    for what, work in waits.items():
        print(f"    {what:<32} {longest(work) * 1000:7.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("SQLite, the slowest of five")
        for number in options.rows:
            measure(FeedbackStore(Path(folder) / str(number), min_free_mb=0), number)
        if programs := postgres.programs():
            print("PostgreSQL, on this machine")
            server = postgres.Server(programs)
            try:
                for number in options.rows:
                    place = Path(folder) / f"postgres-{number}"
                    measure(FeedbackStore(place, server.database(), min_free_mb=0), number)
            finally:
                server.remove()
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")


if __name__ == "__main__":
    main()
