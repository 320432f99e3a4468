"""An erased flag leaves the dataset: its files, its history, its large files; the other rows stay as they are."""

from __future__ import annotations

from uuid import uuid4

import feedback_client as at
import pytest
from feedback_flags import flag_of


@pytest.fixture
def repo() -> str:
    return f"lab/erasing-{uuid4().hex[:8]}"


def everything(hub, repo: str) -> bytes:
    """All bytes that any commit of the repository leads to."""
    store = hub.store
    record = store.repo("datasets", repo)
    seen, commits = b"", list(record["branches"].values())
    while commits:
        _, commit = store.resolve("datasets", repo, commits.pop())
        for entry in commit["tree"].values():
            file = store.root / "lfs" / entry["lfs"]["oid"] if "lfs" in entry else store.root / "blobs" / entry["oid"]
            seen += file.read_bytes()
        commits += [commit["parent"]] if commit["parent"] else []
    return seen


def test_an_erased_flag_is_nowhere_and_the_others_stay(hub, client, repo, tmp_path):
    folder = str(tmp_path / "data")
    ids = client(at.fill, folder, [1, 2, 3], True)
    client(at.publish, folder, repo)
    assert flag_of(1).observed in everything(hub, repo)
    files = {entry["lfs"]["oid"] for entry in hub.tree(repo).values() if "lfs" in entry}
    said = client(at.erase_here, folder, [ids[0]])
    assert "1 flag, 2 verdicts and votes about it" in said[0]
    assert any("Copies" in sentence for sentence in said)
    assert client(at.stored, folder) == {"flags": ids[1:], "verdicts": [], "votes": []}
    assert client(at.publish, folder, repo, 2)[-1] == (0, "")

    left = everything(hub, repo)
    for gone in (flag_of(1).observed, flag_of(1).restored, b"flag 1", b"ada-1815"):
        assert gone not in left
    assert not [sha256 for sha256 in files if (hub.store.root / "lfs" / sha256).exists()]
    rows = hub.rows(repo)
    assert [row["flag_id"] for row in rows] == ids[1:]
    assert [row["observed"]["bytes"] for row in rows] == [flag_of(2).observed, flag_of(3).observed]
    assert [row["flag_id"] for row in client(at.loaded, repo)] == ids[1:]
    old = [row for row in hub.requests() if "super-squash" in row]
    assert old
    said = client(at.erase_here, folder, [ids[0]])  # once more: the answer is what became of it
    assert any("is without it since commit" in sentence for sentence in said)


def test_other_instances_erase_it_too_and_it_never_comes_back(hub, client, repo, tmp_path):
    one, two, three = (str(tmp_path / name) for name in ("one", "two", "three"))
    ids = client(at.fill, one, [1, 2])
    client(at.publish, one, repo)
    client(at.publish, two, repo)
    assert client(at.stored, two)["flags"] == ids
    client(at.erase_here, two, [ids[0]])  # by its link, at another instance than the one that took it
    client(at.publish, two, repo, 2)
    client(at.publish, one, repo, 2)
    client(at.publish, three, repo)
    for folder in (one, two, three):
        assert client(at.stored, folder)["flags"] == [ids[1]]
    assert [row["flag_id"] for row in hub.rows(repo)] == [ids[1]]


def test_what_was_never_sent_is_thawed(hub, client, repo, tmp_path):
    folder = str(tmp_path / "data")
    ids = client(at.fill, folder, [1, 2])
    hub.fault(r"POST .*/commit/", "status", 1, code=500)  # frozen and noted as sending, but not committed
    assert client(at.publish, folder, repo)[0][0] == -1
    client(at.erase_here, folder, [ids[0]])
    assert client(at.publish, folder, repo, 2)[-1] == (0, "")
    assert [row["flag_id"] for row in hub.rows(repo)] == [ids[1]]
    assert flag_of(1).observed not in everything(hub, repo)
    shards = tmp_path / "data/feedback/shards"
    assert not [file for file in shards.iterdir() if flag_of(1).observed in file.read_bytes()]


@pytest.mark.parametrize("call", [r"POST .*/commit/", r"POST .*/super-squash/", r"POST .*/preupload/", r"GET .*/tree/"])
@pytest.mark.parametrize("kind", ["lost_reply", "drop"])
def test_an_erasure_outlives_faults(hub, client, repo, tmp_path, call, kind):
    folder = str(tmp_path / "data")
    ids = client(at.fill, folder, [1, 2])
    client(at.publish, folder, repo)
    client(at.erase_here, folder, [ids[0]])
    hub.fault(call, kind, 1)
    assert client(at.publish, folder, repo, 4)[-1] == (0, "")
    assert [row["flag_id"] for row in hub.rows(repo)] == [ids[1]]
    assert flag_of(1).observed not in everything(hub, repo)


STEPS = ["_head", "_settle", "_rewrite_what_holds_erased", "_batch", "_commit", "commit", "_note_erased"]


@pytest.mark.parametrize("step", STEPS)
def test_an_erasure_at_any_moment_of_a_publication_is_carried_out(hub, client, repo, tmp_path, step):
    folder = str(tmp_path / "data")
    ids = client(at.fill, folder, [1])
    client(at.publish, folder, repo)
    ids += client(at.fill, folder, [2, 3])  # in another file
    client(at.publish, folder, repo)
    client(at.erase_here, folder, [ids[2]])  # so that every step is taken
    new = client(at.fill, folder, [4, 5])
    client(at.erased_during, step, folder, repo, [ids[0], new[0]])
    assert client(at.publish, folder, repo, 3)[-1] == (0, "")
    assert sorted(row["flag_id"] for row in hub.rows(repo)) == sorted([ids[1], new[1]])
    for number in (1, 3, 4):
        assert flag_of(number).observed not in everything(hub, repo)


def test_when_everything_is_erased_the_dataset_says_so_and_goes_on(hub, client, repo, tmp_path):
    folder = str(tmp_path / "data")
    ids = client(at.fill, folder, [1])
    client(at.publish, folder, repo)
    client(at.erase_here, folder, ids)
    assert client(at.publish, folder, repo, 2) == [(0, ""), (0, "")]
    assert hub.rows(repo) == []
    assert "There are no rows" in hub.card(repo)
    client(at.fill, folder, [2])
    client(at.publish, folder, repo)
    assert len(client(at.loaded, repo)) == 1


def test_the_last_row_of_a_file_takes_the_file_along(hub, client, repo, tmp_path):
    folder = str(tmp_path / "data")
    ids = client(at.fill, folder, [1])
    client(at.publish, folder, repo)
    client(at.fill, folder, [2])
    client(at.publish, folder, repo)
    client(at.erase_here, folder, ids)
    assert client(at.publish, folder, repo, 2)[-1] == (0, "")
    assert len(hub.rows(repo)) == 1
    assert len(client(at.loaded, repo)) == 1
