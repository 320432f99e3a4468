"""Four app processes that publish to one dataset: on one database, or each with its own; no row twice, none lost."""

from __future__ import annotations

import time
from collections import Counter
from uuid import uuid4

import feedback_client as at
import pytest
from feedback_flags import flag_of


@pytest.fixture
def repo() -> str:
    return f"lab/replicas-{uuid4().hex[:8]}"


def each_once(hub, repo: str, ids: set[str]) -> None:
    rows = hub.rows(repo)
    assert max(Counter(row["flag_id"] for row in rows).values()) == 1
    assert {row["flag_id"] for row in rows} == ids
    for row in rows:
        flag = flag_of(int(row["comment"].split()[1]))
        assert (row["observed"]["bytes"], row["restored"]["bytes"]) == (flag.observed, flag.restored)


def troubled(hub) -> None:
    """A Hub that is not at its best while all of them publish."""
    hub.fault(r"POST .*/commit/", "lost_reply", 2)
    hub.fault(r"POST .*/commit/", "status", 2, code=500)
    hub.fault(r"^PUT ", "drop", 1)


def test_four_processes_on_one_database(hub, client, four_clients, repo, tmp_path, postgres):
    folder, url = str(tmp_path / "data"), postgres.database()
    client(at.publish_until_all_is, folder, repo, url)  # the dataset is there
    troubled(hub)
    start = time.time() + 4
    found = four_clients(at.replica, [(folder, repo, url, number, start) for number in range(1, 5)])
    hub.clear()
    ids = {flag for one in found for flag in one}
    assert len(ids) == 4 * 20 + 10  # ten clicks reached all of them
    assert set(client(at.publish_until_all_is, folder, repo, url)) == ids
    each_once(hub, repo, ids)


def test_four_processes_with_a_database_each(hub, client, four_clients, repo, tmp_path):
    folders = [str(tmp_path / f"data-{number}") for number in range(1, 5)]
    troubled(hub)
    start = time.time() + 4
    calls = [(folder, repo, "", number, start) for number, folder in enumerate(folders, 1)]
    ids = {flag for one in four_clients(at.replica, calls) for flag in one}
    hub.clear()
    assert len(ids) == 4 * 20
    for folder in folders:
        client(at.publish_until_all_is, folder, repo)
    for folder in folders:  # the last one's rows have reached the first one, too
        assert set(client(at.publish_until_all_is, folder, repo)) == ids
    each_once(hub, repo, ids)

    commits = [call for call in hub.requests() if "/commit/" in call]
    empty = str(tmp_path / "a new machine")
    assert set(client(at.publish_until_all_is, empty, repo)) == ids
    assert [call for call in hub.requests() if "/commit/" in call] == commits  # it had nothing to publish
    each_once(hub, repo, ids)
