"""What tests of several modules share: weights of small untrained networks, and a Restorer that serves them."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from missing import missing

import deconvdemo.web  # noqa: F401 (before Gradio: its import takes half the time then)

# the test networks are so small that a second thread costs more than it brings; subprocesses inherit this
os.environ.setdefault("OMP_NUM_THREADS", "1")
# what is fastest here is measured anew, and nothing is left in the person's own cache
_cache = tempfile.TemporaryDirectory(prefix="deconvdemo-cache-")
os.environ["XDG_CACHE_HOME"] = _cache.name

# files that take long: with several workers they begin early, and quick ones fill up the end
_LONG = {f"test_{name}" for name in ("processes", "project", "promotion", "replays", "report", "restorer")}
_LONG |= {f"test_{name}" for name in ("sign_in", "starting", "swap", "train_command")}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Gradio, torch and all tests stay until the end: neither now nor later is looked for garbage among them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent == Path(__file__).parent and item.path.stem not in _LONG)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A folder of weights for every variant of every task and helper, as `weights/` is: small untrained networks."""
    import tiny

    from deconvdemo.tasks import TASKS

    folder = tmp_path_factory.mktemp("tiny_weights")
    for task in TASKS.values():
        for choices in task.combinations() if task.trains else ():
            tiny.weights_file(folder, task, choices)
    tiny.finder_of_white(folder)
    return folder


@pytest.fixture(scope="session")
def restorer(tiny_weights):
    """A Restorer in fp32 on the CPU with `tiny_weights`. Shared: build another one to change anything of it."""
    from deconvdemo.checkpoints.serving import Weights
    from deconvdemo.engine.device import Compute
    from deconvdemo.engine.restorer import Restorer

    return Restorer(Weights(tiny_weights), Compute("cpu", "fp32", "a test"))


@pytest.fixture(scope="session")
def postgres():
    """A private PostgreSQL server, started by the first test that asks."""
    import postgres

    programs = postgres.programs()
    if programs is None:
        missing(
            "NO POSTGRESQL, THE STORE IS TESTED ON SQLITE ALONE: install it (Debian: apt install postgresql; "
            "macOS: brew install postgresql)"
        )
    server = postgres.Server(programs)
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request) -> str:
    """An empty database of either kind (SQLite's is in the data folder): what uses it is tested on both."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres").database()


@pytest.fixture(scope="session")
def used_schemas() -> list[str]:
    """URLs of PostgreSQL's schemas that have their tables, and no rows any more."""
    return []


@pytest.fixture(params=["sqlite", "postgresql"])
def store(tmp_path, request, used_schemas):
    import tables

    if request.param == "sqlite":
        yield from _store(tmp_path)
        return
    from sqlalchemy.exc import SQLAlchemyError

    server = request.getfixturevalue("postgres")
    if used_schemas:
        url = used_schemas.pop()
    else:
        tables.make_postgresql(url := server.database())
    yield from _store(tmp_path, url)
    with suppress(SQLAlchemyError):  # a thread of the test's may still be at it
        tables.empty_postgresql(url)
        used_schemas.append(url)


@pytest.fixture
def sqlite_store(tmp_path):
    yield from _store(tmp_path)


def _store(data_dir: Path, url: str = ""):
    import tables

    from deconvdemo.feedback.store.store import FeedbackStore

    if not url:
        tables.make_sqlite(data_dir)
    store = FeedbackStore(data_dir, url, min_free_mb=0)
    yield store
    store.close()


@pytest.fixture
def measurements(monkeypatch):
    """How often it was measured, in processes that begin with `forget()`; bf16 wins."""
    from deconvdemo.engine import fastest as speed
    from deconvdemo.engine.compute import Compute

    done = []
    chosen = Compute("cpu", "bf16", "measured 2.2 × as fast as fp32 on this processor")
    monkeypatch.setattr(speed, "measure", lambda device: (done.append(device), speed.Measured(chosen, {}, True))[1])
    monkeypatch.setattr(speed, "_known", {})
    return done
