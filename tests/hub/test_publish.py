"""Publishing: every row reaches the dataset once, whatever the Hub answers, and the dataset opens at every moment."""

from __future__ import annotations

from uuid import uuid4

import feedback_client as at
import pytest
from feedback_flags import flag_of


@pytest.fixture
def repo() -> str:
    return f"lab/feedback-{uuid4().hex[:8]}"


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "data")


def test_flags_verdicts_and_votes_are_published_once_byte_for_byte(hub, client, repo, folder):
    ids = client(at.fill, folder, [1, 2, 3], True)
    assert client(at.publish, folder, repo, 3) == [(5, ""), (0, ""), (0, "")]
    for streaming in (False, True):
        rows = client(at.loaded, repo, "flags", streaming)
        assert [row["flag_id"] for row in rows] == ids
        for number, row in zip([1, 2, 3], rows, strict=True):
            assert (row["observed"], row["restored"]) == (flag_of(number).observed, flag_of(number).restored)
            assert row["comment"] == f"flag {number}"
            assert not {"visitor", "erase_key", "client_token"} & set(row)
    assert [row["reviewer"] for row in client(at.loaded, repo, "verdicts")] == ["ada-1815"]
    assert [row["choice"] for row in client(at.loaded, repo, "votes")] == ["left"]


def test_the_dataset_opens_after_every_commit(hub, client, repo, folder):
    for number in (1, 2, 3):
        client(at.fill, folder, [number], number == 2)
        client(at.publish, folder, repo)
        assert len(client(at.loaded, repo, "flags")) == number
        assert len(client(at.loaded, repo, "flags", True)) == number
    assert len(client(at.loaded, repo, "votes")) == 1


# every kind of call that publishing makes; `test_no_other_call_is_made` holds the list complete
CALLS = {
    "info": r"^GET /api/datasets/[^/]+/[^/]+/revision/main",
    "create": r"^POST /api/repos/create",
    "tree": r"^GET /api/datasets/.*/tree/",
    "paths": r"^POST /api/datasets/.*/paths-info/",
    "preupload": r"^POST /api/datasets/.*/preupload/",
    "batch": r"^POST /datasets/.*/info/lfs/objects/batch",
    "upload": r"^PUT ",
    "verify": r"^POST .*verify",
    "card": r"^POST /api/validate-yaml",
    "commit": r"^POST /api/datasets/.*/commit/",
    "read": r"^(GET|HEAD) /datasets/.*/resolve/",
    "content": r"^GET /_?(cdn|lfs|blob)",
}
FAULTS = {
    "429": {"kind": "status", "code": 429, "headers": {"Retry-After": "1"}},
    "500": {"kind": "status", "code": 500},
    "lost reply": {"kind": "lost_reply"},
    "dropped": {"kind": "drop"},
    "slow": {"kind": "slow", "delay": 0.5},
    "truncated": {"kind": "truncate", "keep": 0.5},
    "wrong bytes": {"kind": "corrupt"},
}


def published_once(hub, repo: str, ids: list[str]) -> None:
    """Each flag is in the repository's files once, byte for byte (`datasets` opens them in the tests above)."""
    assert "config_name: flags" in hub.card(repo)
    rows = hub.rows(repo, "flags")
    assert sorted(row["flag_id"] for row in rows) == sorted(ids)
    for row in rows:
        flag = flag_of(int(row["comment"].split()[1]))
        assert (row["observed"]["bytes"], row["restored"]["bytes"]) == (flag.observed, flag.restored)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_fault_of_the_hub_is_shown_and_then_nothing_is_lost_or_doubled(hub, client, repo, folder, call, fault):
    ids = client(at.fill, folder, [1, 2])
    if call != "create":
        client(at.publish, folder, repo)
        other = f"{folder}-other"  # another instance's rows, and a card to be read
        ids_there = client(at.fill, other, [3])
        client(at.publish, other, repo)
        ids = [*ids, *ids_there, *client(at.fill, folder, [4])]
    hub.fault(CALLS[call], times=1, **FAULTS[fault])
    (rows, error), *rest = client(at.publish, folder, repo, 4)
    assert (rows >= 0) == (error == "")  # whatever went wrong is in the status
    if rows < 0:
        assert len(error) > 20
        assert "\n" not in error
    assert rest[-1] == (0, "")  # and it recovers
    published_once(hub, repo, ids)
    assert sorted(client(at.stored, folder)["flags"]) == sorted(ids)
    assert client(at.status, folder, repo)["waiting"] == 0


def test_no_other_call_is_made(hub, client, repo, folder):
    """And all those are made that the faults above are tried on: a new call needs its faults tested, too."""
    import re

    client(at.fill, folder, [1])
    client(at.publish, folder, repo)
    client(at.fill, f"{folder}-other", [3])
    client(at.publish, f"{folder}-other", repo)
    client(at.fill, folder, [2])
    client(at.publish, folder, repo)
    made = [call for call in hub.requests() if repo in call or "/lab/" not in call]  # others' threads may still call
    unknown = [call for call in made if not any(re.search(pattern, call) for pattern in CALLS.values())]
    assert not unknown
    unmade = [name for name, pattern in CALLS.items() if not any(re.search(pattern, call) for call in made)]
    assert not unmade


def test_what_the_hub_asks_to_wait_is_waited(hub, client, repo, folder):
    client(at.fill, folder, [1])
    hub.fault(CALLS["info"], "status", -1, code=429, headers={"Retry-After": "120"})
    assert client(at.pauses, folder, repo, 3) == pytest.approx([120, 120, 120], rel=0.11)


def test_pauses_grow_and_are_bounded(hub, client, repo, folder):
    client(at.fill, folder, [1])
    hub.fault(CALLS["info"], "drop", -1)
    pauses = client(at.pauses, folder, repo, 12)
    assert all(2.4 < pause <= 1800 for pause in pauses)
    assert pauses[0] < 6
    assert pauses[-1] > 800


def test_no_more_commits_an_hour_than_set_also_after_a_restart(hub, client, repo, folder):
    for number in range(5):
        client(at.fill, folder, [number])
        rows = [client(at.publish, folder, repo, 1, {"commits_per_hour": 3})[0][0]]
        assert rows == [1 if number < 3 else 0]
    assert client(at.status, folder, repo)["waiting"] == 2
    assert 3500 < client(at.wait, folder, repo, {"commits_per_hour": 3}) <= 3600
    assert client(at.publish, folder, repo, 1, {"commits_per_hour": 4}) == [(2, "")]


def test_a_token_that_may_not_write_is_one_sentence_and_the_flags_wait(hub, client, folder):
    client(at.fill, folder, [1])
    rows, error = client(at.publish, folder, "somebody/else")[0]
    assert rows == -1
    assert "HF_TOKEN" in error
    assert client(at.status, folder, "somebody/else")["waiting"] == 1


def test_a_dataset_with_another_card_is_left_alone(hub, client, repo, folder):
    hub.publish(repo, {"README.md": b"# My own dataset\n"}, kind="datasets")
    client(at.fill, folder, [1])
    rows, error = client(at.publish, folder, repo)[0]
    assert rows == -1
    assert "README.md that is not ours" in error


def test_a_flag_with_a_damaged_image_waits_and_the_others_go(hub, client, repo, folder, tmp_path):
    from deconvdemo.feedback.store.blobs import blob_name

    ids = client(at.fill, folder, [1, 2, 3])
    name = blob_name(flag_of(2).observed)
    blob = tmp_path / "data/feedback/blobs" / name[:2] / name
    good = blob.read_bytes()
    blob.write_bytes(b"spoilt")
    assert client(at.publish, folder, repo) == [(2, "")]
    assert [row["flag_id"] for row in client(at.loaded, repo)] == [ids[0], ids[2]]
    blob.write_bytes(good)
    assert client(at.publish, folder, repo) == [(1, "")]
    published_once(hub, repo, ids)


def test_a_lost_frozen_file_is_frozen_anew(hub, client, repo, folder, tmp_path):
    ids = client(at.fill, folder, [1, 2])
    hub.fault(CALLS["commit"], "status", 1, code=500)
    assert client(at.publish, folder, repo)[0][0] == -1
    (file,) = (tmp_path / "data/feedback/shards").iterdir()
    file.unlink()
    assert client(at.publish, folder, repo) == [(2, "")]
    published_once(hub, repo, ids)


def test_two_instances_that_begin_at_once_do_not_hide_each_others_rows(hub, client, repo, folder, tmp_path):
    """The card lists what there is to load: the second one must not write over what the first one's card says."""
    client(at.fill, folder, [1])
    other = str(tmp_path / "other")
    client(at.vote, other)
    assert client(at.publish_while_another_does, folder, other, repo) == [(-1, True), (1, False), (1, False)]
    assert len(client(at.loaded, repo, "flags")) == 1
    assert len(client(at.loaded, repo, "votes")) == 1
