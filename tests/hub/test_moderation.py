"""Moderation: what nobody let pass stays here, and what is withheld leaves the dataset, its history and its card."""

from __future__ import annotations

from uuid import uuid4

import feedback_client as at
import pytest
from feedback_flags import flag_of
from test_erase import everything

MODERATED = {"moderated": True}


@pytest.fixture
def repo() -> str:
    return f"lab/moderated-{uuid4().hex[:8]}"


def test_unreviewed_flags_stay_private_until_a_reviewer_lets_them_pass(hub, client, repo, tmp_path):
    folder = str(tmp_path / "data")
    ids = client(at.fill, folder, [1, 2, 3, 4])
    assert client(at.publish, folder, repo, 1, MODERATED) == [(0, "")]
    assert hub.rows(repo) == []
    for flag_id, decision in zip(ids, ("accept", "needs_target", "reject"), strict=False):
        client(at.judge, folder, flag_id, decision)
    assert client(at.publish, folder, repo, 2, MODERATED) == [(4, ""), (0, "")]  # two flags, and what was said of them
    assert [row["flag_id"] for row in hub.rows(repo)] == ids[:2]
    for number in (3, 4):
        assert flag_of(number).observed not in everything(hub, repo)
    assert {row["flag_id"] for row in client(at.loaded, repo, "verdicts")} == set(ids[:2])
    client(at.judge, folder, ids[0], "reject")  # the flag is there, and so what is said of it is told
    assert client(at.publish, folder, repo, 1, MODERATED) == [(1, "")]


@pytest.mark.parametrize("decision", ["unsafe", "hide"])
def test_what_is_withheld_leaves_the_dataset_and_other_machines_know(hub, client, repo, tmp_path, decision):
    folder, other = str(tmp_path / "data"), str(tmp_path / "other")
    ids = client(at.fill, folder, [1, 2], True)
    client(at.publish, folder, repo)
    client(at.publish, other, repo)
    client(at.judge, folder, ids[0], decision, "bob")
    assert client(at.publish, folder, repo, 2)[-1] == (0, "")
    left = everything(hub, repo)
    for gone in (flag_of(1).observed, flag_of(1).restored, b"flag 1", flag_of(98).observed, flag_of(99).observed):
        assert gone not in left
    assert [row["flag_id"] for row in hub.rows(repo)] == [ids[1]]
    assert client(at.stored, folder)["flags"] == ids  # it is an owner's turn
    client(at.publish, other, repo, 2)
    assert client(at.decided, other, ids[0]) == decision
    assert [row["flag_id"] for row in hub.rows(repo)] == [ids[1]]


def test_the_cards_counts_are_true_after_an_erasure(hub, client, repo, tmp_path):
    folder = str(tmp_path / "data")
    ids = client(at.fill, folder, [1, 2, 3])
    client(at.publish, folder, repo)
    assert "`flags`: 3 " in hub.card(repo)
    client(at.erase_here, folder, [ids[0]])
    client(at.publish, folder, repo, 2)
    assert "`flags`: 2 " in hub.card(repo)
    client(at.judge, folder, ids[1], "hide")
    client(at.publish, folder, repo, 2)
    assert "`flags`: 1 " in hub.card(repo)
