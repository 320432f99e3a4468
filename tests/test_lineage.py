"""Which flags made which weights is kept once: in a header, and in the database's record of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from sqlalchemy import update

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.checkpoints.index import add_to_index
from deconvdemo.checkpoints.promotion import promote, rollback
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.evaluation.lineage import helped_train, note, origins
from deconvdemo.feedback.review.lineage import Origin, learned_from, noted_origins, origin_of
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import releases

NAME = "denoise-fast"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Weights that learned from no flags, and two generations that did."""
    first = tiny.shaken(Weights().load(NAME), tmp_path / "weights" / f"{NAME}.safetensors", 0.25)
    add_to_index(first)
    for number, amount in ((1, 0.1), (2, 0.05)):
        parent = Weights(first.parent).sha256(NAME)
        recipe = {"parent": parent, "flags": {"from": "a snapshot"}, "learned": [f"f{number}"]}
        promote(
            tiny.shaken(Weights().load(NAME), tmp_path / f"{number}.safetensors", amount, **recipe), first.parent, {}
        )
    return first.parent


def test_headers_tell_it_as_long_as_the_files_are_there(sqlite_store, folder):
    weights = Weights(folder)
    second = weights.sha256(NAME)
    assert learned_from(origins(sqlite_store, weights), second) == {"f1", "f2"}
    assert helped_train(sqlite_store, weights, "f1") == [f"{NAME} v2"]
    assert rollback(folder, NAME).sha256 != second
    assert learned_from(origins(sqlite_store, weights), second) == {"f1", "f2"}  # its file stays


def test_the_record_tells_it_when_the_files_are_gone(sqlite_store, folder):
    weights = Weights(folder)
    files = [weights.past(sha256) for sha256 in {line["sha256"] for line in weights.history()}]
    second, unnoted = weights.sha256(NAME), FeedbackStore(folder.parent / "elsewhere", min_free_mb=0)
    note(sqlite_store, *(load_checkpoint(file) for file in files if file))
    for file in folder.glob("*.safetensors"):
        file.unlink()
    assert learned_from(origins(unnoted, weights), second) is None
    assert learned_from(origins(sqlite_store, weights), second) == {"f1", "f2"}
    assert helped_train(sqlite_store, weights, "f2") == [f"{NAME} v3"]
    unnoted.close()


def test_what_an_earlier_version_noted_gets_its_flags(sqlite_store, folder):
    checkpoint = Weights(folder).load(NAME)
    note(sqlite_store, checkpoint)
    with sqlite_store.writing() as connection:
        connection.execute(update(releases).values(flag_ids=None, parent=None))
    assert noted_origins(sqlite_store) == {}
    note(sqlite_store, checkpoint)
    recipe = checkpoint.header.recipe
    assert noted_origins(sqlite_store) == {checkpoint.sha256: Origin(recipe["parent"], frozenset({"f2"}))}


@pytest.mark.parametrize(
    ("recipe", "origin"),
    [
        ({}, Origin()),
        ({"parent": "a"}, Origin("a")),
        ({"flags": {"from": "x"}, "learned": ["f"]}, Origin("", frozenset({"f"}))),
        ({"flags": {"from": "x"}}, None),  # it does not name them
        ({"flags": {"from": "x"}, "learned": [3]}, None),
        ({"flags": {"from": "x"}, "learned": "f"}, None),
    ],
)
def test_a_header_that_does_not_name_its_flags_is_not_believed_to_have_none(recipe, origin):
    assert origin_of(recipe) == origin


def test_generations_that_name_each_other_come_to_an_end():
    assert learned_from({"a": Origin("b", frozenset("1")), "b": Origin("a", frozenset("2"))}, "a") == {"1", "2"}
