"""How fast feedback is published: rows and megabytes a second, against a Hub on this machine, so that neither the
network nor the Hub is measured; and whether it grows with what is published already.

    python benchmarks/publish.py [--rows 0 20000] [--flags 300]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests"), str(ROOT / "tests/hub")]


def measure(folder: Path, repo: str, before: int, number: int) -> None:
    from flags import fill, photo
    from sqlalchemy import insert, update

    from deconvdemo.feedback.dataset.publish import Publisher
    from deconvdemo.feedback.dataset.repository import DatasetHub
    from deconvdemo.feedback.events.records import Flag
    from deconvdemo.feedback.store.store import FeedbackStore
    from deconvdemo.feedback.store.tables import flags, shards

    store = FeedbackStore(folder, min_free_mb=0)
    fill(store, before)
    with store.writing() as connection:  # as if they had been published, fifty at a time
        for start in range(0, before, 50):
            path = f"data/flags/2026-01-01/{'filled'}-{start}.parquet"
            values = {"kind": "flags", "path": path, "sha256": f"{start:064}", "bytes": 1, "rows": 50, "state": "gone"}
            row = insert(shards).values(**values, created_at="2026-01-01").returning(shards.c.shard)
            shard = connection.execute(row).scalar_one()
            mine = flags.c.sequence.between(start + 1, start + 50)
            connection.execute(update(flags).where(mine).values(shard=shard))
    for flag in range(number):
        store.add(Flag(task="denoise", observed=photo(2 * flag), restored=photo(2 * flag + 1), reasons=("seams",)))
    publisher = Publisher(store, DatasetHub(repo), commits_per_hour=100_000)
    publisher.publication._head()  # the repository is there
    commits = 0
    begin = time.perf_counter()
    while publisher.publish().rows:
        commits += 1
    seconds = time.perf_counter() - begin
    publisher.release()
    megabytes = (store.totals()["bytes"] - 200 * before) / 1e6
    print(
        f"  {before:>9,} rows published before: {number / seconds:5.1f} rows/s, {megabytes / seconds:5.1f} MB/s "
        f"({number} rows, {megabytes:.0f} MB, {commits} commits in {seconds:.1f} s)"
    )
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[0, 20_000])
    parser.add_argument("--flags", type=int, default=200)
    options = parser.parse_args()
    from hub_emulator import HubEmu

    with tempfile.TemporaryDirectory() as folder, HubEmu(Path(folder) / "hub") as hub:
        os.environ.update(hub.env(Path(folder) / "home"))  # before the Hub's client is imported
        print(f"{options.flags} flags of two 1-megapixel images")
        for before in options.rows:
            measure(Path(folder) / str(before), f"lab/bench-{before}", before, options.flags)


if __name__ == "__main__":
    main()
