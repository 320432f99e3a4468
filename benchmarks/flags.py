"""How long a flag with a 1-megapixel photo takes until it is acknowledged, and whether that grows with what is stored.

    python benchmarks/flags.py [--rows 1000 100000] [--flags 300] [--database postgresql://…]

Without --database, SQLite and, where the machine has its programs, a private PostgreSQL server are measured. Both
sizes are measured in turns, one flag each, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image
from sqlalchemy import insert

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import postgres

from deconvdemo.feedback.events.records import Flag
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.ledger import count
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import blobs, flags


def photo(seed: int, side: int = 1000) -> bytes:
    """A PNG that is as large as a photograph's: smooth shapes and some noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side] / side
    waves = sum(np.sin(columns * a + rows * b + c) for a, b, c in random.uniform(-20, 20, (6, 3)))
    pixels = 128 + 20 * waves[..., None] + random.normal(0, 3, (side, side, 3))
    file = BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def fill(store: FeedbackStore, rows: int) -> None:
    """Rows as flags leave them, with a blob's row for each image; their files are not written."""
    flag = Flag(task="denoise", observed=photo(0, 8), restored=photo(1, 8), reasons=("seams",))
    row = KINDS["flags"].row(flag, {})
    for start in range(0, rows, 5000):
        ids = [uuid4().hex for _ in range(min(5000, rows - start))]
        images = {one: {role: f"{one}{role:0>32}.png" for role in ("observed", "restored")} for one in ids}
        with store.writing() as connection:
            names = [{"name": name, "bytes": 100, "uses": 1} for roles in images.values() for name in roles.values()]
            connection.execute(insert(blobs), names)
            connection.execute(
                insert(flags),
                [row | images[one] | {"flag_id": one, "client_token": one, "erase_key": one} for one in ids],
            )
            count(connection, "flags", len(ids))
            count(connection, "bytes", 200 * len(ids))


def acknowledged(store: FeedbackStore, observed: bytes, restored: bytes, number: int) -> float:
    """Seconds for one flag. Its bytes are new: a text chunk's place in the file is the only difference."""
    comment = f"flag {number}"
    begin = time.perf_counter()
    store.add(
        Flag(task="denoise", observed=observed, restored=restored, reasons=("seams",), comment=comment, visitor="v")
    )
    return time.perf_counter() - begin


def measure(url: str, sizes: list[int], number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stores = {}
        for size in sizes:
            own = url() if callable(url) else url
            stores[size] = FeedbackStore(Path(folder) / str(size), own, min_free_mb=0)
            fill(stores[size], size)
        for size in sizes:
            acknowledged(stores[size], photo(10_000_000 + size), photo(20_000_000 + size), -1)
        times: dict[int, list[float]] = {size: [] for size in sizes}
        for flag in range(number):
            observed, restored = photo(2 * flag), photo(2 * flag + 1)
            for size in sizes if flag % 2 else sizes[::-1]:
                times[size].append(acknowledged(stores[size], observed, restored, flag))
        first = np.percentile(times[sizes[0]], 50)
        for size in sizes:
            p50, p99 = np.percentile(times[size], [50, 99])
            megabytes = stores[size].totals()["bytes"] / 1e6
            print(
                f"  {size:>9,} rows: p50 {p50 * 1000:6.1f} ms, p99 {p99 * 1000:6.1f} ms; "
                f"p50 is {p50 / first:.2f} × that at {sizes[0]:,} rows ({megabytes:,.0f} MB of images)"
            )
            stores[size].close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--flags", type=int, default=200, help="how many are measured (default: 200)")
    options = parser.parse_args()
    size = (len(photo(0)) + len(photo(1))) / 1e6
    print(f"{options.flags} flags of two 1-megapixel images ({size:.1f} MB together), one after another")
    print("SQLite")
    measure("", options.rows, options.flags)
    programs = postgres.programs()
    if programs is None:
        print("PostgreSQL: not on this machine, not measured")
        return
    server = postgres.Server(programs, durable=True)
    try:
        print("PostgreSQL, on this machine")
        measure(server.database, options.rows, options.flags)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
