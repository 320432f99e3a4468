"""A Hub on this machine, and real clients of it in processes of their own."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import socket
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack

import pytest
from becoming import become
from hub_emulator import HubEmu


class Hub(HubEmu):
    """The emulator, with a way to put files there that needs no client."""

    def publish(
        self, repo: str, files: dict[str, bytes], tag: str = "", private: bool = False, kind: str = "models"
    ) -> str:
        """Commits the files to the repository's main branch; returns the commit."""
        self.store.create(kind, repo, private)
        record, parent = self.store.resolve(kind, repo, "main")
        tree = dict(parent["tree"])
        for name, data in files.items():
            if name.endswith((".safetensors", ".parquet", ".png")):
                sha256 = hashlib.sha256(data).hexdigest()
                (self.store.root / "lfs" / sha256).write_bytes(data)
                tree[name] = self.store.lfs_entry(sha256, len(data))
            else:
                tree[name] = self.store.put_blob(data)
        commit = self.store.put_commit(kind, repo, parent["id"], tree, "files", "")
        record["branches"]["main"] = commit
        if tag:
            record["tags"][tag] = commit
        self.store.save(kind, repo, record)
        return commit

    @staticmethod
    def index_of(files: dict[str, bytes], **overrides: str) -> bytes:
        """The index.json of some checkpoints' bytes; `overrides` give a name another sha256."""
        weights = {}
        for file, data in files.items():
            name = file.removesuffix(".safetensors")
            sha256 = overrides.get(name) or hashlib.sha256(data).hexdigest()
            weights[name] = {"file": file, "sha256": sha256, "repo": "", "revision": ""}
        return json.dumps({"version": 1, "weights": weights}).encode()

    def tree(self, repo: str, kind: str = "datasets") -> dict[str, dict]:
        """Path → entry of a repository's newest commit."""
        return self.store.resolve(kind, repo, "main")[1]["tree"]

    def content(self, repo: str, path: str, kind: str = "datasets") -> bytes:
        entry = self.tree(repo, kind)[path]
        place = self.store.root / "lfs" / entry["lfs"]["oid"] if "lfs" in entry else None
        return (place or self.store.root / "blobs" / entry["oid"]).read_bytes()

    def card(self, repo: str, kind: str = "datasets") -> str:
        return self.content(repo, "README.md", kind).decode()

    def commits(self, repo: str, kind: str = "datasets") -> list[str]:
        """The titles of the branch's commits, the oldest first."""
        titles, commit = [], self.store.resolve(kind, repo, "main")[1]
        while commit:
            titles.insert(0, commit["title"])
            commit = self.store.resolve(kind, repo, commit["parent"])[1] if commit["parent"] else None
        return titles

    def rows(self, repo: str, kind: str = "flags") -> list[dict]:
        """The rows of all of a dataset's files of a kind, images as the files have them."""
        from io import BytesIO

        from pyarrow.parquet import read_table

        files = {path: entry for path, entry in self.tree(repo).items() if path.startswith(f"data/{kind}/")}
        tables = [
            read_table(BytesIO((self.store.root / "lfs" / files[path]["lfs"]["oid"]).read_bytes()))
            for path in sorted(files)
        ]
        return [row for table in tables for row in table.to_pylist()]

    def requests(self) -> list[str]:
        return [f"{entry['m']} {entry['p']}" for entry in self.log]


@pytest.fixture(scope="session")
def one_hub(tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def hub(one_hub):
    """The Hub without faults and with an empty log."""
    one_hub.clear()
    one_hub.log.clear()
    yield one_hub
    one_hub.clear()


def _client(environment: dict[str, str]):
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit an imported Hub client
    return ProcessPoolExecutor(1, spawn, initializer=become, initargs=(environment,))


@pytest.fixture(scope="session")
def hub_home(tmp_path_factory):
    return tmp_path_factory.mktemp("hub_home")


@pytest.fixture(scope="session")
def client(one_hub, hub_home):
    """client(function, …) runs it in a process that talks to the Hub, with one cache for all tests."""
    with _client(one_hub.env(hub_home)) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result(timeout=120)


@pytest.fixture(scope="session")
def four_clients(one_hub, hub_home):
    """four_clients(function, [arguments, …]) runs it in four processes at once."""
    with ExitStack() as stack:
        pools = [stack.enter_context(_client(one_hub.env(hub_home))) for _ in range(4)]

        def run(function, calls):
            running = [pool.submit(function, *arguments) for pool, arguments in zip(pools, calls, strict=True)]
            return [one.result(timeout=180) for one in running]

        yield run


@pytest.fixture(scope="session")
def lonely_client(one_hub, tmp_path_factory):
    """The same with an empty cache and a Hub that nobody answers for."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, never listening: every connection is refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with _client({**one_hub.env(tmp_path_factory.mktemp("home")), "HF_ENDPOINT": url}) as pool:
            yield lambda function, *arguments: pool.submit(function, *arguments).result(timeout=120)
